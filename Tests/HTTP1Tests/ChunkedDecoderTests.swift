import TestValues
import Testing

@testable import HTTP1

private enum Decoded: Equatable {
  case whole(String, end: Int)
  case partial(String)
  case fault(ChunkFault)
}

/// Decodes pieces of `bytes` that end at `cuts`, each alone, as from a buffer that is emptied between reads.
private func decode(_ bytes: [UInt8], cuts: [Int] = []) -> Decoded {
  var decoder = ChunkedDecoder()
  var data: [UInt8] = []
  var start = 0
  for end in cuts + [bytes.count] {
    let piece = bytes[start..<end]
    var offset = 0
    pieces: while true {
      do throws(ChunkFault) {
        switch try decoder.next(Array(piece).span, &offset) {
        case .data(let range):
          #expect(!range.isEmpty && range.upperBound == offset)
          data += piece.dropFirst(range.lowerBound).prefix(range.count)
        case .needsMore:
          #expect(offset == piece.count)
          break pieces
        case .end(let last):
          #expect(last == offset)
          return .whole(text(data), end: start + last)
        }
      } catch { return .fault(error) }
    }
    start = end
  }
  return .partial(text(data))
}

private func decode(_ body: String) -> Decoded { decode(latin1(body)) }

@Suite struct ChunkedDecoderTests {
  static let bodies = [
    "5\r\nhello\r\n0\r\n\r\n", "a;x\r\n0123456789\r\n00B\r\n0123456789a\r\n000\r\nA: b\r\nC:\r\n\r\nrest",
    "2;a=\"b;c\"\r\n{}\r\n0;z\r\nX-T: 1\r\n\r\n", "1 ;a\r\nx\r\n0\r\n\r\n", "1\t ;\u{e9}\r\nx\r\n0\r\n\r\n",
    "1 ; a = \"\\\"\u{e9}\" ;b\t; c=d;e\r\nx\r\n0;f=\"\"\r\n\r\n",
    "0\r\n\r\n",
    "2\r\n{}x\r\n0\r\n\r\n", "2\r\n{}\n0\r\n\r\n", "2;\n\r\n{}\r\n0\r\n\r\n", "1\r\nx\r\n0\r\nA b: c\r\n\r\n",
    "1\r\nx\r\n",
  ]

  @Test func `decodes the data between sizes, extensions and trailers (RFC 9112 §7.1)`() {
    #expect(decode(Self.bodies[0]) == .whole("hello", end: 15))
    #expect(decode(Self.bodies[1]) == .whole("01234567890123456789a", end: Self.bodies[1].utf8.count - 4))
    #expect(decode(Self.bodies[2]) == .whole("{}", end: Self.bodies[2].utf8.count))
    #expect(decode("1 ;a\r\nx\r\n0\r\n\r\n") == .whole("x", end: 14))
    #expect(decode("0\r\n\r\nGET") == .whole("", end: 5))
    #expect(decode("5\r\nhel") == .partial("hel"))
  }

  /// RFC 9112 §7.1, §7.1.1, §7.1.2.
  @Test(
    arguments: [
      ("\r\n", .sizeMalformed), ("g\r\n", .sizeMalformed), ("0x2\r\n", .sizeMalformed), ("-2\r\n", .sizeMalformed),
      ("+2\r\n", .sizeMalformed), (" 2\r\n", .sizeMalformed), (";a\r\n", .sizeMalformed), ("2 \r\n", .sizeMalformed),
      ("2 2\r\n", .sizeMalformed), ("2\n{}\n0\n\n", .sizeMalformed), ("2\rx", .bareCR), ("2;a\rx", .bareCR),
      ("2;\r\n", .extensionMalformed), ("2; \r\n", .extensionMalformed), ("2;a;\r\n", .extensionMalformed),
      ("2;;a\r\n", .extensionMalformed), ("2;=b\r\n", .extensionMalformed), ("2;a=\r\n", .extensionMalformed),
      ("2;a= ;b\r\n", .extensionMalformed), ("2;a \r\n", .extensionMalformed), ("2;a=b \r\n", .extensionMalformed),
      ("2;a b\r\n", .extensionMalformed), ("2;a=b c\r\n", .extensionMalformed), ("2;a=b=c\r\n", .extensionMalformed),
      ("2;a[\r\n", .extensionMalformed), ("2;\u{e9}\r\n", .extensionMalformed), ("2;\"a\"\r\n", .extensionMalformed),
      ("2;a=\"b\r\n", .extensionMalformed), ("2;a=\"b\"c\r\n", .extensionMalformed),
      ("2;a=\"\\\r\n", .extensionMalformed), ("2;a=\"\u{0}\"\r\n", .extensionMalformed),
      ("2;a=b\"c\"\r\n", .extensionMalformed),
      ("2;\n\r\n", .extensionMalformed), ("2;a\u{0}\r\n", .extensionMalformed), ("2;\u{7f}", .extensionMalformed),
      ("10000000000000002\r\n", .sizeTooLarge), ("0000000000000001\r\n", .sizeTooLarge),
      ("ffffffffffffffff", .sizeTooLarge),
      ("2\r\n{}x\r\n", .dataTooLong), ("2\r\n{}\n", .dataTooLong), ("2\r\n{}\rx", .bareCR),
      ("2\r\n{}0\r\n", .dataTooLong),
      ("0\r\n\n", .trailerMalformed), ("0\r\n A: b\r\n", .trailerMalformed), ("0\r\n: b\r\n", .trailerMalformed),
      ("0\r\nA\r\n", .trailerMalformed), ("0\r\nA : b\r\n", .trailerMalformed),
      ("0\r\nA: b\r\n c\r\n", .trailerMalformed),
      ("0\r\nA: \u{0}\r\n", .trailerMalformed), ("0\r\nA: b\n", .trailerMalformed), ("0\r\nA: b\rx", .bareCR),
      ("0\r\n\rx", .bareCR), ("1\r\nx\r\n\r\n", .sizeMalformed),
    ] as [(String, ChunkFault)])
  func `rejects malformed framing`(body: String, fault: ChunkFault) {
    #expect(decode(body) == .fault(fault))
  }

  /// RFC 9112 §7.1.1 with the tokens and quoted strings of RFC 9110 §5.6, written as simply as possible.
  @Test(arguments: [4, UInt64.random(in: .min ... .max)])
  func `accepts exactly the extensions of the grammar`(seed: UInt64) throws {
    let token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
    let quoted = #""(?:[\t \x21\x23-\x5B\x5D-\x7E\x80-\xFF]|\\[\t\x20-\x7E\x80-\xFF])*""#
    let grammar = try Regex("(?:[ \t]*;[ \t]*\(token)(?:[ \t]*=[ \t]*(?:\(token)|\(quoted)))?)*")
    var generator = SeededGenerator(state: seed)
    var taken = 0
    for _ in 0..<4000 {
      let count = Int.random(in: 0...8, using: &generator)
      let pieces = [";", "; ", "a", "b1", "=", "\"", "\"x\"", "\\", " ", "\t", "[", "\u{e9}", ";c", ";d=e"]
      let text = (0..<count).map { _ in pieces.randomElement(using: &generator)! }.joined()
      let isTaken = decode("1\(text)\r\nx\r\n0\r\n\r\n") == .whole("x", end: latin1(text).count + 11)
      #expect(try isTaken == (grammar.wholeMatch(in: text) != nil), "seed \(seed), \(text.debugDescription)")
      if isTaken { taken += 1 }
    }
    #expect(taken > 100)
  }

  @Test func `accepts the largest size without overflow`() {
    #expect(decode("fffffffffffffff\r\nab") == .partial("ab"))
  }

  @Test func `limits the extensions and trailers of a whole body (RFC 9112 §7.1.1, §7.1.2)`() {
    func body(extensions: Int, trailers: Int) -> String {
      // "a" and CR after the semicolon of the first chunk count as two bytes; "A:" and CR as three.
      "1;a\r\nx\r\n0;" + String(repeating: "e", count: extensions - 3) + "\r\nA:\r\nB:"
        + String(repeating: "t", count: trailers - 6) + "\r\n\r\n"
    }
    let extensionMax = ChunkedDecoder.extensionBytesMax
    let trailerMax = ChunkedDecoder.trailerBytesMax
    let most = body(extensions: extensionMax, trailers: trailerMax)
    #expect(decode(most) == .whole("x", end: latin1(most).count))
    #expect(decode(body(extensions: extensionMax + 1, trailers: 6)) == .fault(.extensionsTooLong))
    #expect(decode(body(extensions: 4, trailers: trailerMax + 1)) == .fault(.trailersTooLong))
  }

  @Test(arguments: bodies)
  func `decodes the same data however the body is split`(body: String) {
    let bytes = latin1(body)
    let whole = decode(bytes)
    for first in 0...bytes.count {
      for second in first...bytes.count { #expect(decode(bytes, cuts: [first, second]) == whole) }
    }
    #expect(decode(bytes, cuts: Array(0...bytes.count)) == whole)
  }

  @Test func `stays at the end`() throws {
    var decoder = ChunkedDecoder()
    let bytes = latin1("0\r\n\r\nmore")
    var offset = 0
    #expect(try decoder.next(bytes.span, &offset) == .end(5))
    #expect(try decoder.next(bytes.span, &offset) == .end(5))
  }
}
