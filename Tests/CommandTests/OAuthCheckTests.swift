import Foundation
import TestFolders
import Testing

/// What `check` finds in the settings of the token endpoint.
@Suite(.timeLimit(.minutes(10))) struct OAuthCheckTests {
  private static let key = String(repeating: "k", count: 32)

  /// - Parameters:
  ///   - oauth: members of `"oauth"` besides the issuer.
  ///   - more: further members of gateway.json.
  private func check(
    _ oauth: String = #""keys": [{ "id": "a", "env": "TOKEN_KEY" }]"#, more: String = "",
    environment: [String: String] = [:], arguments: [String] = [],
    prepare: (String) throws -> Void = { _ in }
  ) throws -> Program.Outcome {
    let folder = try PolicyCopy(
      gateway: #"{ "admin": "127.0.0.1:1", "oauth": { "issuer": "https://gateway.example", \#(oauth) }\#(more) }"#)
    try prepare(folder.path)
    return try Program.run(
      ["check", "--strict", "--policies", folder.path] + arguments,
      environment: Program.keys.merging(["TOKEN_KEY": Self.key]) { $1 }.merging(environment) { $1 })
  }

  @Test func `accepts a key that is used for nothing else`() throws {
    let outcome = try check()
    #expect(outcome.exitCode == 0 && outcome.output.split(separator: "\n").count == 1, "\(outcome)")
  }

  @Test func `rejects a signing key that is something else, too, and never shows it`() throws {
    let audit = #", "audit_log": "/nonexistent/a.log", "audit_key": { "env": "TOKEN_KEY" }"#
    let admin = #", "admin": { "address": "127.0.0.1:1", "token": { "env": "TOKEN_KEY" } }"#
    let both = #""keys": [{ "id": "a", "env": "TOKEN_KEY" }, { "id": "b", "env": "OTHER" }]"#
    for (outcome, message) in [
      (try check(more: audit), #"oauth.keys[0]: is the same as "audit_key", so"#),
      (
        try check(environment: ["BLNK_DEMO_KEY": Self.key]),
        "oauth.keys[0]: is the same as the key of the instance inst_demo"
      ),
      (try check(both, environment: ["OTHER": Self.key]), "oauth.keys[1]: is the same key as another one"),
      (
        try check(both, environment: ["OTHER": String(repeating: "o", count: 32), "BLNK_SECOND_KEY": Self.key]),
        "oauth.keys[0]: is the same as the key of the instance inst_second"
      ),
    ] {
      #expect(outcome.exitCode == 1 && outcome.output.contains(message), "\(outcome)")
      #expect(!outcome.output.contains(Self.key))
    }
    let folder = try PolicyCopy(
      gateway:
        #"{ "oauth": { "issuer": "https://gateway.example", "keys": [{ "id": "a", "env": "TOKEN_KEY" }] }\#(admin) }"#)
    let outcome = try Program.run(
      ["check", "--policies", folder.path], environment: Program.keys.merging(["TOKEN_KEY": Self.key]) { $1 })
    #expect(
      outcome.exitCode == 1 && outcome.output.contains("oauth.keys[0]: is the same as the admin token"), "\(outcome)")
    // All placeholders are equal.
    #expect(try check(both, more: audit, arguments: ["--without-keys"]).exitCode == 0)
  }

  @Test func `rejects a folder of revocations in the policy folder, and notes one that does not exist`() throws {
    let keys = #""keys": [{ "id": "a", "env": "TOKEN_KEY" }]"#
    for path in ["revocations", ".", "x/../y"] {
      let inside = try check(#"\#(keys), "revocations": "\#(path)""#)
      #expect(inside.exitCode == 1, "\(inside)")
      #expect(inside.output.contains("oauth.revocations: must not be inside the policy folder"), "\(inside)")
    }
    let missing = try check(#"\#(keys), "revocations": "../revocations""#)
    #expect(missing.exitCode == 0 && missing.output.contains("note: oauth.revocations: "), "\(missing)")
    #expect(missing.output.contains("/revocations does not exist; the gateway creates it when it starts"))
    let there = try check(#"\#(keys), "revocations": "../revocations""#) { path in
      try FileManager.default.createDirectory(atPath: path + "/../revocations", withIntermediateDirectories: true)
    }
    #expect(there.exitCode == 0 && !there.output.contains("does not exist"), "\(there)")
  }

  @Test func `warns about a client of a token endpoint that is off, and notes expired secrets`() throws {
    let clients =
      #"{ "clients": { "shop": { "scopes": ["proxy:read"], "instances": ["*"], "oauth": { "secrets": "#
      + #"[{ "sha256": "\#(String(repeating: "0", count: 64))", "expires": "2020-01-01T00:00:00Z" }] } } } }"#
    func write(_ path: String) throws { try Data(clients.utf8).write(to: URL(filePath: path + "/clients.json")) }
    let on = try check(prepare: write)
    #expect(
      on.exitCode == 0 && on.output.contains("note: clients.shop.oauth.secrets[0]: the secret has expired"), "\(on)")
    let folder = try PolicyCopy(gateway: #"{ "admin": "127.0.0.1:1" }"#)
    try write(folder.path)
    let off = try Program.run(["check", "--strict", "--policies", folder.path], environment: Program.keys)
    #expect(off.exitCode == 1, "\(off)")
    #expect(
      off.output.contains(#"warning: clients.shop.oauth: has no effect without "oauth" in gateway.json"#), "\(off)")
  }
}
