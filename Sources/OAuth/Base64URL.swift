/// Base64 with the URL-safe alphabet and without padding (RFC 4648 §5), in its canonical form only: the bits after the
/// last byte are zero, so that two texts never mean the same bytes.
package enum Base64URL {
  /// The number of bytes that `characterCount` characters mean; nil: no text has that length.
  static func byteCount(_ characterCount: Int) -> Int? {
    characterCount & 3 == 1 ? nil : characterCount &* 3 / 4
  }

  package static func encode(_ bytes: Span<UInt8>) -> [UInt8] {
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

  static func isCharacter(_ byte: UInt8) -> Bool { bits[Int(byte)] != .max }

  /// Writes the bytes that `text` means to the front of `output`. Two bytes after them may change, too.
  ///
  /// - Returns: whether the text is canonical and the bytes fit.
  static func decode(_ text: Span<UInt8>, into output: inout MutableSpan<UInt8>) -> Bool {
    guard let count = byteCount(text.count), count <= output.count else { return false }
    // All characters are checked at once, at the end: an invalid one sets the upper byte.
    let table = bits.span.extracting(0..<1_024)
    var (invalid, rest, written) = (UInt32(0), text, 0)
    // Six bytes at a time, in one store of eight, of which the next store overwrites the last two.
    while rest.count >= 16, output.count &- written >= 14 {
      var part = output._mutatingExtracting(written..<written &+ 14)
      for half in 0..<2 {
        let (first, second) = (bits(of: rest, at: 8 &* half, table), bits(of: rest, at: 8 &* half &+ 4, table))
        invalid |= first | second
        set(&part, at: 6 &* half, UInt64(first) << 40 &+ UInt64(second) << 16 &+ UInt64(second & 0xffff))
      }
      rest = rest.extracting(droppingFirst: 16)
      written &+= 12
    }
    while rest.count >= 2 {
      // Without its last characters, a group is as if they were A.
      var last = table[Int(rest[0])] | table[256 &+ Int(rest[1])]
      if rest.count > 2 { last |= table[512 &+ Int(rest[2])] }
      if rest.count > 3 { last |= table[768 &+ Int(rest[3])] }
      invalid |= last
      let byteCount = min(rest.count, 4) &- 1
      for index in 0..<byteCount {
        output[written &+ index] = UInt8(truncatingIfNeeded: last >> UInt32(16 &- 8 &* index))
      }
      guard last << UInt32(8 &+ 8 &* byteCount) == 0 else { return false }
      rest = rest.extracting(droppingFirst: min(rest.count, 4))
      written &+= byteCount
    }
    return invalid >> 24 == 0
  }

  /// The 24 bits of four characters; the upper byte is not 0 if one is invalid.
  @inline(__always)
  private static func bits(of text: Span<UInt8>, at start: Int, _ table: Span<UInt32>) -> UInt32 {
    table[Int(text[start])] | table[256 &+ Int(text[start &+ 1])] | table[512 &+ Int(text[start &+ 2])]
      | table[768 &+ Int(text[start &+ 3])]
  }

  /// Writes a big-endian number: one store once compiled, because the compiler cannot take apart a sum that was byte-swapped
  /// and none of whose bytes is known. That is 19 instructions for four characters, instead of 70 with a store and a bounds
  /// check for each byte.
  @inline(__always)
  private static func set(_ bytes: inout MutableSpan<UInt8>, at start: Int, _ number: UInt64) {
    let number = number.byteSwapped
    for index in 0..<8 { bytes[start &+ index] = UInt8(truncatingIfNeeded: number >> UInt64(8 &* index)) }
  }

  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

  /// The six bits of each character, in place for each of the four positions of a group; all ones: not in the alphabet.
  private static let bits = {
    var bits = [UInt32](repeating: .max, count: 1_024)
    for position in 0..<4 {
      for (value, character) in alphabet.enumerated() {
        bits[256 * position + Int(character)] = UInt32(value) << UInt32(18 - 6 * position)
      }
    }
    return bits
  }()
}
