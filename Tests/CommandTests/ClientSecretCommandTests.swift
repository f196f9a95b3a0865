import Digests
import Foundation
import Policies
import Testing

/// `client secret new`, `rotate` and `revoke` over real files.
@Suite(.timeLimit(.minutes(10))) struct ClientSecretCommandTests {
  private let folder: PolicyCopy

  /// Nothing listens on the folder's admin port.
  init() throws {
    folder = try PolicyCopy(
      gateway: #"{ "admin": "127.0.0.1:1", "oauth": { "issuer": "https://gateway.example", "#
        + #""keys": [{ "id": "2026", "env": "OAUTH_KEY" }] } }"#)
  }

  private var clients: String { folder.path + "/clients.json" }

  private func run(_ arguments: String..., input: String = "") throws -> Program.Outcome {
    try Program.run(["client", "secret"] + arguments + ["--policies", folder.path], input: input)
  }

  private func text() throws -> String { try String(contentsOfFile: clients, encoding: .utf8) }

  private func digest(_ outcome: Program.Outcome) -> String {
    Token.digest(of: String(outcome.output.dropLast())).hex
  }

  private func check() throws -> Program.Outcome {
    let keys = Program.keys.merging(["OAUTH_KEY": String(repeating: "k", count: 32)]) { $1 }
    return try Program.run(["check", "--strict", "--policies", folder.path], environment: keys)
  }

  private func secrets() throws -> [[String: String]] {
    let json = try Program.run(["token", "list", "--client", "demo-app", "--json", "--policies", folder.path]).output
    let object = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: [[String: String]]]
    return try #require(object?["secrets"])
  }

  @Test func `new gives a client its first secret, prints it once, and touches nothing else`() throws {
    let before = try text()
    let made = try run("new", "--client", "demo-app", "--note", "app", "--expires", "2099-01-01T00:00:00Z")
    #expect(made.exitCode == 0 && made.output.hasPrefix("blnk_cs_") && made.output.hasSuffix("\n"), "\(made.errors)")
    let secret = String(made.output.dropLast())
    #expect(secret.count == 57 && Token.hasValidChecksum(secret, .clientSecret) && !Token.hasValidChecksum(secret))
    #expect(!made.errors.contains(secret) && made.errors.contains("No gateway answers at "))
    #expect(!made.errors.contains("warning"))
    let added =
      ",\n      \"oauth\": {\n        \"secrets\": [\n          { \"sha256\": \"\(digest(made))\", "
      + "\"expires\": \"2099-01-01T00:00:00Z\", \"note\": \"app\" }\n        ]\n      }"
    let after = try text()
    #expect(after.replacing(added, with: "") == before && after.count == before.count + added.count, "\(after)")
    let second = try run("new", "--client", "demo-app")
    let line = ",\n          { \"sha256\": \"\(digest(second))\" }"
    let last = try text()
    #expect(last.replacing(line, with: "") == after, "\(last)")
    let checked = try check()
    #expect(checked.exitCode == 0, "\(checked.output)")
  }

  @Test func `new warns if the gateway has no token endpoint`() throws {
    let plain = try PolicyCopy(gateway: #"{ "admin": "127.0.0.1:1" }"#)
    let made = try Program.run(["client", "secret", "new", "--client", "demo-app", "--policies", plain.path])
    #expect(made.exitCode == 0 && made.errors.contains(#"gateway.json has no "oauth""#), "\(made.errors)")
  }

  @Test func `new writes an entry on one line in its style`() throws {
    let one = #"{ "clients": { "shop": { "scopes": ["*"], "instances": ["*"] } } }"#
    try Data(one.utf8).write(to: URL(filePath: clients))
    let made = try run("new", "--client", "shop")
    #expect(
      try text()
        == one.replacing(
          #"["*"] } }"#, with: #"["*"], "oauth": { "secrets": [{ "sha256": "\#(digest(made))" }] } } }"#))
    let revoked = try run("revoke", "--client", "shop", "--digest", String(digest(made).prefix(4)))
    #expect(revoked.exitCode == 0 && revoked.output.isEmpty, "\(revoked.errors)")
    #expect(try text().contains(#""secrets": [] }"#))
    #expect(try check().exitCode == 0)
  }

  @Test func `rotate adds a secret, and lets all active ones expire unless they end earlier`() throws {
    _ = try run("new", "--client", "demo-app", "--note", "app", "--expires", "1h")
    _ = try run("new", "--client", "demo-app", "--note", "job")
    let before = try secrets()
    let rotated = try run("rotate", "--client", "demo-app", "--grace", "2h")
    #expect(rotated.exitCode == 0 && rotated.output.hasPrefix("blnk_cs_"), "\(rotated.errors)")
    let after = try secrets()
    try #require(after.count == 3)
    #expect(after.allSatisfy { $0["state"] == "active" })
    #expect(after[0]["expires"] == before[0]["expires"])
    let end = try #require(after[1]["expires"].flatMap(UnixSeconds.init(rfc3339:)))
    #expect(abs(end.rawValue - Int64(Date().timeIntervalSince1970) - 7200) < 60)
    #expect(after[2]["expires"] == nil && after[2]["note"] == "job")
    #expect(after[2]["digest"] == String(digest(rotated).prefix(12)))
    let ended = try run("rotate", "--client", "demo-app", "--grace", "0s")
    #expect(ended.exitCode == 0)
    #expect(try secrets().map { $0["state"] } == ["expired", "expired", "expired", "active"])
    let none = try run("rotate", "--client", "demo-reader")
    #expect(none.exitCode == 1 && none.errors.contains("demo-reader has no active client secret"))
    #expect(try check().exitCode == 0)
  }

  @Test(arguments: [0, 1, 2]) func `revoke removes one secret, whichever it is`(index: Int) throws {
    let before = try text()
    let made = try ["a", "b", "c"].map { note in try run("new", "--client", "demo-app", "--note", note) }
    let note = ["a", "b", "c"][index]
    let revoked = try run("revoke", "--client", "demo-app", "--note", note)
    #expect(revoked.exitCode == 0 && revoked.errors.contains("\"tokens_not_before\": \""), "\(revoked.errors)")
    let left = try text()
    #expect(!left.contains(digest(made[index])))
    for (other, outcome) in made.enumerated() where other != index { #expect(left.contains(digest(outcome))) }
    #expect(left.count(of: "\n") == before.count(of: "\n") + 6)
    #expect(try check().exitCode == 0)
  }

  @Test func `refuses what is ambiguous, unknown or too much, and changes nothing`() throws {
    for _ in 0..<16 { #expect(try run("new", "--client", "demo-app", "--note", "x").exitCode == 0) }
    let before = try text()
    for (arguments, code, message) in [
      (["new", "--client", "demo-app"], 1, "has 16 secrets, the most that are allowed"),
      (["rotate", "--client", "demo-app"], 1, "has 16 secrets, the most that are allowed"),
      (["revoke", "--client", "demo-app", "--note", "x"], 1, "16 client secrets match: "),
      (["revoke", "--client", "demo-app", "--note", "y"], 1, "demo-app has no such client secret"),
      (["revoke", "--client", "demo-app"], 2, "needs either --digest PREFIX or --note TEXT"),
      (["revoke", "--note", "x"], 2, "needs --client ID"), (["new"], 2, "needs --client ID"),
      (["new", "--client", "demo-ap"], 1, #"(did you mean "demo-app"?)"#),
      (["rotate", "--client", "demo-app", "--grace", "soon"], 2, "--grace must be a number with a unit"),
    ] {
      let outcome = try Program.run(["client", "secret"] + arguments + ["--policies", folder.path])
      #expect(outcome.exitCode == Int32(code) && outcome.output.isEmpty, "\(arguments)")
      #expect(outcome.errors.contains(message), "\(outcome.errors)")
    }
    #expect(try text() == before)
  }

  @Test func `list shows secrets in a separate table`() throws {
    let made = try run("new", "--client", "demo-app", "--note", "app server")
    let listed = try Program.run(["token", "list", "--policies", folder.path]).output
    #expect(
      listed.hasSuffix(
        "\n\nCLIENT    SECRET        STATE   EXPIRES  NOTE\n"
          + "demo-app  \(digest(made).prefix(12))  active  never    app server\n"), "\(listed)")
  }
}

extension String {
  fileprivate func count(of character: Character) -> Int { filter { $0 == character }.count }
}
