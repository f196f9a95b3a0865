import Gateway
import Glibc
import Policies
import System

/// Runs the command that the arguments name, and exits with its exit code.
@main enum BlnkGateway {
  static let commands = [
    Command.initialize, .serve, .check, .diff, .explain, .health, .demo, .sandbox, .instanceNew, .clientNew,
    .clientSecretNew,
    .clientSecretRotate, .clientSecretRevoke, .tokenNew, .tokenHash, .tokenList, .tokenRevoke, .tokenRotate, .tokenScan,
    .oauthCode,
    .top, .idempotencyList, .idempotencyShow, .idempotencyResolve, .idempotencyForget, .requests, .auditVerify,
    .auditShow,
    .auditOutcomes, .auditGrants, .auditReloads, .version,
  ]

  static func main() {
    do throws(Errno) {
      try openStandardStreams()
    } catch {
      Console.log("error: a standard stream (descriptor 0, 1 or 2) is closed, and /dev/null cannot be opened: \(error)")
      exit(1)
    }
    exit(run(Array(CommandLineArguments.all.dropFirst())))
  }

  /// The exit code: 0 success, 1 failure or a negative answer, 2 invalid command line, 3 written but not in force, 4 not
  /// readable.
  private static func run(_ arguments: [String]) -> Int32 {
    do throws(CommandFault) {
      if let topic = helpTopic(arguments) {
        try Console.print(try help(on: topic))
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
      Console.log(Console.styled("error: ", .red, on: .errors) + error.message)
      return error.exitCode
    }
  }

  /// The topic of `help token new`, `token --help` and the like; empty for general help.
  ///
  /// Nil if the arguments do not ask for help, or ask for it after a complete command.
  private static func helpTopic(_ arguments: [String]) -> ArraySlice<String>? {
    let words = ["--help", "-h"]
    guard let first = arguments.first else { return nil }
    if first == "help" || words.contains(first) { return arguments.dropFirst().prefix { !$0.hasPrefix("-") } }
    let isGroup = commands.contains { $0.words.count > 1 && $0.words[0] == first }
    return isGroup && arguments.count > 1 && words.contains(arguments[1]) ? arguments.prefix(1) : nil
  }

  private static func help(on topic: ArraySlice<String>) throws(CommandFault) -> String {
    guard let first = topic.first else { return help }
    let group = group(first)
    guard topic.count == 1, !group.isEmpty else { return try command(named: Array(topic)).help }
    return """
      Usage: blnk-gateway \(first) COMMAND [OPTIONS]

      Commands:
      \(table(of: group))

      For the options and an example of a command: blnk-gateway \(group[0].name) --help
      """
  }

  private static func table(of commands: [Command]) -> String { twoColumns(commands.map { ($0.name, $0.summary) }) }

  /// The commands of two words that begin with this word.
  private static func group(_ first: String) -> [Command] {
    commands.filter { $0.words.count > 1 && $0.words[0] == first }
  }

  private static func command(named arguments: [String]) throws(CommandFault) -> Command {
    guard let first = arguments.first else {
      throw .usage("missing command; use one of \(commands.map(\.name).joined(separator: ", ")), or see --help")
    }
    if let command = commands.first(where: { arguments.starts(with: $0.words) }) { return command }
    let group = group(first)
    guard group.isEmpty else {
      throw .usage("use one of \(group.map(\.name).joined(separator: ", ")), or see \(first) --help")
    }
    throw .usage(
      "unknown command \"\(first)\"\(suggestion(for: first, among: commands.map { $0.words[0] })); see --help")
  }

  private static var help: String {
    """
    blnk-gateway: an authenticating reverse proxy for Blnk Core

    Usage: blnk-gateway COMMAND [OPTIONS]

    Commands:
    \(table(of: commands))

    For the options and an example of a command: blnk-gateway COMMAND --help, or blnk-gateway help COMMAND
    To see the gateway work: blnk-gateway demo

    Exit codes:
      0  success
      1  failure, or a negative answer, such as an invalid policy or a damaged audit log
      2  the command line is invalid
      3  the change is written, but the running gateway has not applied it
      4  "diff" or "token scan" could not read something, so there is no whole answer
    """
  }
}
