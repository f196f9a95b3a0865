import Foundation

/// A curl(1) command that one of the product's documents shows, and what the document shows below it.
struct DocumentedCall {
  enum Credentials {
    /// `Authorization: Bearer …`
    case bearer
    /// `X-blnk-key: …`
    case coreKey
    /// The document shows none.
    case none
  }

  /// Which document, and which of its calls, from 1.
  let name: String
  /// The command as the document shows it.
  let command: String
  /// The text after the command, up to the next one.
  let rest: String

  struct NotReadable: Error {
    let document: String
  }

  /// All calls of the document `Fixtures/<document>.md`, in order.
  static func all(in document: String) throws -> [DocumentedCall] {
    guard let file = Bundle.module.url(forResource: "Fixtures/\(document)", withExtension: "md") else {
      throw NotReadable(document: document)
    }
    let text = try String(contentsOf: file, encoding: .utf8)
    let starts = text.ranges(of: /curl (-X|--request|http)/).map(\.lowerBound)
    let ends = starts.dropFirst() + [text.endIndex]
    return zip(starts, ends).enumerated().map { index, range in
      let command = firstCommand(text[range.0..<range.1])
      let rest = text[range.0..<range.1].dropFirst(command.count)
      return DocumentedCall(name: "\(document) \(index + 1)", command: String(command), rest: String(rest))
    }
  }

  /// Up to the first line end that is neither quoted nor escaped, as a shell reads it.
  private static func firstCommand(_ text: Substring) -> Substring {
    var quote: Character?
    var isEscaped = false
    let end = text.indices.first { index in
      let character = text[index]
      defer { isEscaped = character == "\\" && quote != "'" && !isEscaped }
      switch character {
      case "\n": return quote == nil && !isEscaped
      case "'", "\"":
        if quote == nil { quote = character } else if quote == character { quote = nil }
        return false
      default: return false
      }
    }
    return text[..<(end ?? text.endIndex)]
  }

  var credentials: Credentials {
    if command.contains("Authorization: Bearer") { return .bearer }
    return command.lowercased().contains("x-blnk-key:") ? .coreKey : .none
  }

  /// The names in the first JSON object that the document shows below the call, sorted.
  var documentedNames: [String] {
    guard let start = rest.firstIndex(of: "{"), let end = rest.ranges(of: "\n}").first?.upperBound else { return [] }
    return memberNames(of: String(rest[start..<end]))
  }

  /// The body that curl sends.
  var body: String {
    guard let start = command.firstRange(of: "{")?.lowerBound else { return "" }
    return String(command[start...].dropLast())
  }

  /// Runs the command in a shell after the replacements.
  func run(replacing replacements: [(String, String)]) throws -> CurlAnswer {
    let changed = replacements.reduce(command) { $0.replacing($1.0, with: $1.1) }
    let process = Process()
    process.executableURL = URL(filePath: "/bin/sh")
    process.arguments = ["-c", "exec \(changed) --silent --show-error --max-time 10 --write-out '\\n%{http_code}'"]
    let output = Pipe()
    process.standardOutput = output
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    let cut = text.lastIndex(of: "\n") ?? text.startIndex
    return CurlAnswer(status: Int(text[cut...].dropFirst()) ?? 0, body: String(text[..<cut]))
  }
}

/// What curl printed.
struct CurlAnswer {
  let status: Int
  let body: String

  var names: [String] { memberNames(of: body) }
}

/// The sorted member names of a JSON object; empty if it is not an object.
func memberNames(of text: String) -> [String] {
  let object = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
  return (object ?? [:]).keys.sorted()
}
