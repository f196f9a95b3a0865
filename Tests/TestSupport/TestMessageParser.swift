/// Parses HTTP/1 messages from bytes that arrive in pieces. It shares no code with the gateway's parsers.
package struct TestMessageParser {
  private enum Framing {
    case none
    case length(Int)
    case chunked
    case untilEnd
  }

  private static let lineEnd = Array("\r\n".utf8)
  private static let headEnd = Array("\r\n\r\n".utf8)

  /// What follows the last complete message.
  package private(set) var rest: [UInt8] = []
  /// The head of a message whose body is incomplete.
  package private(set) var head: TestMessage?
  private var framing = Framing.none
  /// How much of `rest` has been parsed: the head and chunks.
  private var position = 0
  /// The content of the parsed chunks.
  private var chunks: [UInt8] = []
  /// Bytes of `rest` that contain no end of a head.
  private var scanned = 0
  private var hasEnded = false

  package init() {}

  /// Received bytes of the incomplete body, framing included.
  package var bodyBytes: Int { head == nil ? 0 : rest.count - position + chunks.count }

  package mutating func append(_ bytes: [UInt8]) { rest += bytes }

  /// Notes the end of the stream; returns the response that it completes.
  package mutating func end() -> TestMessage? {
    hasEnded = true
    return next()
  }

  /// The next message; nil while it is incomplete.
  ///
  /// - Parameter hasBody: false for a response to HEAD.
  package mutating func next(hasBody: Bool = true) -> TestMessage? {
    if head == nil, !takeHead(hasBody: hasBody) { return nil }
    guard let head, let body = takeBody() else { return nil }
    rest.removeFirst(position)
    self.head = nil
    (position, scanned, chunks) = (0, 0, [])
    return TestMessage(startLine: head.startLine, fields: head.fields, body: body)
  }

  private mutating func takeHead(hasBody: Bool) -> Bool {
    guard let end = rest[scanned...].end(of: Self.headEnd) else {
      scanned = max(0, rest.count - Self.headEnd.count + 1)
      return false
    }
    var lines: [ArraySlice<UInt8>] = []
    while position < end - Self.lineEnd.count, let lineEnd = rest[position...].end(of: Self.lineEnd) {
      lines.append(rest[position..<lineEnd - Self.lineEnd.count])
      position = lineEnd
    }
    position = end
    let message = TestMessage(
      startLine: lines.first.map(Self.text) ?? "", fields: lines.dropFirst().map(Self.field), body: [])
    head = message
    framing = Self.framing(of: message, hasBody: hasBody)
    return true
  }

  private static func field(_ line: ArraySlice<UInt8>) -> (name: String, value: String) {
    let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? line.endIndex
    func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
    var value = line[colon...].dropFirst().drop(while: isSpace)
    while let last = value.last, isSpace(last) { value.removeLast() }
    return (text(line[..<colon]), text(value))
  }

  private static func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

  /// RFC 9112 §6.3.
  private static func framing(of head: TestMessage, hasBody: Bool) -> Framing {
    let isResponse = head.startLine.hasPrefix("HTTP/")
    if !hasBody || isResponse && (head.status < 200 || head.status == 204 || head.status == 304) { return .none }
    if head["Transfer-Encoding"]?.lowercased() == "chunked" { return .chunked }
    if let length = head["Content-Length"].flatMap({ Int($0) }) { return .length(length) }
    return isResponse ? .untilEnd : .none
  }

  /// The body, once it is complete.
  private mutating func takeBody() -> [UInt8]? {
    switch framing {
    case .none: return []
    case .length(let length):
      guard rest.count - position >= length else { return nil }
      position += length
      return Array(rest[(position - length)..<position])
    case .chunked: return takeChunks() ? chunks : nil
    case .untilEnd:
      guard hasEnded else { return nil }
      defer { position = rest.count }
      return Array(rest[position...])
    }
  }

  /// Whether the last chunk has arrived. Trailers are not supported.
  private mutating func takeChunks() -> Bool {
    while let lineEnd = rest[position...].end(of: Self.lineEnd) {
      let line = Self.text(rest[position..<lineEnd - Self.lineEnd.count])
      guard let size = Int(line, radix: 16), rest.count >= lineEnd + size + Self.lineEnd.count else { return false }
      chunks += rest[lineEnd..<lineEnd + size]
      position = lineEnd + size + Self.lineEnd.count
      if size == 0 { return true }
    }
    return false
  }
}

extension ArraySlice<UInt8> {
  /// Where the first `delimiter` ends.
  package func end(of delimiter: [UInt8]) -> Int? {
    guard count >= delimiter.count else { return nil }
    var index = startIndex
    while index <= endIndex - delimiter.count {
      if self[index] == delimiter[0], self[index..<index + delimiter.count] == delimiter[...] {
        return index + delimiter.count
      }
      index += 1
    }
    return nil
  }
}
