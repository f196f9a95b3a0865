/// An HTTP/1 message as a test sees it.
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
  private var parser = TestMessageParser()

  package init(_ socket: TestSocket) { self.socket = socket }

  /// What was read behind the last complete message.
  package var rest: [UInt8] { parser.rest }

  /// The next message; nil when the stream ends before one is complete.
  ///
  /// - Parameter hasBody: false for a response to HEAD.
  package mutating func next(hasBody: Bool = true) throws -> TestMessage? {
    while true {
      if let message = parser.next(hasBody: hasBody) { return message }
      let more = try socket.receive()
      guard !more.isEmpty else { return parser.end() }
      parser.append(more)
    }
  }
}
