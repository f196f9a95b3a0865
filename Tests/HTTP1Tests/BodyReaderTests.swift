import Bytes
import HTTP1
import TestValues
import Testing

/// The result of reading a body.
private struct ReadBody: Equatable {
  var content: [UInt8] = []
  var byteCount = 0
  /// The number of bytes used.
  var used = 0
  var isComplete = false
  var fault: BodyFault?
}

/// Reads the prefixes of `bytes` that end at `cuts`, then all of them, then the end of the connection.
private func read(_ bytes: [UInt8], _ framing: BodyFraming, bytesMax: Int = .max, cuts: [Int] = []) -> ReadBody {
  var reader = BodyReader(framing, bytesMax: bytesMax)
  var body = ReadBody()
  do throws(BodyFault) {
    for end in cuts + [bytes.count] {
      let isComplete = try reader.read(bytes.span.extracting(0..<end), &body.used, into: &body.content)
      #expect(isComplete == reader.isComplete)
    }
    _ = reader.inputEnded()
  } catch {
    body.fault = error
  }
  body.byteCount = reader.byteCount
  body.isComplete = reader.isComplete
  return body
}

@Suite struct BodyReaderTests {
  static let bodies: [(BodyFraming, String, String)] = [
    (.none, "", ""), (.length(1), "x", "x"), (.length(5), "hello", "hello"), (.chunked, "0\r\n\r\n", ""),
    (.chunked, "5\r\nhello\r\n0\r\n\r\n", "hello"),
    (.chunked, "2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nX-Trailer: t\r\n\r\n", "hello"),
  ]

  @Test(arguments: bodies)
  func `reads the same body however it is split, and nothing after it`(
    framing: BodyFraming, sent: String, content: String
  ) {
    let bytes = latin1(sent + "GET /next")
    let expected = ReadBody(
      content: latin1(content), byteCount: content.utf8.count, used: sent.utf8.count, isComplete: true)
    for first in 0...bytes.count {
      for second in first...bytes.count { #expect(read(bytes, framing, cuts: [first, second]) == expected) }
    }
    #expect(read(bytes, framing, cuts: Array(0...bytes.count)) == expected)
  }

  @Test(arguments: ["", "x", "hello"])
  func `a body without a length ends with the connection`(sent: String) {
    let bytes = latin1(sent)
    let expected = ReadBody(content: bytes, byteCount: bytes.count, used: bytes.count, isComplete: true)
    for cut in 0...bytes.count { #expect(read(bytes, .untilClose, cuts: [cut]) == expected) }
  }

  @Test(arguments: bodies.dropFirst())
  func `a delimited body is truncated if the connection ends first`(
    framing: BodyFraming, sent: String, content: String
  ) {
    let bytes = latin1(sent)
    for end in 0..<bytes.count { #expect(!read(Array(bytes[..<end]), framing).isComplete) }
  }

  @Test(arguments: [0, 1, 4, 5, 6])
  func `accepts as many bytes as the limit, in each framing`(bytesMax: Int) {
    for (framing, sent, content) in Self.bodies + [(.untilClose, "hello", "hello")] {
      let bytes = latin1(sent)
      let isTooLarge = content.utf8.count > bytesMax
      for cut in 0...bytes.count {
        let body = read(bytes, framing, bytesMax: bytesMax, cuts: [cut])
        #expect(body.fault == (isTooLarge ? .tooLarge : nil) && body.isComplete == !isTooLarge)
        #expect(body.content.count <= bytesMax)
      }
    }
  }

  /// A size over the limit is rejected before its data arrives.
  @Test(arguments: [
    (BodyFraming.length(5), ""), (.length(999_999_999_999_999_999), ""), (.chunked, "5\r\n"),
    (.chunked, "2\r\nab\r\n3\r\n"), (.chunked, "fffffffffffffff\r\n"),
  ])
  func `rejects a body beyond the limit as soon as it is announced`(framing: BodyFraming, sent: String) {
    #expect(read(latin1(sent), framing, bytesMax: 4).fault == .tooLarge)
  }

  @Test func `the limit may be changed later`() {
    var reader = BodyReader(.length(5))
    var (offset, body) = (0, [UInt8]())
    #expect(throws: Never.self) { try reader.read(latin1("he").span, &offset, into: &body) }
    reader.bytesMax = 4
    #expect(throws: BodyFault.tooLarge) { try reader.read(latin1("hel").span, &offset, into: &body) }
  }

  @Test(arguments: ["zz\r\n", "5\r\nhello0", "0\r\n\n"])
  func `rejects malformed chunks`(sent: String) {
    let fault = read(latin1(sent), .chunked).fault
    guard case .malformed = fault else { return #expect(Bool(false), "\(String(describing: fault))") }
  }

  @Test func `reports how much of an announced length is missing`() throws {
    var reader = BodyReader(.length(5))
    #expect(reader.remaining == 5)
    var offset = 0
    #expect(try reader.next(latin1("abc").span, &offset) == 0..<3)
    #expect(reader.remaining == 2 && !reader.isComplete)
    #expect(try reader.next(latin1("abc").span, &offset) == nil)
    #expect(try reader.next(latin1("abcdefg").span, &offset) == 3..<5)
    #expect(reader.remaining == nil && reader.isComplete)
    #expect(try reader.next(latin1("abcdefg").span, &offset) == nil && offset == 5)
    #expect(BodyReader(.chunked).remaining == nil && BodyReader(.untilClose).remaining == nil)
  }
}

@Suite struct BodyWriterTests {
  static let framings = [BodyFraming.length(40), .chunked, .untilClose]

  @Test(arguments: framings, [[], [1], [40], [0, 3, 0, 16, 21], [255], [256, 1]])
  func `a reader reads back the body that was written`(framing: BodyFraming, runs: [Int]) {
    let writer = BodyWriter(framing)
    let output = ByteBuffer(capacity: 1)
    var content: [UInt8] = []
    for count in runs {
      let bytes = (0..<count + 2).map { UInt8(truncatingIfNeeded: content.count + $0) }
      let before = output.count
      writer.append(bytes.span, 1..<count + 1, to: output)
      #expect(output.count - before <= count + BodyWriter.framingBytesMax)
      content += bytes[1..<count + 1]
    }
    writer.end(output)
    let sent = output.withBytes { bytes in bytes.indices.map { bytes[$0] } }
    let length = content.isEmpty ? BodyFraming.none : .length(content.count)
    let body = read(sent, framing.isUntilClose || framing == .chunked ? framing : length)
    #expect(body.content == content && body.isComplete && body.used == sent.count)
    #expect(writer.isChunked == (framing == .chunked))
  }

  @Test func `an empty run writes nothing, because an empty chunk ends the body`() {
    let output = ByteBuffer(capacity: 1)
    BodyWriter(.chunked).append([], to: output)
    #expect(output.isEmpty)
  }
}
