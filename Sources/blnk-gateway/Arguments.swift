import Policies

/// What follows the command, read strictly: `--flag value` and `--flag=value`, each known and given once, nothing else.
struct Arguments {
  private var values: [String: String] = [:]
  /// What is no flag, for a command that takes such.
  private(set) var operands: [String] = []

  init(_ arguments: ArraySlice<String>, of command: Command) throws(CommandFault) {
    var rest = arguments
    while let argument = rest.popFirst() {
      guard argument.hasPrefix("--"), argument.count > 2 else {
        guard command.operands != nil, argument == "-" || !argument.hasPrefix("-") else {
          throw Self.operandFault(argument, of: command)
        }
        operands.append(argument)
        continue
      }
      // What stands behind the sign may be a secret, so that messages show the name alone.
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard let flag = command.flags.first(where: { $0.name == parts[0] }) else {
        let names = command.flags.map(\.name) + ["--help"]
        throw .usage(
          "\(command.name): unknown flag \(parts[0])\(suggestion(for: parts[0], among: names)); see --help")
      }
      guard values[flag.name] == nil else { throw .usage("\(command.name): \(flag.name) is given twice") }
      values[flag.name] = try Self.value(of: flag, parts, &rest, command)
    }
  }

  func value(_ flag: String) -> String? { values[flag] }

  func isSet(_ flag: String) -> Bool { values[flag] != nil }

  private static func value(
    of flag: Command.Flag, _ parts: [String], _ rest: inout ArraySlice<String>, _ command: Command
  ) throws(CommandFault) -> String {
    guard let placeholder = flag.value else {
      guard parts.count == 1 else { throw .usage("\(command.name): \(flag.name) takes no value") }
      return ""
    }
    let value = parts.count > 1 ? parts[1] : rest.first?.hasPrefix("--") == true ? nil : rest.popFirst()
    guard let value, !value.isEmpty else {
      throw .usage("\(command.name): \(flag.name) needs a value: \(flag.name) \(placeholder)")
    }
    return value
  }

  private static func operandFault(_ argument: String, of command: Command) -> CommandFault {
    if let reason = command.operandsRefused { return .usage("\(command.name): \(reason)") }
    return .usage("\(command.name): unexpected argument \"\(argument)\"; see --help")
  }
}
