/// An HTTP/1 message as a test sees it, read by a plain parser that shares nothing with the gateway's.
package struct TestMessage: Sendable {
  package let startLine: String
  package let fields: [(name: String, value: String)]
  package let body: [UInt8]

  package init(startLine: String, fields: [(name: String, value: String)], body: [UInt8]) {
    self.startLine = startLine
    self.fields = fields
    self.body = body
  }

  package var bodyText: String { String(decoding: body, as: UTF8.self) }
  package var status: Int { Int(startLine.split(separator: " ").dropFirst().first ?? "") ?? 0 }

  /// The values of a field, case ignored.
  package func values(_ name: String) -> [String] {
    fields.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
  }

  package subscript(name: String) -> String? { values(name).first }

  /// The JSON string member `name` of the body, as the gateway writes it: without spaces or escapes.
  package func member(_ name: String) -> String? {
    guard let start = bodyText.firstRange(of: "\"\(name)\":\"") else { return nil }
    return String(bodyText[start.upperBound...].prefix { $0 != "\"" })
  }
}

/// Reads messages off a socket, one after the other.
package struct TestMessageReader {
  private let socket: TestSocket
  private var bytes: [UInt8] = []

  package init(_ socket: TestSocket) { self.socket = socket }

  /// What was read behind the last message.
  package var rest: [UInt8] { bytes }

  /// The next message; nil when the stream ends before one is whole.
  ///
  /// - Parameter hasBody: false for an answer to HEAD.
  package mutating func next(hasBody: Bool = true) throws -> TestMessage? {
    var headEnd = end(of: "\r\n\r\n", from: 0)
    while headEnd == nil {
      guard try fill() else { return nil }
      headEnd = end(of: "\r\n\r\n", from: 0)
    }
    guard let headEnd else { return nil }
    let lines = String(decoding: bytes[..<(headEnd - 4)], as: UTF8.self).components(separatedBy: "\r\n")
    let fields = lines.dropFirst().map { line in
      let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      return (name: String(parts[0]), value: parts.count > 1 ? trimmed(parts[1]) : "")
    }
    bytes.removeFirst(headEnd)
    let head = TestMessage(startLine: lines[0], fields: fields, body: [])
    guard let body = try readBody(of: head, hasBody: hasBody) else { return nil }
    return TestMessage(startLine: head.startLine, fields: fields, body: body)
  }

  private mutating func readBody(of head: TestMessage, hasBody: Bool) throws -> [UInt8]? {
    let isAnswer = head.startLine.hasPrefix("HTTP/")
    if !hasBody || isAnswer && (head.status < 200 || head.status == 204 || head.status == 304) { return [] }
    if head["Transfer-Encoding"]?.lowercased() == "chunked" { return try readChunks() }
    if let length = head["Content-Length"].flatMap({ Int($0) }) { return try take(length) }
    guard isAnswer else { return [] }
    while try fill() {}
    return try take(bytes.count)
  }

  private mutating func readChunks() throws -> [UInt8]? {
    var body: [UInt8] = []
    while true {
      var lineEnd = end(of: "\r\n", from: 0)
      while lineEnd == nil {
        guard try fill() else { return nil }
        lineEnd = end(of: "\r\n", from: 0)
      }
      guard let lineEnd, let line = try take(lineEnd) else { return nil }
      guard let size = Int(String(decoding: line.dropLast(2), as: UTF8.self), radix: 16) else { return nil }
      guard let data = try take(size + 2) else { return nil }
      if size == 0 { return body }
      body += data.dropLast(2)
    }
  }

  private mutating func take(_ count: Int) throws -> [UInt8]? {
    while bytes.count < count {
      guard try fill() else { return nil }
    }
    defer { bytes.removeFirst(count) }
    return Array(bytes[..<count])
  }

  private mutating func fill() throws -> Bool {
    let more = try socket.receive()
    bytes += more
    return !more.isEmpty
  }

  private func end(of mark: String, from start: Int) -> Int? {
    let mark = Array(mark.utf8)
    guard bytes.count >= mark.count else { return nil }
    for index in start...(bytes.count - mark.count) where bytes[index..<index + mark.count].elementsEqual(mark) {
      return index + mark.count
    }
    return nil
  }

  private func trimmed(_ text: Substring) -> String {
    String(text.drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
  }
}

extension String {
  /// Foundation's splitting by a longer separator, without Foundation.
  fileprivate func components(separatedBy separator: String) -> [String] {
    var parts: [String] = []
    var rest = self[...]
    while let range = rest.firstRange(of: separator) {
      parts.append(String(rest[..<range.lowerBound]))
      rest = rest[range.upperBound...]
    }
    return parts + [String(rest)]
  }
}
