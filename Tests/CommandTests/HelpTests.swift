import Testing

/// Help texts, on standard output.
@Suite(.timeLimit(.minutes(10))) struct HelpTests {
  private static let commands = [
    "init", "serve", "check", "diff", "explain", "health", "demo", "sandbox", "instance new", "client new",
    "client secret new", "client secret rotate", "client secret revoke", "token new", "token hash", "token list",
    "token revoke", "token rotate", "token scan", "oauth code", "idempotency list", "idempotency show",
    "idempotency resolve",
    "idempotency forget", "top", "requests", "audit verify", "audit show", "audit outcomes", "audit grants",
    "audit reloads",
    "version",
  ]

  @Test(arguments: commands)
  func `has usage, options, exit codes and an example, and "help COMMAND" prints the same`(command: String) throws {
    let words = command.split(separator: " ").map(String.init)
    let outcome = try Program.run(words + ["--help"])
    #expect(outcome.exitCode == 0 && outcome.errors.isEmpty)
    #expect(outcome.output.hasPrefix("blnk-gateway \(command): "))
    #expect(outcome.output.contains("\nUsage: blnk-gateway \(command)"))
    #expect(outcome.output.contains("\nExit codes:\n  0  "))
    #expect(outcome.output.contains("\n  2  the command line is invalid\n"))
    #expect(outcome.output.contains(#/\nExample:\n(  .*\n)*  (.*\| )?blnk-gateway /#))
    #expect(outcome.output.contains("--help"))
    #expect(!outcome.output.contains("\u{1b}"))
    #expect(outcome.output.split(separator: "\n").allSatisfy { $0.count <= 120 }, "\(outcome.output)")
    let help = try Program.run(["help"] + words)
    #expect(help.exitCode == 0 && help.output == outcome.output && help.errors.isEmpty)
  }

  @Test(arguments: [
    ["token", "--help"], ["token", "-h"], ["help", "token"], ["audit", "--help"], ["help", "audit"],
    ["instance", "--help"], ["help", "client"],
  ])
  func `lists the commands of a group, and no others`(arguments: [String]) throws {
    let group = try #require(arguments.first { !$0.hasSuffix("-h") && !$0.hasSuffix("help") })
    let outcome = try Program.run(arguments)
    #expect(outcome.exitCode == 0 && outcome.errors.isEmpty)
    for command in Self.commands {
      #expect(outcome.output.contains("\n  \(command) ") == command.hasPrefix("\(group) "), "\(command)")
    }
  }

  @Test(arguments: [["--help"], ["-h"], ["help"]])
  func `lists all commands`(arguments: [String]) throws {
    let outcome = try Program.run(arguments)
    #expect(outcome.exitCode == 0 && outcome.errors.isEmpty)
    #expect(Self.commands.allSatisfy { outcome.output.contains("\n  \($0) ") }, "\(outcome.output)")
  }
}
