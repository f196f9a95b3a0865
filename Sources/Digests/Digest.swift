import Bytes

/// A SHA-256 digest: 32 bytes, stored as four big-endian words.
@usableFromInline
package struct Digest: Sendable {
  /// The first 8 bytes are the first word, in big-endian order.
  @usableFromInline package let words: (UInt64, UInt64, UInt64, UInt64)

  @inlinable
  package init(words: (UInt64, UInt64, UInt64, UInt64)) {
    self.words = words
  }

  /// Reads 64 hexadecimal digits of either case; nil for any other text.
  package init?(hex text: String) { self.init(hex: text.utf8Span.span) }

  /// The same for text as received.
  package init?(hex text: Span<UInt8>) {
    guard text.count == 64 else { return nil }
    var words: InlineArray<4, UInt64> = [0, 0, 0, 0]
    for index in text.indices {
      guard let value = hexValue(text[index]) else { return nil }
      words[index / 16] = words[index / 16] << 4 | UInt64(value)
    }
    self.init(words: (words[0], words[1], words[2], words[3]))
  }

  /// 64 lower-case hexadecimal digits.
  package var hex: String {
    let digits = hexDigits
    return String(decoding: digits.indices.map { digits[$0] }, as: UTF8.self)
  }

  /// The same without allocation.
  package var hexDigits: InlineArray<64, UInt8> {
    let eights: InlineArray<8, UInt64> = [
      Self.firstDigits(words.0), Self.lastDigits(words.0), Self.firstDigits(words.1), Self.lastDigits(words.1),
      Self.firstDigits(words.2), Self.lastDigits(words.2), Self.firstDigits(words.3), Self.lastDigits(words.3),
    ]
    return InlineArray { index in UInt8(truncatingIfNeeded: eights[index >> 3] >> UInt64(8 &* (index & 7))) }
  }

  private static func firstDigits(_ word: UInt64) -> UInt64 { UInt64(hexDigitsOf: UInt32(word >> 32)) }
  private static func lastDigits(_ word: UInt64) -> UInt64 { UInt64(hexDigitsOf: UInt32(truncatingIfNeeded: word)) }

  /// The first 4 bytes, which identify a token in log lines.
  @inlinable package var prefix: UInt32 { UInt32(truncatingIfNeeded: words.0 >> 32) }
}

extension Digest: Hashable {
  /// Compares all bytes in constant time, so that timing reveals nothing about a stored digest.
  @inlinable
  package static func == (left: Digest, right: Digest) -> Bool {
    let difference =
      (left.words.0 ^ right.words.0) | (left.words.1 ^ right.words.1)
      | (left.words.2 ^ right.words.2) | (left.words.3 ^ right.words.3)
    return difference == 0
  }

  /// Digests that share their first 8 bytes cannot be found in numbers that would slow a table down.
  @usableFromInline
  package func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}

extension Digest: CustomStringConvertible {
  @usableFromInline
  package var description: String { hex }
}

/// The value of a hexadecimal digit of either case; nil for any other byte.
package func hexValue(_ digit: UInt8) -> UInt8? {
  switch digit {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
  default: nil
  }
}
