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
    try Program.run(
      ["init"] + arguments + ["--policies", policies], environment: environment)
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
      echo one > core.key && '\(Program.path)' init --core http://127.0.0.1:5001 --key-file core.key --policies made
      '\(Program.path)' check --policies made
      """
    let relative = try Program.shell(lines)
    #expect(relative.exitCode == 0 && relative.output.contains("made: 1 client, 1 instance, "), "\(relative)")
  }

  @Test(arguments: [
    (["--core", "http://127.0.0.1:5001", "--key-env", "ABSENT"], "ABSENT"),
    (["--core", "ftp://127.0.0.1", "--key-env", "BLNK_KEY"], "instances.main.url"),
    (["--core", "http://127.0.0.1:5001", "--key-file", "/nowhere/core.key"], "/nowhere/core.key"),
    (["--core", "http://127.0.0.1\"", "--key-env", "BLNK_KEY"], "instances.main.url"),
  ])
  func `writes nothing if the policy would be invalid, and names the fault`(arguments: [String], part: String) throws {
    let outcome = try Program.run(["init"] + arguments + ["--policies", policies], environment: ["BLNK_KEY": "one"])
    #expect(outcome.exitCode == 1 && outcome.output.isEmpty)
    #expect(outcome.errors.contains(part) && outcome.errors.contains("nothing was written"), "\(outcome.errors)")
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
    [], ["--core", "http://127.0.0.1:5001"],
    ["--core", "http://127.0.0.1:5001", "--key-env", "A", "--key-file", "b"],
  ])
  func `names the missing option`(arguments: [String]) throws {
    let outcome = try Program.run(["init"] + arguments)
    #expect(outcome.exitCode == 2 && outcome.errors.hasPrefix("error: init: "), "\(outcome.errors)")
  }
}
