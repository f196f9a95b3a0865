import Policies

/// The arguments after the command's name, parsed strictly: every option is known and given once, as `--name value` or
/// `--name=value`.
struct Arguments {
  private var values: [String: String] = [:]
  /// The arguments that are not options, if the command takes any.
  private(set) var operands: [String] = []

  init(_ arguments: ArraySlice<String>, of command: Command) throws(CommandFault) {
    var rest = arguments
    while let argument = rest.popFirst() {
      guard argument.hasPrefix("--"), argument.count > 2 else {
        guard command.takesOperands, argument == "-" || !argument.hasPrefix("-") else {
          throw Self.unexpectedArgument(argument, of: command)
        }
        operands.append(argument)
        continue
      }
      // The value may be a secret, so messages show only the name.
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard let option = command.options.first(where: { $0.name == parts[0] }) else {
        let names = command.options.map(\.name) + ["--help"]
        throw .usage(
          "\(command.name): unknown option \(parts[0])\(suggestion(for: parts[0], among: names)); see --help")
      }
      guard values[option.name] == nil else { throw .usage("\(command.name): \(option.name) is given twice") }
      values[option.name] = try Self.value(of: option, parts, &rest, command)
    }
  }

  func value(_ name: String) -> String? { values[name] }

  func isSet(_ name: String) -> Bool { values[name] != nil }

  func address(_ name: String) throws(CommandFault) -> ListenAddress? {
    guard let text = value(name) else { return nil }
    guard let address = ListenAddress(text) else { throw .usage("\(name) \(ListenAddress.fault(of: text))") }
    return address
  }

  private static func value(
    of option: Command.Option, _ parts: [String], _ rest: inout ArraySlice<String>, _ command: Command
  ) throws(CommandFault) -> String {
    guard let placeholder = option.value else {
      guard parts.count == 1 else { throw .usage("\(command.name): \(option.name) takes no value") }
      return ""
    }
    let value = parts.count > 1 ? parts[1] : rest.first?.hasPrefix("--") == true ? nil : rest.popFirst()
    guard let value, !value.isEmpty else {
      throw .usage("\(command.name): \(option.name) needs a value: \(option.name) \(placeholder)")
    }
    return value
  }

  private static func unexpectedArgument(_ argument: String, of command: Command) -> CommandFault {
    if let reason = command.noOperandsReason { return .usage("\(command.name): \(reason)") }
    return .usage("\(command.name): unexpected argument \"\(argument)\"; see --help")
  }
}
