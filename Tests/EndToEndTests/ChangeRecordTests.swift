import Digests
import Foundation
import Gateway
import TestFolders
import TestSupport
import Testing

/// What the audit log says about commands that change the policy: who has changed what, and in which file.
@Suite(.scopedFixtures, .serialized, .timeLimit(.minutes(10))) struct ChangeRecordTests {
  private final class Stage {
    let core: ScriptedUpstream
    let root: TemporaryFolder
    let folder: TestPolicyFolder
    let gateway: GatewayProcess
    private let options: [String]

    init(admin: String? = nil) throws {
      core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
      root = try TemporaryFolder()
      folder = try TestPolicyFolder(
        instances: [("one", "http://127.0.0.1:\(core.port)")],
        gateway: [
          "audit_log": "audit.log", "audit_key": ["env": "TEST_KEY"], "access_log": NSNull(), "watch": true,
          "admin": admin ?? "unix:\(root.path("admin.sock"))",
        ])
      gateway = try GatewayProcess(folder)
      #expect(gateway.waitUntilSaid("admin endpoint on "))
      options = admin == nil ? [] : ["--admin", "127.0.0.1:\(gateway.adminPort ?? 0)"]
    }

    @discardableResult
    func run(
      _ arguments: String..., environment: [String: String] = [:]
    ) throws -> (status: Int32, output: String, errors: String) {
      let told = try runCommand(
        arguments + options + ["--policies", folder.path],
        environment: ["STATE_DIRECTORY": folder.statePath].merging(environment) { $1 })
      return told
    }

    /// The entries of commands in the log, which must be intact.
    func commands() throws -> [[String: any Sendable]] {
      #expect(try AuditRecords.findings(folder.statePath).filter { !$0.contains(" no end entry yet") }.isEmpty)
      let lines = try String(contentsOfFile: "\(folder.statePath)/audit.log", encoding: .utf8).split(separator: "\n")
      let entries = try lines.map { try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: any Sendable] }
      return entries.compactMap(\.self).filter { $0["kind"] as? String == "command" }
    }
  }

  private func digits(_ token: String) -> String { String(SHA256.digest(of: Array(token.utf8).span).hex.prefix(8)) }

  @Test func `each command that changes the policy is recorded through the gateway, without a secret`() throws {
    let stage = try Stage()
    try stage.root.write("key-of-two", to: "two.key")
    let key = ["--key-file", stage.root.path("two.key")]
    var secrets: [String] = []
    func secret(_ arguments: String...) throws -> String {
      let told = try runCommand(
        arguments + ["--policies", stage.folder.path], environment: ["SUDO_USER": "alice"])
      #expect(told.status == 0 && !told.errors.contains("not in the audit log"), "\(told)")
      secrets.append(String(told.output.dropLast()))
      return digits(secrets[secrets.count - 1])
    }
    _ = try secret("instance", "new", "two", "--core", "http://127.0.0.1:\(stage.core.port)", key[0], key[1])
    let first = try secret("client", "new", "shop", "--instances", "one", "--token")
    let second = try secret("token", "new", "--client", "shop")
    let third = try secret("token", "rotate", "--client", "shop", "--digest", first)
    _ = try secret("token", "revoke", "--digest", second)
    let fourth = try secret("client", "secret", "new", "--client", "shop")
    let fifth = try secret("client", "secret", "rotate", "--client", "shop")
    _ = try secret("client", "secret", "revoke", "--client", "shop", "--digest", fifth)
    _ = try secret("token", "revoke", "--client", "shop", "--all")
    let found = try stage.commands()
    let expected: [(String, [String: String])] = [
      ("instance new", ["instance": "two", "file": "instances.json"]),
      ("client new", ["client": "shop", "token_sha256": first, "file": "clients.json"]),
      ("token new", ["client": "shop", "token_sha256": second, "file": "clients.json"]),
      ("token rotate", ["client": "shop", "token_sha256": third, "replaces": first, "file": "clients.json"]),
      ("token revoke", ["client": "shop", "token_sha256": second, "file": "revoked.json"]),
      ("client secret new", ["client": "shop", "secret_sha256": fourth, "file": "clients.json"]),
      ("client secret rotate", ["client": "shop", "secret_sha256": fifth, "replaces": fourth, "file": "clients.json"]),
      ("client secret revoke", ["client": "shop", "secret_sha256": fifth, "file": "clients.json"]),
      ("token revoke", ["client": "shop", "file": "revoked.json"]),
    ]
    try #require(found.count == expected.count)
    let added = [
      "writer", "seq", "time", "kind", "request_id", "hash", "command", "sha256", "user", "uid", "sudo_user",
    ]
    for (entry, (command, members)) in zip(found, expected) {
      #expect(entry["command"] as? String == command)
      let own = entry.filter { !added.contains($0.key) }
      #expect(own as? [String: String] == members, "\(entry)")
      #expect(entry["uid"] as? String == "\(getuid())" && (entry["user"] as? String)?.isEmpty == false)
      #expect(entry["sudo_user"] as? String == "alice")
    }
    // The last entry of a file has the digest that the reload has.
    let file = try Data(contentsOf: URL(filePath: stage.folder.path + "/revoked.json"))
    #expect(found.last?["sha256"] as? String == SHA256.digest(of: Array(file).span).hex)
    let log = try String(contentsOfFile: stage.folder.statePath + "/audit.log", encoding: .utf8)
    for secret in secrets where !secret.isEmpty { #expect(!log.contains(secret)) }
    let listed = try runCommand(["audit", "reloads", stage.folder.statePath + "/audit.log"])
    #expect(
      listed.output.contains(
        "  token rotate: client shop, token \(third), in place of \(first); clients.json, by "), "\(listed)")
    #expect(listed.output.contains(", sudo by alice)\n") && listed.output.contains("generation 2, "))
  }

  @Test func `an endpoint that anyone can reach takes entries from those who have the key`() throws {
    let stage = try Stage(admin: "127.0.0.1:0")
    let made = try stage.run("token", "new", "--client", "app", environment: ["TEST_KEY": TestPolicyFolder.key])
    #expect(made.status == 0 && !made.errors.contains("warning"), "\(made)")
    for key in [[:], ["TEST_KEY": "another-key"]] {
      let refused = try stage.run("token", "new", "--client", "app", environment: key)
      #expect(refused.status == 0 && refused.output.hasPrefix("blnk_at_"), "\(refused)")
      #expect(
        refused.errors.contains(
          "warning: this change is not in the audit log: 403: This needs an admin token, an \"admin\" on a Unix socket, or "
            + "the audit_key.\n"), "\(refused)")
    }
    #expect(try stage.commands().count == 1)
    // A form of a browser, and a proof of another form.
    for body in ["command=token+new&user=x", "command=token+new&user=x&proof=\(String(repeating: "0", count: 64))"] {
      let port = try #require(stage.gateway.adminPort)
      let socket = try TestSocket(port: port)
      try socket.send(testRequest("POST", "/audit", body: body, token: nil, host: "127.0.0.1:\(port)"))
      var reader = TestMessageReader(socket)
      #expect(try reader.next()?.status == 403)
    }
    #expect(try stage.commands().count == 1)
  }

  @Test func `a proof counts once, and not for long`() throws {
    let stage = try Stage(admin: "127.0.0.1:0")
    let port = try #require(stage.gateway.adminPort)
    let key = Array(TestPolicyFolder.key.utf8)
    func post(_ body: String) throws -> (status: Int?, line: String) {
      let socket = try TestSocket(port: port)
      try socket.send(testRequest("POST", "/audit", body: body, token: nil, host: "127.0.0.1:\(port)"))
      var reader = TestMessageReader(socket)
      let answer = try reader.next()
      return (answer?.status, String(decoding: answer?.body ?? [], as: UTF8.self))
    }
    let now = Int64(Date().timeIntervalSince1970)
    // Another process may have taken this one.
    let old = RecordedChange.proven("command=token+new&user=x", nonce: "n0", at: now - 55, key)
    #expect(try post(old).line.contains("from before the gateway's start"))
    let form = RecordedChange.proven("command=token+new&user=x", nonce: "n1", at: now, key)
    let first = try post(form)
    #expect(first.status == 200 && first.line == RecordedChange.receipt(of: "n1", key) + "\n", "\(first)")
    #expect(try post(form).line.contains("used before"))
    for time in [now - 90, now + 90, Int64.min, .max] {
      let other = RecordedChange.proven("command=token+new&user=x", nonce: "n2", at: time, key)
      let answer = try post(other)
      #expect(answer.status == 403 && answer.line.contains("not of this minute"), "\(answer)")
    }
    #expect(try stage.commands().count == 1)
  }

  @Test func `a process without the key that answers in place of the gateway is noticed`() throws {
    let stage = try Stage(admin: "127.0.0.1:0")
    let other = try ScriptedUpstream { _ in .bytes(Array("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nrecorded".utf8)) }
    let told = try runCommand(
      [
        "token", "new", "--client", "app", "--no-wait", "--policies", stage.folder.path, "--admin",
        "127.0.0.1:\(other.port)",
      ],
      environment: ["TEST_KEY": TestPolicyFolder.key, "STATE_DIRECTORY": stage.folder.statePath])
    #expect(told.status == 0 && told.errors.contains("what answers at the admin address does not have the audit_key"))
    #expect(try stage.commands().isEmpty)
  }

  @Test func `without a gateway the command writes its own entry, or says why it cannot`() throws {
    let stage = try Stage()
    #expect(stage.gateway.stop() == 0)
    let key = ["TEST_KEY": TestPolicyFolder.key]
    let made = try stage.run("token", "new", "--client", "app", environment: key)
    #expect(made.status == 0 && !made.errors.contains("warning"), "\(made)")
    #expect(try stage.commands().map { $0["command"] as? String } == ["token new"])
    let faults: [([String: String], String)] = [
      (
        key.merging(["STATE_DIRECTORY": ""]) { $1 },
        "no gateway answers, and \"audit_log\" is relative to its folder: set $STATE_DIRECTORY as for the gateway"
      ),
      ([:], "no gateway answers, and audit_key cannot be read"),
      (
        key.merging(["STATE_DIRECTORY": stage.root.path("")]) { $1 },
        "no gateway answers, and cannot open \(stage.root.path(""))/audit.log: No such file or directory"
      ),
    ]
    for (environment, reason) in faults {
      let told = try stage.run("token", "new", "--client", "app", environment: environment)
      #expect(told.status == 0 && told.output.hasPrefix("blnk_at_"), "\(told)")
      #expect(told.errors.contains("warning: this change is not in the audit log: \(reason)\n"), "\(told)")
    }
    #expect(try stage.commands().count == 1)
    // Without an audit log there is nothing to say.
    try stage.folder.writeSettings(changes: ["audit_log": NSNull(), "audit_key": NSNull()])
    let silent = try stage.run("token", "new", "--client", "app")
    #expect(silent.status == 0 && !silent.errors.contains("audit"), "\(silent)")
  }
}
