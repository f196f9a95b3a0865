import FoundationEssentials
import System

/// The standard streams: a command's output goes to standard output, everything else to standard error.
enum Console {
  enum Stream: Int32 {
    case output = 1
    case errors = 2
  }

  /// SGR parameters (ECMA-48 §8.3.117).
  enum Style: String {
    case bold = "1"
    case dim = "2"
    case red = "31"
    case green = "32"
    case yellow = "33"

    func applied(to text: String) -> String { "\u{1b}[\(rawValue)m\(text)\u{1b}[0m" }
  }

  /// Prints to standard output. Fails if its reader has closed it or the disk is full.
  static func print(_ text: String) throws(CommandFault) {
    do throws(Errno) {
      try OutputFile.standardOutput.write(Array("\(text)\n".utf8).span)
    } catch {
      throw .failed("cannot write to standard output")
    }
  }

  /// Prints rows with aligned columns; the last column may have any width.
  static func print(table rows: [[String]]) throws(CommandFault) {
    let widths = (0..<rows[0].count - 1).map { column in rows.map { $0[column].count }.max() ?? 0 }
    for row in rows {
      let cells = zip(row, widths).map { cell, width in cell.padded(to: width) } + row.suffix(1)
      let text = cells.joined(separator: "  ")
      try print(String(text.prefix(through: text.lastIndex { $0 != " " } ?? text.startIndex)))
    }
  }

  /// A report as JSON, with sorted keys in snake case.
  static func json(_ report: some Encodable) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    guard let data = try? encoder.encode(report) else { preconditionFailure("reports are always encodable") }
    return String(decoding: data, as: UTF8.self)
  }

  /// Writes a line to standard error.
  static func log(_ line: String) {
    try? OutputFile.standardError.write(Array("\(line)\n".utf8).span)
  }

  /// Asks for a line on the terminal; nil if the user ends the input.
  static func ask(_ prompt: String) -> String? {
    try? OutputFile.standardError.write(Array(prompt.utf8).span)
    return Terminal.readLine(bytesMax: 4096).map { line in String(decoding: line, as: UTF8.self) }
  }

  /// Whether the stream is a terminal with styles, and NO_COLOR is not set (no-color.org).
  static func hasStyles(_ stream: Stream) -> Bool {
    let environment = ProcessInfo.processInfo.environment
    let isPlain = environment["NO_COLOR"]?.isEmpty == false || environment["TERM"] ?? "dumb" == "dumb"
    return !isPlain && Terminal.isAt(stream.rawValue)
  }

  /// Styles the text if the stream has styles.
  static func styled(_ text: String, _ style: Style, on stream: Stream = .output) -> String {
    hasStyles(stream) ? style.applied(to: text) : text
  }
}

/// `1 client`, `2 clients`.
///
/// - Parameter plural: nil: the noun with an s.
func counted(_ count: Int, _ noun: String, _ plural: String? = nil) -> String {
  "\(count) \(count == 1 ? noun : plural ?? "\(noun)s")"
}

extension String {
  /// Quoted for a POSIX shell where necessary.
  var shellQuoted: String {
    let isPlain = utf8.allSatisfy { byte in
      Character(UnicodeScalar(byte)).isLetter || Character(UnicodeScalar(byte)).isNumber || "/._-".utf8.contains(byte)
    }
    return isPlain ? self : "'\(replacing("'", with: "'\\''"))'"
  }
}
