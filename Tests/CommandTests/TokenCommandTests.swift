import Digests
import Foundation
import Policies
import Testing

/// `token list`, `new --client`, `revoke` and `rotate` over real files.
@Suite(.timeLimit(.minutes(10))) struct TokenCommandTests {
  private let folder: PolicyCopy

  /// Nothing listens on the folder's admin port.
  init() throws { folder = try PolicyCopy(gateway: #"{ "admin": "127.0.0.1:1" }"#) }

  private var clients: String { folder.path + "/clients.json" }

  private func run(_ arguments: String..., input: String = "") throws -> Program.Outcome {
    try Program.run(["token"] + arguments + ["--policies", folder.path], input: input)
  }

  private func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

  private func digest(_ outcome: Program.Outcome) -> String {
    Token.digest(of: String(outcome.output.dropLast())).hex
  }

  @Test func `new gives a client a token, prints it once, and touches nothing else`() throws {
    let before = try text(clients)
    try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: clients)
    let made = try run("new", "--client", "demo-app", "--note", "a \"b\"", "--expires", "2099-01-01T00:00:00Z")
    #expect(made.exitCode == 0 && made.output.split(separator: "\n").count == 1, "\(made.errors)")
    #expect(Token.hasValidChecksum(String(made.output.dropLast())))
    #expect(!made.errors.contains(made.output.dropLast()) && made.errors.contains("No gateway answers at "))
    let line =
      #",\#n        { "sha256": "\#(digest(made))", "expires": "2099-01-01T00:00:00Z", "note": "a \"b\"" }"#
    let after = try text(clients)
    #expect(after.replacing(line, with: "") == before && after.count == before.count + line.count)
    #expect(!after.contains(made.output.dropLast()))
    #expect(try FileManager.default.attributesOfItem(atPath: clients)[.posixPermissions] as? Int == 0o640)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).allSatisfy { !$0.hasSuffix(".tmp") })
    #expect(try Program.run(["check", "--policies", folder.path], environment: Program.keys).exitCode == 0)
  }

  @Test func `list shows digests, states, ends and notes, and no token`() throws {
    let made = try run("new", "--client", "demo-reader", "--note", "laptop", "--expires", "90d")
    _ = try run("revoke", "--digest", "bd0674ab")
    let listed = try run("list")
    let lines = listed.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
    #expect(lines[0] == ["CLIENT", "DIGEST", "STATE", "EXPIRES", "INSTANCES", "DEFAULT", "NOTE"] && lines.count == 4)
    #expect(lines[1].prefix(6) == ["demo-app", "7fa1f13e00e3", "active", "never", "-", "-"])
    #expect(lines[2].prefix(3) == ["demo-reader", "bd0674ab0ed1", "revoked"])
    #expect(lines[3].prefix(3) == ["demo-reader", String(digest(made).prefix(12)), "active"])
    #expect(!listed.output.contains(made.output.dropLast()))
    let json = try run("list", "--client", "demo-app", "--json").output
    let object = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: [[String: String]]]
    #expect(object?["tokens"]?.map { $0["state"] } == ["active"] && object?["tokens"]?.count == 1)
    let unknown = try run("list", "--client", "demo-ap")
    #expect(unknown.exitCode == 1 && unknown.errors.contains(#"(did you mean "demo-app"?)"#))
  }

  @Test func `new binds a token to one instance, and list shows what tokens are bound to`() throws {
    let shop =
      #"{ "clients": { "demo-app": { "scopes": ["*"], "instances": ["inst_demo", "inst_second"], "#
      + #""tokens": [{ "sha256": "\#(String(repeating: "0", count: 64))" }] } } }"#
    try Data(shop.utf8).write(to: URL(filePath: clients))
    let made = try run("new", "--client", "demo-app", "--instance", "inst_second", "--note", "shop")
    #expect(made.exitCode == 0 && made.errors.contains("for demo-app, bound to inst_second,"), "\(made.errors)")
    let entry = #"{ "sha256": "\#(digest(made))", "note": "shop", "instances": ["inst_second"] }"#
    #expect(try text(clients).contains(entry))
    let more =
      #"{ "sha256": "\#(digest(made).dropLast(4))0000", "instances": ["inst_demo", "inst_second"], "#
      + #""default_instance": "inst_demo" }"#
    try Data(text(clients).replacing(entry, with: "\(entry), \(more)").utf8).write(to: URL(filePath: clients))
    #expect(try Program.run(["check", "--policies", folder.path], environment: Program.keys).exitCode == 0)
    let lines = try run("list", "--client", "demo-app").output.split(separator: "\n").map { line in
      line.split(separator: " ").map(String.init)
    }
    try #require(lines.count == 4)
    #expect(lines[2].suffix(3) == ["inst_second", "-", "shop"])
    #expect(lines[3].suffix(2) == ["inst_demo,inst_second", "inst_demo"])
    let json = try run("list", "--client", "demo-app", "--json").output
    let object = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: [[String: Any]]]
    let tokens = try #require(object?["tokens"])
    #expect(tokens.count == 3 && tokens[0]["instances"] == nil && tokens[0]["default_instance"] == nil)
    #expect(tokens[1]["instances"] as? [String] == ["inst_second"])
    #expect(tokens[2]["instances"] as? [String] == ["inst_demo", "inst_second"])
    #expect(tokens[2]["default_instance"] as? String == "inst_demo")
    let printed = try run("new", "--instance", "inst_second")
    #expect(printed.exitCode == 0 && printed.errors.contains(#""instances": ["inst_second"] }"#))
  }

  /// The gateway would reject the whole file.
  @Test func `new binds no token to an instance that is not the client's`() throws {
    let shop =
      #"{ "clients": { "shop": { "scopes": ["*"], "instances": ["inst_demo"] }, "#
      + #""all": { "scopes": ["*"], "instances": ["*"] } } }"#
    try Data(shop.utf8).write(to: URL(filePath: clients))
    for (client, instance, message) in [
      ("shop", "inst_second", #"clients.json: clients.shop.instances does not contain "inst_second""#),
      ("shop", "inst_dem", #"(did you mean "inst_demo"?)"#),
      ("all", "inst_thrid", #"unknown instance "inst_thrid" in "#),
      ("shop", "a b", "--instance a b: not a valid instance name"),
    ] {
      let outcome = try run("new", "--client", client, "--instance", instance)
      #expect(outcome.exitCode != 0 && outcome.output.isEmpty && outcome.errors.contains(message), "\(outcome.errors)")
    }
    #expect(try text(clients) == shop)
    #expect(try run("new", "--client", "all", "--instance", "inst_second").exitCode == 0)
    #expect(try Program.run(["check", "--policies", folder.path], environment: Program.keys).exitCode == 0)
    // Without a gateway to ask, the token is made.
    try Data("{".utf8).write(to: URL(filePath: folder.path + "/instances.json"))
    #expect(try run("new", "--client", "all", "--instance", "inst_new").exitCode == 0)
  }

  @Test func `revoke ends one token, keeps it listed, and refuses what is ambiguous`() throws {
    let first = #""sha256": "7fa1f13e00e3e630c90c9d7065ffc12a10850ab022ae6d974e40d9710bb41529""#
    let twin = first.replacing("41529", with: "41530")
    let both = try text(clients).replacing("{ \(first)", with: "{ \(twin) }, { \(first)")
    try Data(both.utf8).write(to: URL(filePath: clients))
    let ambiguous = try run("revoke", "--digest", "7FA1F13E")
    #expect(ambiguous.exitCode == 1 && ambiguous.errors.contains("2 digests begin like this: 7fa1f13e00e3 of demo-app"))
    #expect(try text(clients) == both)
    let digest = String(first.suffix(65).prefix(64))
    let revoked = try run("revoke", "--digest", digest)
    #expect(revoked.exitCode == 0 && revoked.output.isEmpty, "\(revoked.errors)")
    let file = folder.path + "/revoked.json"
    let after = try text(file)
    #expect(after.contains("\"\(digest)\"") && !after.contains("41530"))
    let again = try run("revoke", "--digest", digest)
    #expect(again.exitCode == 0 && again.errors.contains("is already revoked"))
    #expect(try text(file) == after && text(clients) == both)
    let other = try run("revoke", "--digest", "bd0674ab")
    #expect(other.exitCode == 0, "\(other.errors)")
    let list = try text(file)
    #expect(list.contains("\"\(digest)\"") && list.contains("\"bd0674ab0ed1"))
    let client = try run("revoke", "--client", "demo-app", "--all")
    #expect(try client.exitCode == 0 && text(file).contains("\"demo-app\""), "\(client.errors)")
    #expect(try run("revoke", "--client", "demo-ap", "--all").errors.contains("did you mean"))
    #expect(try Program.run(["check", "--policies", folder.path], environment: Program.keys).exitCode == 0)
    #expect(try run("revoke", "--digest", "0000").exitCode == 1)
  }

  @Test func `revoke takes a token of no client if tokens need no entry`() throws {
    func revoke(gateway: String) throws -> Program.Outcome {
      let copy = try PolicyCopy(gateway: gateway)
      let outcome = try Program.run(
        ["token", "revoke", "--token-stdin", "--policies", copy.path], input: "of-another-server")
      if outcome.exitCode == 0 {
        let digest = Token.digest(of: "of-another-server").hex
        #expect(try text(copy.path + "/revoked.json").contains(digest))
        let text = "the token, which no client has, \(digest.prefix(12)) is revoked"
        #expect(outcome.errors.contains(text), "\(outcome.errors)")
      }
      return outcome
    }
    let provider =
      #""url": "https://a.example/i", "client_id": "gw", "client_secret": { "env": "DEMO_KEY" }, "audience": null, "#
      + #""scopes": { "a": ["proxy:read"] }, "clients": { "by_sub": { "bob": "demo-app" } }, "default": true"#
    let known = try revoke(gateway: #"{ "admin": "127.0.0.1:1", "introspection": { "corp": { \#(provider) } } }"#)
    #expect(known.exitCode == 0, "\(known.errors)")
    let keys = #""keys": [{ "id": "k1", "env": "DEMO_KEY" }]"#
    let signing = try revoke(
      gateway: #"{ "admin": "127.0.0.1:1", "oauth": { "issuer": "https://gateway.example", \#(keys) } }"#)
    #expect(signing.exitCode == 0, "\(signing.errors)")
    let unknown = try revoke(gateway: #"{ "admin": "127.0.0.1:1" }"#)
    #expect(unknown.exitCode == 1 && unknown.errors.contains("no client has this token"))
  }

  @Test func `revoke takes a signed token by its digest while the policy is invalid`() throws {
    try Data("{".utf8).write(to: URL(filePath: folder.path + "/routes.json"))
    let rest = String(repeating: "A", count: 120)
    let outcome = try run("revoke", "--token-stdin", input: "blnk_at_" + rest)
    #expect(outcome.exitCode == 0 && outcome.errors.contains("whose client is not known"), "\(outcome.errors)")
    #expect(outcome.errors.contains("routes.json"))
    #expect(try text(folder.path + "/revoked.json").contains(Token.digest(of: "blnk_at_" + rest).hex))
    // Its digest does not revoke the tokens that it gave.
    let refresh = try run("revoke", "--token-stdin", "--client", "demo-app", input: "blnk_rt_" + rest)
    #expect(refresh.exitCode == 0 && refresh.errors.contains("--client ID --all"), "\(refresh.errors)")
    #expect(refresh.errors.contains("belongs to demo-app was not checked"))
    #expect(try text(folder.path + "/revoked.json").contains(Token.digest(of: "blnk_rt_" + rest).hex))
  }

  @Test func `revoke takes a leaked token from standard input, and shows it nowhere`() throws {
    let token = try run("new", "--client", "demo-app").output
    let revoked = try run("revoke", "--token-stdin", input: token)
    #expect(revoked.exitCode == 0 && !(revoked.errors + revoked.output).contains(token.dropLast()))
    #expect(try run("list").output.split(separator: "\n").filter { $0.contains("revoked") }.count == 1)
    let misplaced = try run("revoke", "--digest", String(token.dropLast()))
    #expect(misplaced.exitCode == 2 && !misplaced.errors.contains(token.dropLast()))
  }

  @Test func `rotate adds a new token, and the old one expires after the grace period`() throws {
    let before = try text(clients)
    let rotated = try run("rotate", "--client", "demo-app", "--grace", "2h")
    #expect(rotated.exitCode == 0, "\(rotated.errors)")
    let list = try run("list", "--client", "demo-app", "--json").output
    let tokens = try JSONSerialization.jsonObject(with: Data(list.utf8)) as? [String: [[String: String]]]
    let (old, new) = (tokens?["tokens"]?.first, tokens?["tokens"]?.last)
    #expect(tokens?["tokens"]?.count == 2 && old?["state"] == "active" && new?["state"] == "active")
    #expect(new?["digest"] == String(digest(rotated).prefix(12)) && new?["note"] == old?["note"])
    let end = try #require(old?["expires"].flatMap(UnixSeconds.init(rfc3339:)))
    #expect(
      abs(end.rawValue - Int64(Date().timeIntervalSince1970) - 7200) < 60 && new?["expires"] == nil,
      "as the old one had it")
    #expect(try text(clients).count > before.count)
    _ = try run("new", "--client", "demo-reader", "--expires", "90d")
    let dated = try run("list", "--client", "demo-reader", "--json").output
    let lasting = try JSONSerialization.jsonObject(with: Data(dated.utf8)) as? [String: [[String: String]]]
    let last = try #require(lasting?["tokens"]?.last)
    let kept = try run("rotate", "--client", "demo-reader", "--digest", last["digest"] ?? "")
    #expect(kept.exitCode == 0 && kept.errors.contains("it expires at \(last["expires"] ?? "?")"), "\(kept.errors)")
    let several = try run("rotate", "--client", "demo-app")
    #expect(several.exitCode == 1 && several.errors.contains("has 2 active tokens: 7fa1f13e00e3, "))
    #expect(try run("rotate", "--client", "demo-app", "--digest", "7fa1", "--grace", "0s").exitCode == 0)
    #expect(try run("rotate", "--client", "demo-app", "--digest", "7fa1").errors.contains("is not active"))
    for arguments in [["--client", "demo-app", "--grace", "soon"], []] {
      #expect(try Program.run(["token", "rotate", "--policies", folder.path] + arguments).exitCode == 2)
    }
  }

  @Test func `edits what a link in clients/ leads to, and leaves the link`() throws {
    let target = folder.path + "/elsewhere"
    try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
    try FileManager.default.createDirectory(atPath: folder.path + "/clients", withIntermediateDirectories: true)
    let shop = #"{ "clients": { "shop": { "scopes": [], "instances": [] } } }"#
    try Data(shop.utf8).write(to: URL(filePath: target + "/shop.json"))
    let link = folder.path + "/clients/shop.json"
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "../elsewhere/shop.json")
    let made = try run("new", "--client", "shop")
    #expect(made.exitCode == 0, "\(made.errors)")
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == "../elsewhere/shop.json")
    #expect(
      try text(target + "/shop.json")
        == shop.replacing("[] }", with: #"[], "tokens": [{ "sha256": "\#(digest(made))" }] }"#))
  }

  @Test func `edits at once all happen, one after the other`() throws {
    let programs = try (0..<8).map { _ in
      try Program.start(["token", "new", "--client", "demo-app", "--policies", folder.path])
    }
    let tokens = try programs.map { $0.end() }.map { outcome in
      // On a loaded machine the others may take too long.
      outcome.errors.hasSuffix("try again\n") ? try run("new", "--client", "demo-app") : outcome
    }
    #expect(tokens.allSatisfy { $0.exitCode == 0 })
    let after = try text(clients)
    #expect(tokens.allSatisfy { after.contains(digest($0)) })
  }

  @Test func `an edit waits for another, then says so`() throws {
    let number = unsafe open(folder.path, O_RDONLY | O_DIRECTORY)
    defer { close(number) }
    #expect(flock(number, LOCK_EX) == 0)
    let outcome = try run("new", "--client", "demo-app")
    #expect(outcome.exitCode == 1 && outcome.output.isEmpty)
    #expect(outcome.errors.hasSuffix("another command is editing this folder; try again\n"))
  }

  @Test(arguments: [
    ["new", "--client", "demo-ap"], ["new", "--client", "demo-app", "--expires", "2020-01-01T00:00:00Z"],
    ["new", "--note", ""], ["new", "--client", "demo-app", "--note", "a\u{7}"], ["revoke"],
    ["revoke", "--digest", "7fa"],
    ["revoke", "--digest", "7fa1", "--token-stdin"], ["revoke", "7fa1f13e"], ["revoke", "--client", "demo-app"],
  ])
  func `changes nothing if the command line is invalid`(arguments: [String]) throws {
    let before = try text(clients)
    let outcome = try Program.run(["token"] + arguments + ["--policies", folder.path])
    #expect(outcome.exitCode != 0 && outcome.output.isEmpty && outcome.errorLines.count == 1)
    #expect(try text(clients) == before)
  }
}
