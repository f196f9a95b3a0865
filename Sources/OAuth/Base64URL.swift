/// Base64 with the URL-safe alphabet and without padding (RFC 4648 §5), in its canonical form only: the bits after the
/// last byte are zero, so that two texts never mean the same bytes.
enum Base64URL {
  /// The number of bytes that `characterCount` characters mean; nil: no text has that length.
  static func byteCount(_ characterCount: Int) -> Int? {
    characterCount & 3 == 1 ? nil : characterCount &* 3 / 4
  }

  static func encode(_ bytes: Span<UInt8>) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count * 4 + 2) / 3)
    var (bits, bitCount) = (UInt32(0), 0)
    for index in bytes.indices {
      bits = bits << 8 | UInt32(bytes[index])
      bitCount += 8
      while bitCount >= 6 {
        bitCount -= 6
        text.append(alphabet[Int(bits >> UInt32(bitCount) & 63)])
      }
    }
    if bitCount > 0 { text.append(alphabet[Int(bits << UInt32(6 - bitCount) & 63)]) }
    return text
  }

  /// Writes the bytes that `text` means to the front of `output`.
  ///
  /// - Returns: whether the text is canonical and the bytes fit.
  static func decode(_ text: Span<UInt8>, into output: inout MutableSpan<UInt8>) -> Bool {
    guard let count = byteCount(text.count), count <= output.count else { return false }
    let values = values.span
    // All values are checked at once, at the end: an invalid character's has a high bit.
    var (invalid, index, written) = (UInt8(0), 0, 0)
    while index &+ 4 <= text.count {
      let (a, b) = (values[Int(text[index])], values[Int(text[index &+ 1])])
      let (c, d) = (values[Int(text[index &+ 2])], values[Int(text[index &+ 3])])
      invalid |= a | b | c | d
      output[written] = a << 2 | b >> 4
      output[written &+ 1] = b << 4 | c >> 2
      output[written &+ 2] = c << 6 | d
      index &+= 4
      written &+= 3
    }
    let rest = text.count &- index
    if rest >= 2 {
      let (a, b) = (values[Int(text[index])], values[Int(text[index &+ 1])])
      let c = rest == 3 ? values[Int(text[index &+ 2])] : 0
      invalid |= a | b | c
      output[written] = a << 2 | b >> 4
      if rest == 3 { output[written &+ 1] = b << 4 | c >> 2 }
      guard rest == 3 ? c & 3 == 0 : b & 15 == 0 else { return false }
    }
    return invalid & 0xc0 == 0
  }

  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

  /// The value of each character; 0xff: not in the alphabet.
  private static let values = {
    var values = [UInt8](repeating: 0xff, count: 256)
    for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
    return values
  }()
}
