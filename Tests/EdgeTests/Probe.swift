import TestSupport
import Testing

/// Bytes that a client may send, and how the gateway has to treat them.
struct Probe: Sendable, CustomTestStringConvertible {
  enum Verdict: Sendable {
    /// Core answers, and the connection serves another request.
    case served
    /// Core answers, and the connection ends whatever follows the request.
    case servedLast
    /// The gateway answers with this status, and the connection serves another request.
    case answered(Int)
    /// The gateway answers with this status, and the connection ends: where the next request begins is in doubt.
    case rejected(Int)
  }

  /// The rule and its source.
  let rule: String
  /// One byte per character, with `{T}` for a target that has a route, and `{H}` for the lines of Host and Authorization.
  let bytes: String
  let verdict: Verdict
  /// Whether the client closes its sending side after them.
  var ends = false

  init(_ rule: String, _ bytes: String, _ verdict: Verdict, ends: Bool = false) {
    self.rule = rule
    self.bytes = bytes
    self.verdict = verdict
    self.ends = ends
  }

  var testDescription: String { rule }

  // MARK: Checking

  /// Sends the bytes to a gateway and judges the response and what reaches Core.
  func check(on stage: Stage) throws {
    let tag = stage.newTag()
    let socket = try stage.gateway.connect()
    try socket.send(latin1(of: filled(tag)))
    if ends { socket.endOutput() }
    var reader = TestMessageReader(socket)
    let answer = try #require(try reader.next(hasBody: !bytes.hasPrefix("HEAD ")), "no answer")
    #expect(answer["X-Request-Id"]?.count == 32)
    switch verdict {
    case .served:
      #expect(answer.status == 200, "\(answer.startLine) \(answer.bodyText)")
      try expectNext(socket, &reader, tag)
      #expect(stage.requests(tag) == 2)
    case .answered(let status):
      #expect(answer.status == status, "\(answer.bodyText)")
      try expectNext(socket, &reader, tag)
      #expect(stage.requests(tag) == 1)
    case .servedLast:
      #expect(answer.status == 200 && answer["Connection"] == "close", "\(answer.startLine)")
      try expectEnd(socket, reader)
      #expect(stage.requests(tag) == 1)
    case .rejected(let status):
      #expect(answer.status == status && answer["Connection"] == "close", "\(answer.bodyText)")
      try expectEnd(socket, reader)
      #expect(stage.requests(tag) == 0)
    }
  }

  private func filled(_ tag: String) -> String {
    bytes.replacing("{T}", with: Stage.target(tag)).replacing("{H}", with: Stage.lines)
  }

  private func expectNext(_ socket: TestSocket, _ reader: inout TestMessageReader, _ tag: String) throws {
    guard !ends else { return }
    try socket.send("GET \(Stage.target(tag)) HTTP/1.1\r\n\(Stage.lines)\r\n")
    #expect(try reader.next()?.status == 200, "the connection is not usable")
  }

  private func expectEnd(_ socket: TestSocket, _ reader: TestMessageReader) throws {
    #expect(reader.rest.isEmpty)
    #expect(try socket.receiveToEnd().isEmpty)
  }
}

private func latin1(of text: String) -> [UInt8] { text.unicodeScalars.map { UInt8($0.value) } }
