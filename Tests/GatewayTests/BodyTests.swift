import Bytes
import HTTP1
import TestValues
import Testing

@testable import Gateway

@Suite struct BodyTests {
  static let framings: [(BodyFraming, String, String, Int)] = [
    (.length(5), "hello", "hello", 5),
    (.length(1), "x", "x", 1),
    (.chunked, "5\r\nhello\r\n0\r\n\r\n", "hello", 5),
    (.chunked, "2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nX-Trailer: t\r\n\r\n", "hello", 5),
    (.chunked, "0\r\n\r\n", "", 0),
  ]

  @Test(arguments: framings)
  func `a request body passes whole, wherever it is cut`(
    framing: BodyFraming, sent: String, content: String, count: Int
  ) throws {
    let bytes = Array((sent + "GET /next").utf8)
    for cut in 0...sent.utf8.count {
      var body = RequestBody(framing, bytesMax: 100)
      let output = ByteBuffer(capacity: 256)
      var offset = 0
      try body.relay(bytes.span.extracting(..<cut), &offset, to: output)
      try body.relay(bytes.span, &offset, to: output)
      #expect(body.isComplete && offset == sent.utf8.count && body.byteCount == count)
      #expect(Self.content(output, framing) == content)
    }
  }

  @Test(arguments: framings)
  func `a request body passes through any capacity`(framing: BodyFraming, sent: String, content: String, count: Int)
    throws
  {
    let bytes = Array(sent.utf8)
    var body = RequestBody(framing, bytesMax: 100)
    var offset = 0
    var relayed = ""
    for _ in 0..<100 where !body.isComplete {
      let output = ByteBuffer(capacity: 40)
      try body.relay(bytes.span, &offset, to: output)
      relayed += output.text
    }
    #expect(body.isComplete)
    if framing != .chunked { #expect(relayed == content) }
  }

  /// Input that is left although there is capacity would wait forever for a client that has sent everything.
  @Test(arguments: 33...120)
  func `a chunked body is taken as far as there is capacity`(capacity: Int) throws {
    let bytes = Array((String(repeating: "1\r\nx\r\n", count: 30) + "0\r\n\r\n").utf8)
    var body = RequestBody(.chunked, bytesMax: 100)
    let output = ByteBuffer(capacity: capacity)
    var offset = 0
    try body.relay(bytes.span, &offset, to: output)
    #expect(body.isComplete || output.freeCapacity <= BodyWriter.framingBytesMax)
  }

  @Test(arguments: ["5\r\nhello\r\n", "6\r\n", "fffffff\r\n"])
  func `a chunked body is rejected as soon as it exceeds the bound`(sent: String) {
    var body = RequestBody(.chunked, bytesMax: 4)
    let output = ByteBuffer(capacity: 256)
    var offset = 0
    #expect(throws: Fault.bodyTooLarge) { try body.relay(Array(sent.utf8).span, &offset, to: output) }
  }

  @Test func `a malformed chunk is rejected`() {
    var body = RequestBody(.chunked, bytesMax: 100)
    let output = ByteBuffer(capacity: 256)
    var offset = 0
    #expect(throws: Fault.bodyMalformed(.sizeMalformed)) {
      try body.relay(Array("zz\r\n".utf8).span, &offset, to: output)
    }
  }

  static let responses: [(BodyFraming, Version, String, String)] = [
    (.length(5), .http11, "hello", "hello"),
    (.length(5), .http10, "hello", "hello"),
    (.chunked, .http11, "5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"),
    (.chunked, .http11, "2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nT: t\r\n\r\n", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
    (.chunked, .http10, "5\r\nhello\r\n0\r\n\r\n", "hello"),
    (.untilClose, .http11, "hello", "5\r\nhello\r\n0\r\n\r\n"),
    (.untilClose, .http10, "hello", "hello"),
  ]

  @Test(arguments: responses)
  func `a response's body reaches the client in the framing it understands`(
    framing: BodyFraming, version: Version, sent: String, seen: String
  ) throws {
    var body = ResponseBody(framing, downstream: version)
    let output = ByteBuffer(capacity: 256)
    var offset = 0
    let bytes = Array(sent.utf8)
    let direct = try body.relay(bytes.span, &offset, to: output)
    if framing == .untilClose {
      let isEnd = body.upstreamClosed(output: output)
      #expect(isEnd)
    }
    output.append(bytes.span, direct)
    #expect(body.isComplete && offset == bytes.count)
    #expect(output.text == seen)
  }

  @Test(arguments: [BodyFraming.length(5), .chunked])
  func `a response with a length does not end with the connection`(framing: BodyFraming) {
    var body = ResponseBody(framing, downstream: .http11)
    let isEnd = body.upstreamClosed(output: ByteBuffer(capacity: 16))
    #expect(!isEnd)
  }

  private static func content(_ output: ByteBuffer, _ framing: BodyFraming) -> String {
    guard framing == .chunked else { return output.text }
    return output.withBytes { bytes in
      var reader = BodyReader(framing)
      var offset = 0
      var content: [UInt8] = []
      #expect((try? reader.read(bytes, &offset, into: &content)) == true)
      return String(decoding: content, as: UTF8.self)
    }
  }
}

extension RequestBody {
  fileprivate init(_ framing: BodyFraming, bytesMax: Int) {
    self.init()
    begin(framing)
    self.bytesMax = bytesMax
  }
}
