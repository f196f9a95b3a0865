import HTTP1
import Testing

@Suite struct ByteScanTests {
  /// Sixteen times one byte with one other byte: covers every carry between the bytes of a word.
  private static let texts = [0x00, 0x20, 0x2d, 0x61, 0x7e, 0x7f, 0x80, 0xff].flatMap { (filling: UInt8) in
    (0...UInt8.max).flatMap { byte in
      (0..<16).map { place in
        var text = [UInt8](repeating: filling, count: 16)
        text[place] = byte
        return text
      }
    }
  }

  /// The same with texts longer than four words and shorter than one.
  private static let otherTexts = [
    (6, [0, 3, 5]), (43, [0, 7, 8, 16, 24, 31, 32, 33, 39, 40, 42]),
  ].flatMap { (count: Int, places: [Int]) in
    [0x2d, 0x61, 0xff].flatMap { (filling: UInt8) in
      (0...UInt8.max).flatMap { byte in
        places.map { place in
          var text = [UInt8](repeating: filling, count: count)
          text[place] = byte
          return text
        }
      }
    }
  }

  @Test func `finds the end of a token`() {
    let token = Set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
    for text in Self.texts + Self.otherTexts {
      let count = text.count
      for range in [0..<count, 1..<count, 0..<count - 5, 3..<3] {
        let end = range.first { !token.contains(text[$0]) } ?? range.upperBound
        #expect(text.span.endOfToken(in: range) == end, "\(text) \(range)")
      }
    }
  }

  @Test func `recognizes a token68`() {
    let characters = Set("-._~+/0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
    for text in Self.texts + Self.otherTexts + ["a=", "a==", "=a", "a=a", "="].map({ Array($0.utf8) }) {
      let padding = text.firstIndex { !characters.contains($0) } ?? text.count
      let isToken68 = padding > 0 && text[padding...].allSatisfy { $0 == UInt8(ascii: "=") }
      #expect(text.span.isToken68(0..<text.count) == isToken68, "\(text)")
    }
  }

  @Test func `finds the first occurrence of a byte within the range`() {
    for text in Self.texts + Self.otherTexts {
      let count = text.count
      for range in [0..<count, 5..<count, 0..<count - 5, 2..<2] {
        #expect(text.span.first(UInt8(ascii: "-"), in: range) == text[range].firstIndex(of: UInt8(ascii: "-")))
      }
    }
  }
}
