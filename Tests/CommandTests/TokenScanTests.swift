import Digests
import Foundation
import Policies
import TestFolders
import TestSupport
import Testing

/// `token scan` over real files.
@Suite(.timeLimit(.minutes(10))) struct TokenScanTests {
  private let policies: PolicyCopy
  private let folder: TemporaryFolder

  init() throws {
    policies = try PolicyCopy(gateway: #"{ "admin": "127.0.0.1:1" }"#)
    folder = try TemporaryFolder()
  }

  private func mint(_ arguments: String...) throws -> String {
    let made = try Program.run(["token", "new"] + arguments + ["--policies", policies.path])
    return String(made.output.dropLast())
  }

  private func scan(_ arguments: String..., input: String = "") throws -> Program.Outcome {
    try Program.run(["token", "scan"] + arguments, input: input)
  }

  private func digest(_ token: String) -> String { String(Token.digest(of: token).hex.prefix(12)) }

  @Test func `says where each token is, whose it is, and whether it is in force`() throws {
    let active = try mint("--client", "demo-app", "--note", "shop", "--expires", "2099-01-01T00:00:00Z")
    let revoked = try mint("--client", "demo-reader")
    _ = try Program.run(
      ["token", "revoke", "--token-stdin", "--policies", policies.path], input: revoked + "\n")
    let foreign = try #require(Program.run(["token", "new"]).output.split(separator: "\n").first.map(String.init))
    try folder.makeFolder("logs")
    try folder.write("first\nX-Blnk-Key: \(active)\n\(revoked) \(foreign)\n", to: "logs/app.log")
    try folder.write("\0\0token=\(active)\0", to: "logs/core.bin")
    try FileManager.default.createSymbolicLink(
      atPath: folder.path("logs/link"), withDestinationPath: folder.path("logs/app.log"))
    let logs = folder.path("logs")
    let outcome = try scan(logs, "--policies", policies.path)
    #expect(
      outcome.output == """
        \(logs)/app.log:2: token \(digest(active)) of demo-app (shop), in force until 2099-01-01T00:00:00Z
        \(logs)/app.log:3: token \(digest(revoked)) of demo-reader, revoked
        \(logs)/app.log:3: token \(digest(foreign)), unknown to the policy
        \(logs)/core.bin:byte 8: token \(digest(active)) of demo-app (shop), in force until 2099-01-01T00:00:00Z

        """)
    #expect(outcome.exitCode == 1)
    let bytes = 6 + 12 + 57 + 1 + 57 + 1 + 57 + 1 + 8 + 57 + 1
    #expect(outcome.errors == "4 tokens, 2 in force in 2 files (\(bytes) bytes); 1 link not followed\n")
    for token in [active, revoked, foreign] {
      #expect(!(outcome.output + outcome.errors).contains(token) && !outcome.output.contains(token.dropFirst(20)))
    }
    let plain = try scan(logs)
    #expect(plain.exitCode == 1 && plain.output.hasPrefix("\(logs)/app.log:2: token \(digest(active))\n"))
    #expect(!plain.output.contains("demo-app") && plain.errors.hasPrefix("4 tokens in 2 files"))
    // A link that the command line names is followed.
    #expect(try scan(folder.path("logs/link")).output.split(separator: "\n").count == 3)
  }

  @Test func `gives JSON to scripts, also when there is nothing to find`() throws {
    let token = try mint("--client", "demo-app", "--note", "shop")
    try folder.write("\n\n\(token)", to: "a \u{1b}[31m.log")
    let outcome = try scan(folder.path, "--json", "--policies", policies.path)
    let object = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any]
    let finding = try #require((object?["findings"] as? [[String: Any]])?.first)
    #expect(finding["path"] as? String == folder.path("a \u{1b}[31m.log") && finding["line"] as? Int == 3)
    #expect(finding["offset"] as? Int == 2 && finding["kind"] as? String == "token")
    #expect(finding["state"] as? String == "in_force" && finding["client"] as? String == "demo-app")
    #expect(finding["note"] as? String == "shop" && finding["digest"] as? String == digest(token))
    #expect(object?["tokens"] as? Int == 1 && object?["in_force"] as? Int == 1 && object?["files"] as? Int == 1)
    #expect(!outcome.output.contains(token))
    #expect(try !scan(folder.path).output.contains("\u{1b}"))
    let none = try scan(policies.path, "--json")
    let nothing = try JSONSerialization.jsonObject(with: Data(none.output.utf8)) as? [String: Any]
    #expect(none.exitCode == 0 && (nothing?["findings"] as? [Any])?.isEmpty == true, "\(none.output)")
  }

  @Test func `says what it cannot read, and exits with 4 unless it finds a token`() throws {
    let token = try mint("--client", "demo-app")
    let pipe = folder.path("pipe")
    let made = unsafe mkfifo(pipe, 0o600)
    #expect(made == 0)
    try Data([0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 3]).write(to: URL(filePath: folder.path("old.log.gz")))
    let outcome = try scan(folder.path, folder.path("absent"))
    #expect(outcome.exitCode == 4 && outcome.output.isEmpty)
    #expect(outcome.errors.contains("not read: \(pipe): neither a file nor a folder\n"))
    let archive = folder.path("old.log.gz")
    #expect(
      outcome.errors.contains(
        "not read: \(archive): compressed; use zcat \(archive) | blnk-gateway token scan -\n"))
    #expect(outcome.errors.contains("not read: \(folder.path("absent")): No such file or directory\n"))
    #expect(outcome.errors.hasSuffix("0 tokens in 1 file (10 bytes); 3 not read\n"), "\(outcome.errors)")
    try folder.write(token, to: "found")
    #expect(try scan(folder.path).exitCode == 1)
    let json = try scan(folder.path, "--json").output
    let object = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
    #expect((object?["unread"] as? [Any])?.count == 2 && object?["unread_count"] as? Int == 2)
    try Data("{".utf8).write(to: URL(filePath: policies.path + "/revoked.json"))
    let invalid = try scan(folder.path, "--policies", policies.path)
    #expect(invalid.exitCode == 4 && invalid.output.isEmpty && invalid.errors.contains("revoked.json:1: "))
    #expect(try scan().exitCode == 2)
  }

  @Test func `reads standard input, pipes, and a large file in little memory`() throws {
    let token = try mint("--client", "demo-app")
    let outcome = try scan("-", input: "x\n\(token)\n")
    #expect(outcome.exitCode == 1 && outcome.output == "-:2: token \(digest(token))\n")
    let path = folder.path("large")
    try folder.write("", to: "large")
    let file = try FileHandle(forWritingTo: URL(filePath: path))
    // After a hole of 64 MiB.
    try file.seek(toOffset: 64 << 20)
    try file.write(contentsOf: Data(token.utf8))
    try file.close()
    // Sanitizers need more memory than the file.
    let isSanitized = ProcessInfo.processInfo.environment.keys.contains { $0.hasSuffix("SAN_OPTIONS") }
    let limit = isSanitized ? "" : "ulimit -d \(64_000);"
    let large = try Program.shell("\(limit) exec \(Program.path) token scan \(path)")
    #expect(large.output == "\(path):byte \(64 << 20): token \(digest(token))\n" && large.exitCode == 1, "\(large)")
    let pipe = try Program.shell("\(Program.path) token scan <(tail -c 60 \(path))")
    #expect(pipe.output.hasPrefix("/dev/fd/") && pipe.output.hasSuffix(":byte 3: token \(digest(token))\n"), "\(pipe)")
  }

  @Test func `verifies the tokens of the token endpoint if it has the keys`() throws {
    let oauth = #"{ "issuer": "https://gateway.example", "keys": [{ "id": "k1", "env": "KEY" }] }"#
    let signing = try PolicyCopy(gateway: #"{ "admin": "127.0.0.1:1", "oauth": \#(oauth) }"#)
    let key = ["KEY": "0123456789abcdef0123456789abcdef"].merging(Program.keys) { $1 }
    let secret = try Program.run(
      ["client", "secret", "new", "--client", "demo-app", "--policies", signing.path], environment: key)
    let clients = signing.path + "/clients.json"
    let open = #""oauth": {"#
    try String(contentsOfFile: clients, encoding: .utf8)
      .replacing(open, with: #"\#(open) "redirect_uris": ["https://a.example/"],"#)
      .write(toFile: clients, atomically: true, encoding: .utf8)
    let url =
      "https://gateway.example/oauth/authorize?response_type=code&client_id=demo-app"
      + "&redirect_uri=https%3A%2F%2Fa.example%2F"
    let code = try Program.run(
      ["oauth", "code", "--client", "demo-app", "--authorize-url", url, "--policies", signing.path], environment: key)
    let text = "\(secret.output)\(code.output)"
    func scan(_ environment: [String: String]) throws -> Program.Outcome {
      try Program.run(["token", "scan", "-", "--policies", signing.path], input: text, environment: environment)
    }
    let outcome = try scan(key)
    #expect(outcome.output.contains("client secret ") && outcome.output.contains(" of demo-app, in force\n"))
    if code.exitCode == 0 {
      #expect(outcome.output.contains(/signed code [0-9a-f]{12} of demo-app, id [0-9a-f]{24}, in force until 2/))
      // With another key it is forged; without one that is unknown.
      let other = try scan(key.merging(["KEY": "fedcba9876543210fedcba9876543210"]) { $1 })
      #expect(!other.output.contains("signed code"), "\(other)")
      let none = try scan(Program.keys)
      #expect(none.output.contains("signed code") && none.output.contains("unknown to the policy"), "\(none)")
      #expect(none.errors.contains("tokens of the token endpoint are not verified"))
    } else {
      Issue.record("no code: \(code.errors)")
    }
  }
}
