import Glibc
import Policies
import System

/// The program: finds the command that the arguments name, runs it, and ends with its exit code.
@main enum BlnkGateway {
  static let commands = [
    Command.serve, .check, .explain, .demo, .sandbox, .tokenNew, .tokenHash, .tokenList, .tokenRevoke,
    .tokenRotate, .auditVerify, .auditShow, .auditOutcomes, .version,
  ]

  static func main() {
    do throws(Errno) {
      try openStandardStreams()
    } catch {
      Console.note("error: descriptors 0, 1 and 2 must be open, and /dev/null cannot stand for one: \(error)")
      exit(1)
    }
    exit(run(Array(CommandLine.arguments.dropFirst())))
  }

  /// 0: done; 1: failed, or the answer is no; 2: not understood; 3: written, but not in force.
  private static func run(_ arguments: [String]) -> Int32 {
    do throws(CommandFault) {
      if let asked = askedHelp(arguments) {
        try Console.print(try help(on: asked))
        return 0
      }
      if arguments.first == "--version" { return try Command.version.run(Arguments([], of: .version)) }
      let command = try command(named: arguments)
      let rest = arguments.dropFirst(command.words.count)
      if rest.contains("--help") || rest.contains("-h") {
        try Console.print(command.help)
        return 0
      }
      return try command.run(Arguments(rest, of: command))
    } catch {
      Console.note(Console.painted("error: ", .red, on: .errors) + error.message)
      return error.exitCode
    }
  }

  /// The words that help is asked on, such as those of `help token new` and `token --help`; nil: no help is asked, or one
  /// command's own.
  private static func askedHelp(_ arguments: [String]) -> ArraySlice<String>? {
    let words = ["--help", "-h"]
    guard let first = arguments.first else { return nil }
    if first == "help" || words.contains(first) { return arguments.dropFirst().prefix { !$0.hasPrefix("-") } }
    let isGroup = commands.contains { $0.words.count > 1 && $0.words[0] == first }
    return isGroup && arguments.count > 1 && words.contains(arguments[1]) ? arguments.prefix(1) : nil
  }

  private static func help(on words: ArraySlice<String>) throws(CommandFault) -> String {
    guard let first = words.first else { return help }
    let group = commands.filter { $0.words.count > 1 && $0.words[0] == first }
    guard words.count == 1, !group.isEmpty else { return try command(named: Array(words)).help }
    return """
      \(table(of: group))

      Each has --help, with an example: blnk-gateway \(group[0].name) --help
      """
  }

  private static func table(of commands: [Command]) -> String {
    let width = commands.map(\.name.count).max() ?? 0
    return commands.map { "  \($0.name.padded(to: width))  \($0.abstract)" }.joined(separator: "\n")
  }

  private static func command(named arguments: [String]) throws(CommandFault) -> Command {
    guard let first = arguments.first else {
      throw .usage("name a command: \(commands.map(\.name).joined(separator: ", ")); or --help")
    }
    if let command = commands.first(where: { arguments.starts(with: $0.words) }) { return command }
    let siblings = commands.filter { $0.words.count > 1 && $0.words[0] == first }
    guard siblings.isEmpty else {
      throw .usage("write \(siblings.map { "\"\($0.name)\"" }.joined(separator: " or ")); each has --help")
    }
    throw .usage(
      "there is no command \"\(first)\"\(suggestion(for: first, among: commands.map { $0.words[0] })); see --help"
    )
  }

  private static var help: String {
    """
    blnk-gateway: lets clients reach the Blnk Cores that they may use, with tokens of their own.

    usage: blnk-gateway COMMAND [FLAGS]

    \(table(of: commands))

    Each command has --help, with an example; "help COMMAND" gives it, too. Begin with: blnk-gateway demo
    Exit codes: 0 done, 1 failed or the answer is no, 2 not understood, 3 written but not in force.
    """
  }
}

extension String {
  func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
