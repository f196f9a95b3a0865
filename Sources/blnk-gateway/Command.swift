/// One thing that the program does, and how it is asked for.
struct Command: Sendable {
  struct Flag: Sendable {
    let name: String
    /// What stands behind the flag, such as `DIR`; nil for one that stands alone.
    let value: String?
    let about: String
  }

  /// What comes first on the command line, such as `token new`.
  let name: String
  /// What it does, in half a line.
  let abstract: String
  /// What a newcomer has to know, with an example.
  let lesson: String
  let flags: [Flag]
  /// What may stand on the command line besides flags, such as `FILE…`; nil: nothing.
  var operands: String?
  /// Why it takes no argument that is not a flag; nil: for no particular reason.
  var operandsRefused: String?
  /// Gives the exit code.
  let run: @Sendable (Arguments) throws(CommandFault) -> Int32

  var words: [String] { name.split(separator: " ").map(String.init) }

  var help: String {
    let all = flags + [Flag(name: "--help", value: nil, about: "this text")]
    let texts = all.map { flag in flag.name + (flag.value.map { " \($0)" } ?? "") }
    let width = texts.map(\.count).max() ?? 0
    let lines = zip(texts, all).map { text, flag in "  \(text.padded(to: width))  \(flag.about)" }
    return """
      blnk-gateway \(name): \(abstract)

      \(lesson)

      flags:
      \(lines.joined(separator: "\n"))
      """
  }
}

/// Why a command did not do what was asked: one line that names what is at fault, and the exit code.
enum CommandFault: Error {
  /// The command line is not understood.
  case usage(String)
  case failed(String)
  /// It is done, but the running gateway has not put it into force.
  case notInForce(String)

  var message: String {
    switch self {
    case .usage(let message), .failed(let message), .notInForce(let message): message
    }
  }

  var exitCode: Int32 {
    switch self {
    case .usage: 2
    case .failed: 1
    case .notInForce: 3
    }
  }
}
