/// A subcommand: its documentation, its options and its code.
struct Command: Sendable {
  struct Option: Sendable {
    let name: String
    /// Placeholder of the value, such as `DIR`; nil for an option without a value.
    let value: String?
    let help: String
  }

  /// As typed, such as `token new`.
  let name: String
  /// One line in the imperative.
  let summary: String
  /// The arguments as the usage line shows them.
  let usage: String
  /// What it does and what it prints.
  let description: String
  let options: [Option]
  /// What each exit code means, except 2, which means the same for all commands.
  let exitCodes: KeyValuePairs<Int32, String>
  let example: String
  /// Whether it takes arguments that are not options, such as file names.
  var takesOperands = false
  /// Why it takes no such arguments, for the error message; nil: no particular reason.
  var noOperandsReason: String?
  /// Returns the exit code.
  let run: @Sendable (Arguments) throws(CommandFault) -> Int32

  var words: [String] { name.split(separator: " ").map(String.init) }

  var help: String {
    let options = options + [Option(name: "--help", value: nil, help: "print this text")]
    let optionRows = options.map { option in (option.name + (option.value.map { " \($0)" } ?? ""), option.help) }
    let codes = exitCodes.map { code, meaning in (code, meaning) } + [(2, "the command line is invalid")]
    let codeRows = codes.sorted { $0.0 < $1.0 }.map { code, meaning in ("\(code)", meaning) }
    return """
      blnk-gateway \(name): \(summary)

      Usage: blnk-gateway \(name)\(usage.isEmpty ? "" : " \(usage)")

      \(description)

      Options:
      \(twoColumns(optionRows))

      Exit codes:
      \(twoColumns(codeRows))

      Example:
      \(example.split(separator: "\n", omittingEmptySubsequences: false).map { "  \($0)" }.joined(separator: "\n"))
      """
  }
}

/// Why a command failed: one line for the user, and the exit code.
enum CommandFault: Error {
  /// The command line is invalid.
  case usage(String)
  case failed(String)
  /// The change is written, but the running gateway has not applied it.
  case notInForce(String)
  /// Something that the answer depends on cannot be read.
  case unreadable(String)

  var message: String {
    switch self {
    case .usage(let message), .failed(let message), .notInForce(let message), .unreadable(let message): message
    }
  }

  var exitCode: Int32 {
    switch self {
    case .usage: 2
    case .failed: 1
    case .notInForce: 3
    case .unreadable: 4
    }
  }
}

/// Indented rows with aligned columns.
func twoColumns(_ rows: [(String, String)]) -> String {
  let width = rows.map(\.0.count).max() ?? 0
  return rows.map { "  \($0.padded(to: width))  \($1)" }.joined(separator: "\n")
}

extension String {
  func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
