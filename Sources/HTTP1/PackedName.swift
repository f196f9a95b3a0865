/// The first 24 bytes of a field name in three words, in lower case and with `-` for `_` and `.`, for comparing names by
/// words.
///
/// `^` and `~` also become equal; no known name has them. A word that is partly filled is padded with spaces; a word not
/// read is 0.
struct PackedName: Sendable {
  /// The most bytes of a name that are packed.
  static let bytesMax = 24

  /// The number of packed bytes.
  let count: Int
  /// Whether a colon follows them.
  let endsAtColon: Bool
  /// Whether `_` or `.` became `-`.
  let hasOtherSeparators: Bool
  let first: UInt64
  let second: UInt64
  let third: UInt64

  /// Packs the token that begins at `start`, which may be the end of the bytes.
  @inline(__always)
  init(tokenIn bytes: Span<UInt8>, at start: Int) {
    var reading = Reading()
    let first = reading.token(bytes.word(at: start))
    let second = reading.count == 8 ? reading.token(bytes.word(at: start &+ 8)) : 0
    let third = reading.count == 16 ? reading.token(bytes.word(at: start &+ 16)) : 0
    count = reading.count
    endsAtColon = reading.endsAtColon
    hasOtherSeparators = reading.hasOtherSeparators
    self.first = hasOtherSeparators ? Self.dashed(first) : first
    self.second = hasOtherSeparators ? Self.dashed(second) : second
    self.third = hasOtherSeparators ? Self.dashed(third) : third
  }

  private struct Reading {
    var count = 0
    var endsAtColon = false
    var hasOtherSeparators = false

    /// Counts the token bytes at the start of the next word and returns the word without the others.
    @inline(__always)
    mutating func token(_ word: UInt64) -> UInt64 {
      var found = word.marks(besidesLettersAnd: UInt8(ascii: "-")...UInt8(ascii: "-"))
      while found != 0 {
        let bit = found.trailingZeroBitCount & ~7
        let byte = UInt8(truncatingIfNeeded: word &>> UInt64(bit))
        endsAtColon = byte == UInt8(ascii: ":")
        guard !endsAtColon, ByteSet.token.contains(byte) else {
          count &+= bit &>> 3
          return (word & (1 &<< UInt64(bit) &- 1)).withLowerCaseLetters
        }
        if byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".") { hasOtherSeparators = true }
        found &= found &- 1
      }
      count &+= 8
      return word.withLowerCaseLetters
    }
  }

  /// Replaces `_` and `.` by `-` in a lower-case word, in which `_` is 0x7f.
  private static func dashed(_ word: UInt64) -> UInt64 {
    word
      ^ (matches(of: 0x7f, in: word) &* UInt64(0x7f ^ UInt8(ascii: "-")))
      ^ (matches(of: UInt8(ascii: "."), in: word) &* UInt64(UInt8(ascii: ".") ^ UInt8(ascii: "-")))
  }

  /// A word with 1 in each byte where `word` has `byte`; all bytes must be ASCII.
  private static func matches(of byte: UInt8, in word: UInt64) -> UInt64 {
    let difference = word ^ (UInt64(byte) &* 0x0101_0101_0101_0101)
    return (~(difference &+ 0x7f7f_7f7f_7f7f_7f7f) & 0x8080_8080_8080_8080) &>> 7
  }
}
