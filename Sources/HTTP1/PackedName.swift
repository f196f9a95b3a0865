/// The first 24 bytes of a field name in three words, in lower case and with `-` for `_` and `.`, to compare names by words.
///
/// `^` and `~` become the same too, which no name here has. A word that is not full ends in blanks; one that nothing was
/// read of is 0.
struct PackedName: Sendable {
  /// What fits; of longer names the first bytes are here.
  static let bytesMax = 24

  /// Bytes of the name that are here.
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

    /// Counts the bytes of the token that the next word begins with, and leaves only these in it.
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

  /// A word in lower case, in which `_` is 0x7f, with one separator.
  private static func dashed(_ word: UInt64) -> UInt64 {
    word
      ^ (places(of: 0x7f, in: word) &* UInt64(0x7f ^ UInt8(ascii: "-")))
      ^ (places(of: UInt8(ascii: "."), in: word) &* UInt64(UInt8(ascii: ".") ^ UInt8(ascii: "-")))
  }

  /// 1 in each byte of `word` that is `byte`; all bytes are ASCII.
  private static func places(of byte: UInt8, in word: UInt64) -> UInt64 {
    let difference = word ^ (UInt64(byte) &* 0x0101_0101_0101_0101)
    return (~(difference &+ 0x7f7f_7f7f_7f7f_7f7f) & 0x8080_8080_8080_8080) &>> 7
  }
}
