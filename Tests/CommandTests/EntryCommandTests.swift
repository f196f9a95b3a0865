import Foundation
import Policies
import Testing

/// `instance new` and `client new` over real files.
@Suite(.timeLimit(.minutes(10))) struct EntryCommandTests {
  private let folder: PolicyCopy

  /// Nothing listens on the folder's admin port.
  init() throws { folder = try PolicyCopy(gateway: #"{ "admin": "127.0.0.1:1" }"#) }

  private func run(_ arguments: String...) throws -> Program.Outcome {
    try Program.run(arguments + ["--policies", folder.path])
  }

  private func text(_ name: String) throws -> String {
    try String(contentsOfFile: "\(folder.path)/\(name)", encoding: .utf8)
  }

  private func write(_ text: String, _ name: String) throws {
    let file = URL(filePath: "\(folder.path)/\(name)")
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: file)
  }

  private func check(_ keys: [String: String] = [:]) throws -> Program.Outcome {
    try Program.run(
      ["check", "--strict", "--policies", folder.path], environment: Program.keys.merging(keys) { $1 })
  }

  private var files: [String: String] {
    get throws {
      let names = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
      return Dictionary(uniqueKeysWithValues: names.map { name in (name, (try? text(name)) ?? "") })
    }
  }

  @Test func `instance new adds an instance, and touches nothing else`() throws {
    let before = try text("instances.json")
    let path = folder.path + "/instances.json"
    try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
    let made = try run("instance", "new", "inst_third", "--core", "https://third.internal:5001", "--key-env", "THIRD")
    #expect(made.exitCode == 0 && made.output.isEmpty, "\(made.errors)")
    #expect(
      made.errors.contains("Instance inst_third is in \(path).") && made.errors.contains("No gateway answers at "))
    let added =
      ",\n    \"inst_third\": {\n      \"url\": \"https://third.internal:5001\",\n"
      + "      \"key\": { \"env\": \"THIRD\" }\n    }"
    let after = try text("instances.json")
    #expect(after.replacing(added, with: "") == before && after.count == before.count + added.count, "\(after)")
    #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o640)
    let checked = try check(["THIRD": "three"])
    #expect(checked.exitCode == 0 && checked.output.contains("3 instances"), "\(checked.output)")
  }

  @Test func `instance new finds a key file where its user means it`() throws {
    let lines = """
      '\(Program.path)' instance new a --core https://a.internal --key-file a.key --policies '\(folder.path)' --no-wait &&
        echo one > a.key && chmod 600 a.key && pwd &&
        BLNK_DEMO_KEY=1 BLNK_SECOND_KEY=2 '\(Program.path)' check --strict --policies '\(folder.path)'
      """
    let outcome = try Program.shell(lines)
    #expect(outcome.exitCode == 0 && outcome.errors.contains("at the gateway's next reload"), "\(outcome)")
    let working = try #require(outcome.output.split(separator: "\n").first)
    #expect(try text("instances.json").contains(#""key": { "file": "\#(working)/a.key" }"#))
  }

  @Test func `client new adds a client and, with --token, prints a token that may do what the client may`() throws {
    let before = try text("clients.json")
    let made = try run(
      "client", "new", "shop", "--instances", "inst_demo,inst_second", "--scopes", "proxy:read", "--token")
    #expect(made.exitCode == 0 && made.output.split(separator: "\n").count == 1, "\(made.errors)")
    let token = String(made.output.dropLast())
    #expect(Token.hasValidChecksum(token) && !made.errors.contains(token))
    let added = """
      ,
          "shop": {
            "scopes": ["proxy:read"],
            "instances": ["inst_demo", "inst_second"],
            "tokens": [
              { "sha256": "\(Token.digest(of: token))" }
            ]
          }
      """
    let after = try text("clients.json")
    #expect(after.replacing(added, with: "") == before && after.count == before.count + added.count, "\(after)")
    #expect(try check().exitCode == 0)
    for (method, isAllowed) in [("GET", true), ("POST", false)] {
      let explained = try Program.run(
        ["explain", "--token-stdin", "--method", method, "--target", "/balances/b?instance_id=inst_second"]
          + ["--policies", folder.path], input: token, environment: Program.keys)
      #expect(explained.exitCode == (isAllowed ? 0 : 1), "\(explained)")
    }
  }

  @Test func `client new without --token says how to get one, and has the documented defaults`() throws {
    let made = try run("client", "new", "shop", "--instances", "*", "--default-instance", "inst_demo")
    #expect(made.exitCode == 0 && made.output.isEmpty, "\(made.errors)")
    #expect(made.errors.contains("without a token yet: blnk-gateway token new --client shop\n"))
    #expect(made.errors.contains("clients.shop.instances: grants all instances"), "notes are shown")
    #expect(
      try text("clients.json").contains(
        "\"scopes\": [\"proxy:read\", \"proxy:write\"],\n      \"instances\": [\"*\"],\n"
          + "      \"default_instance\": \"inst_demo\"\n    }"))
    #expect(try run("token", "new", "--client", "shop").exitCode == 0)
    #expect(try Program.run(["check", "--policies", folder.path], environment: Program.keys).exitCode == 0)
  }

  @Test func `an entry gets its own file where others have one`() throws {
    try write(
      #"{"instances": {"a": {"url": "https://a.internal", "key": {"env": "BLNK_DEMO_KEY"}}}}"#, "instances/a.json")
    try write(#"{"clients": {"x": {"scopes": ["proxy:read"], "instances": ["a"]}}}"#, "clients/x.json")
    let before = try files
    #expect(try run("instance", "new", "b", "--core", "https://b", "--key-env", "BLNK_DEMO_KEY").exitCode == 0)
    let made = try run("client", "new", "y", "--instances", "b", "--default-instance", "b", "--token")
    #expect(made.exitCode == 0 && made.errors.contains("/clients/y.json"), "\(made.errors)")
    #expect(try files.filter { before[$0.key] == nil }.keys.sorted() == ["clients/y.json", "instances/b.json"])
    #expect(try files.filter { before[$0.key] != nil } == before)
    #expect(try check().output.contains("4 clients, 4 instances"))
    #expect(try run("token", "new", "--client", "y").exitCode == 0)
    let taken = try run("client", "new", "x", "--instances", "b")
    #expect(taken.exitCode == 1 && taken.errors.contains("already has a client \"x\""))
    try write(#"{"clients": {"q": {"scopes": ["proxy:read"], "instances": ["a"]}}}"#, "clients/z.json")
    let named = try run("client", "new", "z", "--instances", "b")
    #expect(
      named.exitCode == 1 && named.errors.contains("/clients/z.json already exists and does not define clients.z"))
  }

  private static let instance = ["--core", "https://c", "--key-env", "K"]

  @Test(arguments: [
    (["instance", "new", "inst_demo"] + instance, 1, "already has an instance \"inst_demo\"; nothing was written"),
    (["instance", "new", "a b"] + instance, 2, "ID a b: must be 1 to 64 characters"),
    (["instance", "new", "../a"] + instance, 2, "ID ../a: must be 1 to 64 characters"),
    (["instance", "new", "a", "--core", "core:5001", "--key-env", "K"], 2, "--core must start with http://"),
    (["instance", "new", "a", "--core", "http://u:p@c", "--key-env", "K"], 2, "--core must not have a user name"),
    (
      ["instance", "new", "a", "--core", "https://c", "--key-env", "1K"], 1,
      "the key must be the name of an environment"
    ),
    (["instance", "new", "a", "--core", "https://c", "--key-env", "K\nL"], 1, "must not contain control characters"),
    (["instance", "new", "a", "--key-file", "k"] + instance, 2, "give only one of --key-env, --key-file and"),
    (["client", "new", "demo-app", "--instances", "*"], 1, "already has a client \"demo-app\"; nothing was written"),
    (["client", "new", "a/b", "--instances", "*"], 2, "ID a/b: must be 1 to 64 characters"),
    (["client", "new", "a", "--instances", "inst_dem"], 1, #"unknown instance "inst_dem""#),
    (["client", "new", "a", "--instances", "inst_demo,"], 2, "--instances has an empty name"),
    (["client", "new", "a", "--instances", "inst_demo,inst_demo"], 2, "--instances names something twice"),
    (["client", "new", "a", "--instances", "*,inst_demo"], 2, "--instances: '*' includes all others; give it alone"),
    (["client", "new", "a", "--instances", "*", "--scopes", "proxy:raed"], 1, #"(did you mean "proxy:read"?)"#),
    (
      ["client", "new", "a", "--instances", "inst_demo", "--default-instance", "inst_second"], 1,
      "--default-instance inst_second is not one of --instances; nothing was written"
    ),
    (
      ["client", "new", "a", "--instances", "*", "--default-instance", "inst_dem"], 1,
      #"(did you mean "inst_demo"?); nothing was written"#
    ),
  ])
  func `writes nothing that would not be valid, and names the fault`(
    arguments: [String], exitCode: Int32, part: String
  ) throws {
    let before = try files
    let outcome = try Program.run(arguments + ["--policies", folder.path])
    #expect(outcome.exitCode == exitCode && outcome.output.isEmpty && outcome.errorLines.count == 1, "\(outcome)")
    #expect(outcome.errors.contains(part), "\(outcome.errors)")
    #expect(try files == before)
  }

  /// Also if a running gateway would keep the last good content of the faulty file.
  @Test(arguments: [
    ("routes.json", "{"), ("clients.json", "{"), ("instances.json", "{"), ("gateway.json", "{"), ("revoked.json", "{"),
    ("clients/x.json", "{"), ("instances/x.json", #"{"instances": {"x": {"url": "x", "key": {"env": "K"}}}}"#),
  ])
  func `changes nothing in a folder that is invalid, and says what is`(name: String, content: String) throws {
    try write(content, name)
    let before = try files
    for command in [["instance", "new", "a"] + Self.instance, ["client", "new", "a", "--instances", "inst_demo"]] {
      let outcome = try Program.run(command + ["--policies", folder.path])
      #expect(outcome.exitCode == 1 && outcome.errors.contains("\(folder.path)/\(name):1: "), "\(outcome.errors)")
      #expect(outcome.errors.hasSuffix(" is invalid; nothing was written; correct it first\n"))
    }
    #expect(try files == before)
  }

  @Test func `client new makes no client that is already revoked`() throws {
    try write(#"{"revoked": {"tokens": [], "clients": ["shop"]}}"#, "revoked.json")
    let outcome = try run("client", "new", "shop", "--instances", "inst_demo", "--token")
    #expect(outcome.exitCode == 1 && outcome.output.isEmpty)
    #expect(outcome.errors.contains("/revoked.json revokes the client \"shop\"; nothing was written"))
  }

  @Test func `client new knows the scopes of routes.json`() throws {
    try write(
      #"{"routes": {"/proxy/balances": {"GET": {"scope": "balances:list", "operation": "balances.list"}}}}"#,
      "routes.json")
    let unknown = try run("client", "new", "a", "--instances", "inst_demo")
    #expect(unknown.exitCode == 1 && unknown.errors.contains("known: balances:list"), "\(unknown.errors)")
    #expect(try run("client", "new", "a", "--instances", "inst_demo", "--scopes", "balances:list").exitCode == 0)
  }

  @Test func `edits at once all happen, one after the other`() throws {
    let programs = try (0..<6).map { number in
      try Program.start(["client", "new", "c\(number)", "--instances", "inst_demo", "--policies", folder.path])
    }
    for (number, outcome) in programs.map({ $0.end() }).enumerated() where outcome.exitCode != 0 {
      // On a loaded machine the others may take too long.
      #expect(outcome.errors.hasSuffix("try again\n"), "\(outcome.errors)")
      #expect(try run("client", "new", "c\(number)", "--instances", "inst_demo").exitCode == 0)
    }
    let checked = try check()
    #expect(checked.exitCode == 0 && checked.output.contains("8 clients"), "\(checked.output)")
  }
}
