import Digests
import Foundation
import Policies
import TestFolders
import Testing

/// `init` over real folders.
@Suite(.timeLimit(.minutes(10))) struct InitCommandTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private var policies: String { folder.path + "/new" }

  private func text(_ name: String) throws -> String {
    try String(contentsOfFile: "\(policies)/\(name)", encoding: .utf8)
  }

  private func run(_ arguments: String..., environment: [String: String] = ["BLNK_KEY": "one"]) throws
    -> Program.Outcome
  {
    try Program.run(["init", policies] + arguments, environment: environment)
  }

  @Test func `makes a folder that is valid, whose token may use the Core, and prints the token once`() throws {
    let made = try run("--core", "http://127.0.0.1:5001", "--key-env", "BLNK_KEY")
    #expect(made.exitCode == 0 && made.output.split(separator: "\n").count == 1, "\(made.errors)")
    let token = String(made.output.dropLast())
    #expect(Token.hasValidChecksum(token) && !made.errors.contains(token))
    #expect(made.errors.contains("Next: blnk-gateway serve --policies "))
    let files = try FileManager.default.contentsOfDirectory(atPath: policies).sorted()
    #expect(files == ["clients.json", "instances.json"])
    for file in files { #expect(try !text(file).contains(token)) }
    let explained = try Program.run(
      ["explain", "--token-stdin", "--method", "POST", "--target", "/balances", "--policies", policies],
      input: token, environment: ["BLNK_KEY": "one"])
    #expect(explained.output.hasSuffix("relayed: POST /balances HTTP/1.1 to http://127.0.0.1:5001\n"), "\(explained)")
  }

  @Test func `finds a key file where its user means it`() throws {
    try folder.write("one", to: "core.key")
    let key = folder.path + "/core.key"
    let made = try run("--core", "http://127.0.0.1:5001", "--key-file", key)
    #expect(made.exitCode == 0, "\(made.errors)")
    #expect(try text("instances.json").contains(#""key": { "file": "\#(key)" }"#))
    // The program's working directory is an empty folder.
    let lines = """
      echo one > core.key && '\(Program.path)' init made --core http://127.0.0.1:5001 --key-file core.key
      '\(Program.path)' check --policies made
      """
    let relative = try Program.shell(lines)
    #expect(relative.exitCode == 0 && relative.output.contains("made: 1 client, 1 instance, "), "\(relative)")
  }

  @Test func `names instance and client as its user does, and takes a credential that only the service has`() throws {
    let made = try run(
      "--core", "https://core.internal", "--key-credential", "core.key", "--instance", "inst_a", "--client", "shop")
    #expect(made.exitCode == 0, "\(made.errors)")
    #expect(try text("instances.json").contains(#""key": { "credential": "core.key" }"#))
    try folder.write("one", to: "core.key")
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: folder.path("core.key"))
    let checked = try Program.run(
      ["check", "--strict", "--policies", policies], environment: ["CREDENTIALS_DIRECTORY": folder.path])
    #expect(checked.exitCode == 0, "\(checked.output)")
    let explained = try Program.run(
      ["explain", "--client", "shop", "--method", "GET", "--target", "/balances", "--policies", policies],
      environment: ["CREDENTIALS_DIRECTORY": folder.path])
    #expect(explained.output.contains("inst_a"), "\(explained)")
  }

  @Test(arguments: [
    (["--core", "http://127.0.0.1:5001", "--key-env", "ABSENT"], 1, "ABSENT is not set"),
    (["--core", "ftp://127.0.0.1", "--key-env", "BLNK_KEY"], 2, "--core must start with http://"),
    (["--core", "http://127.0.0.1:5001", "--key-file", "/nowhere/core.key"], 1, "/nowhere/core.key does not exist"),
    (["--core", "http://127.0.0.1\"", "--key-env", "BLNK_KEY"], 2, "--core must have a host name"),
    (["--core", "http://c", "--key-env", "BLNK_KEY", "--instance", "a b"], 2, "--instance a b: must be 1 to 64"),
    (["--core", "http://c", "--key-env", "BLNK_KEY", "--client", "*"], 2, "--client *: must be 1 to 64"),
    (["--core", "http://c", "--key-credential", ".."], 1, "must be the name of a credential"),
  ])
  func `writes nothing if the policy would be invalid, and names the fault`(
    arguments: [String], exitCode: Int32, part: String
  ) throws {
    let outcome = try Program.run(["init", policies] + arguments, environment: ["BLNK_KEY": "one"])
    #expect(outcome.exitCode == exitCode && outcome.output.isEmpty)
    #expect(outcome.errors.contains(part) && outcome.errorLines.count == 1, "\(outcome.errors)")
    #expect(!FileManager.default.fileExists(atPath: policies))
  }

  @Test(arguments: ["clients.json", "instances.json", "gateway.json", "routes.json", "revoked.json", "clients"])
  func `leaves a folder alone that has policy files`(name: String) throws {
    try FileManager.default.createDirectory(atPath: policies, withIntermediateDirectories: true)
    try folder.write("{}", to: "new/\(name)")
    let outcome = try run("--core", "http://127.0.0.1:5001", "--key-env", "BLNK_KEY")
    #expect(outcome.exitCode == 1 && outcome.errors.contains("already has \(name); nothing was written"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: policies) == [name])
  }

  @Test(arguments: [
    ([], "missing --core URL, and one of --key-env, --key-file and --key-credential; see --help"),
    (["--core", "http://c"], "missing one of --key-env, --key-file and --key-credential; see --help"),
    (["--key-env", "BLNK_KEY"], "missing --core URL; see --help"),
    (
      ["--core", "http://c", "--key-env", "A", "--key-file", "b"],
      "give only one of --key-env, --key-file and --key-credential; see --help"
    ),
    (["--policies", "x"], "unknown option --policies; see --help"),
    (["more"], "unexpected argument \"more\"; it takes one DIR; see --help"),
  ])
  func `names the missing option where it cannot ask`(arguments: [String], message: String) throws {
    let outcome = try Program.run(["init", policies] + arguments, environment: ["BLNK_KEY": "one"])
    #expect(outcome.exitCode == 2 && outcome.errors == "error: init: \(message)\n", "\(outcome.errors)")
    #expect(!FileManager.default.fileExists(atPath: policies))
  }

  @Test func `needs a folder`() throws {
    #expect(try Program.run(["init"]).errors == "error: init: missing DIR; see --help\n")
  }

  @Test func `of two at once, one makes the folder`() throws {
    let programs = try (0..<2).map { _ in
      try Program.start(
        ["init", policies, "--core", "http://c", "--key-env", "BLNK_KEY"], environment: ["BLNK_KEY": "one"])
    }
    let outcomes = programs.map { $0.end() }
    #expect(outcomes.map(\.exitCode).sorted() == [0, 1], "\(outcomes)")
    let token = try #require(outcomes.first { $0.exitCode == 0 }).output.dropLast()
    #expect(try text("clients.json").contains(Token.digest(of: String(token)).hex))
  }

  // MARK: On a terminal

  private static let questions = [
    "The Core's URL [http://127.0.0.1:5001]: ",
    "Where its key is: env:NAME, file:PATH or credential:NAME [env:BLNK_KEY]: ", "The client's name [app]: ",
  ]

  private func answer(_ keys: String, _ arguments: String...) throws -> Program.TerminalOutcome {
    try Program.runOnTerminal(["init", policies] + arguments, typing: keys, environment: ["BLNK_KEY": "one"])
  }

  private func counts(_ outcome: Program.TerminalOutcome) -> [Int] {
    Self.questions.map { question in outcome.screen.ranges(of: question).count }
  }

  @Test func `asks on a terminal, and empty answers are the defaults`() throws {
    let made = try answer("\n\n\n")
    #expect(made.exitCode == 0 && counts(made) == [1, 1, 1], "\(made.screen)")
    let token = String(made.output.dropLast())
    #expect(Token.hasValidChecksum(token) && !made.screen.contains(token), "only the token is on standard output")
    #expect(made.screen.contains("\nNext: blnk-gateway serve --policies "), "\(made.screen)")
    #expect(try text("instances.json").contains(#""url": "http://127.0.0.1:5001""#))
    #expect(try text("clients.json").contains(#""app": {"#))
    let checked = try Program.run(["check", "--strict", "--policies", policies], environment: ["BLNK_KEY": "one"])
    #expect(checked.exitCode == 0, "\(checked.output)")
  }

  @Test func `asks only for what is missing`() throws {
    let refused = try answer(" file:core.key \n\u{4}", "--core", "http://c:1")
    #expect(refused.exitCode == 1 && counts(refused) == [0, 2, 0])
    // In the working directory, not in the policy folder.
    #expect(
      refused.screen.contains(#/  the file /.*/core\.key does not exist; write the key into it\n/#)
        && !refused.screen.contains("/new/core.key"), "\(refused.screen)")
    try folder.write("one", to: "core.key")
    let second = try answer("file:\(folder.path("core.key"))\nshop\n", "--core", "http://c:1")
    #expect(second.exitCode == 0 && counts(second) == [0, 1, 1], "\(second.screen)")
    #expect(try text("clients.json").contains(#""shop": {"#))
  }

  @Test func `explains a wrong answer and asks again, and never repeats what may be a key`() throws {
    let made = try answer("ftp://c\nhttp://c:1\nenv:ABSENT\nenv:BLNK_KEY\na b\nshop\n")
    #expect(made.exitCode == 0 && counts(made) == [2, 2, 2], "\(made.screen)")
    for reason in [
      "  the URL must start with http:// or https://\n", "  the environment variable ABSENT is not set",
      "  a client name must be 1 to 64 characters",
    ] {
      #expect(made.screen.contains(reason), "\(made.screen)")
    }
  }

  @Test func `gives up after three wrong answers`() throws {
    let refused = try answer("\nsecret\nsecret\nsecret\nenv:BLNK_KEY\n\n")
    #expect(refused.exitCode == 1 && counts(refused) == [1, 3, 0] && refused.output.isEmpty)
    #expect(refused.screen.contains("error: init: no valid answer in 3 attempts; nothing was written"))
    // The terminal shows what is typed; no message does.
    #expect(refused.screen.ranges(of: "secret").count == 3, "\(refused.screen)")
    #expect(!FileManager.default.fileExists(atPath: policies))
  }

  @Test(arguments: ["\u{4}", "\n\u{4}", "\n\n\u{4}"])
  func `writes nothing after Ctrl-D`(keys: String) throws {
    let ended = try answer(keys)
    #expect(ended.exitCode == 1 && ended.output.isEmpty)
    #expect(
      ended.screen.contains(
        "\nerror: init: the input ended before all questions were answered; nothing was written\n"), "\(ended.screen)")
    #expect(!FileManager.default.fileExists(atPath: policies))
  }

  @Test func `asks nothing about a folder that has policy files`() throws {
    try FileManager.default.createDirectory(atPath: policies, withIntermediateDirectories: true)
    try folder.write("{}", to: "new/routes.json")
    let outcome = try answer("\n\n\n")
    #expect(outcome.exitCode == 1 && counts(outcome) == [0, 0, 0], "\(outcome.screen)")
    #expect(outcome.screen.contains("already has routes.json; nothing was written"))
  }
}
