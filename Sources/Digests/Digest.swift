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
    var digits = InlineArray<64, UInt8>(repeating: 0)
    var word = words.0
    for index in 0..<8 {
      if index == 2 { word = words.1 } else if index == 4 { word = words.2 } else if index == 6 { word = words.3 }
      let eight = UInt64(hexDigitsOf: UInt32(truncatingIfNeeded: index & 1 == 0 ? word >> 32 : word))
      // One store once compiled; a closure for each digit takes four times as many instructions.
      let start = 8 &* index
      digits[start] = UInt8(truncatingIfNeeded: eight)
      digits[start &+ 1] = UInt8(truncatingIfNeeded: eight >> 8)
      digits[start &+ 2] = UInt8(truncatingIfNeeded: eight >> 16)
      digits[start &+ 3] = UInt8(truncatingIfNeeded: eight >> 24)
      digits[start &+ 4] = UInt8(truncatingIfNeeded: eight >> 32)
      digits[start &+ 5] = UInt8(truncatingIfNeeded: eight >> 40)
      digits[start &+ 6] = UInt8(truncatingIfNeeded: eight >> 48)
      digits[start &+ 7] = UInt8(truncatingIfNeeded: eight >> 56)
    }
    return digits
  }

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
