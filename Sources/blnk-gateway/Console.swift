import FoundationEssentials
import System

/// Where a command speaks: what was asked for on standard output, all else on standard error.
enum Console {
  enum Stream: Int32 {
    case output = 1
    case errors = 2
  }

  enum Ink: String {
    case bold = "1"
    case dim = "2"
    case red = "31"
    case green = "32"
  }

  /// Fails when nobody can read it any more, or the disk is full.
  static func print(_ text: String) throws(CommandFault) {
    do throws(Errno) {
      try OutputFile.standardOutput.write(Array("\(text)\n".utf8).span)
    } catch {
      throw .failed("cannot write to standard output")
    }
  }

  /// A report as JSON: keys sorted, in snake case.
  static func json(_ report: some Encodable) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    guard let data = try? encoder.encode(report) else { preconditionFailure("a report of texts and numbers") }
    return String(decoding: data, as: UTF8.self)
  }

  /// One line that is no part of the output.
  static func note(_ line: String) {
    try? OutputFile.standardError.write(Array("\(line)\n".utf8).span)
  }

  /// Coloured on a terminal only, and never with NO_COLOR (no-color.org).
  static func painted(_ text: String, _ ink: Ink, on stream: Stream = .output) -> String {
    let environment = ProcessInfo.processInfo.environment
    let isPlain = environment["NO_COLOR"]?.isEmpty == false || environment["TERM"] ?? "dumb" == "dumb"
    guard !isPlain, Terminal.isAt(stream.rawValue) else { return text }
    return "\u{1b}[\(ink.rawValue)m\(text)\u{1b}[0m"
  }
}

/// `1 client`, `2 clients`.
///
/// - Parameter plural: nil: the noun with an s.
func counted(_ count: Int, _ noun: String, _ plural: String? = nil) -> String {
  "\(count) \(count == 1 ? noun : plural ?? "\(noun)s")"
}
