/// Looking for a byte eight at a time: a byte's place in a word is where the top bit of a mark is.
///
/// Marks are exact up to the first one; behind it, a carry may set or clear some. Only the first is ever used.
extension UInt64 {
  private static let topBits: UInt64 = 0x8080_8080_8080_8080
  private static let ones: UInt64 = 0x0101_0101_0101_0101

  /// The lowest `count` bytes of a word, none if it is negative.
  @inline(__always)
  static func mask(bytes count: Int) -> UInt64 {
    if count <= 0 { return 0 }
    return count >= 8 ? .max : (1 &<< UInt64(count &* 8)) &- 1
  }

  /// This word with its ASCII letters in lower case; of other bytes only `@[\]^_` and control bytes change.
  @inline(__always)
  var withLowerCaseLetters: UInt64 { self | (0x20 &* Self.ones) }

  /// Marks the bytes of this word that are `byte`.
  @inline(__always)
  func marks(of byte: UInt8) -> UInt64 {
    let difference = self ^ (UInt64(byte) &* Self.ones)
    return (difference &- Self.ones) & ~difference & Self.topBits
  }

  /// Marks the bytes of this word that are less than `byte`, which is ASCII, or DEL; a `~` behind a 0xff may be marked too.
  @inline(__always)
  func marksOfDelete(andBelow byte: UInt8) -> UInt64 {
    ((self &- (UInt64(byte) &* Self.ones)) | (self &+ Self.ones)) & ~self & Self.topBits
  }

  /// Marks the bytes of this word that are 0x80 or more.
  @inline(__always)
  var marksBeyondASCII: UInt64 { self & Self.topBits }

  /// Marks the bytes of this word that are neither ASCII letters nor within `others`, which are ASCII.
  @inline(__always)
  func marks(besidesLettersAnd others: ClosedRange<UInt8>) -> UInt64 {
    let low = self & ~Self.topBits
    let isLetter = low.withLowerCaseLetters.topBits(from: UInt8(ascii: "a"), through: UInt8(ascii: "z"))
    let isOther = low.topBits(from: others.lowerBound, through: others.upperBound)
    return (~(isLetter | isOther) | self) & Self.topBits
  }

  /// The top bit of each byte that is within the two, among bits without meaning; all bytes are ASCII.
  @inline(__always)
  private func topBits(from lower: UInt8, through upper: UInt8) -> UInt64 {
    (self &+ (UInt64(0x80 &- lower) &* Self.ones)) ^ (self &+ (UInt64(0x7f &- upper) &* Self.ones))
  }
}

extension Span<UInt8> {
  /// The first place in `range` where `isStop` holds, or its end; `marks` marks at least all stops of a word.
  @inline(__always)
  func firstStop(
    in range: Range<Int>, marks: (UInt64) -> UInt64, where isStop: (UInt8) -> Bool
  ) -> Int {
    var index = range.lowerBound
    // The last word may go on behind the range.
    while index < range.upperBound, count &- index >= 8 {
      let found = marks(word(at: index))
      guard found != 0 else {
        index &+= 8
        continue
      }
      index &+= found.trailingZeroBitCount / 8
      guard index < range.upperBound, !isStop(self[index]) else { return Swift.min(index, range.upperBound) }
      index &+= 1
    }
    while index < range.upperBound, !isStop(self[index]) { index &+= 1 }
    return Swift.min(index, range.upperBound)
  }

  /// The first eight bytes of `range`, the first one lowest, with zeros for those that it has not.
  @inline(__always)
  func packed(_ range: Range<Int>) -> UInt64 {
    if count &- range.lowerBound >= 8 { return word(at: range.lowerBound) & .mask(bytes: range.count) }
    var word: UInt64 = 0
    for index in range.reversed() { word = word << 8 | UInt64(self[index]) }
    return word
  }

  /// The eight bytes from `index` on, the first one lowest: one load once compiled.
  @inline(__always)
  private func word(at index: Int) -> UInt64 {
    let eight = extracting(index..<index &+ 8)
    let low = UInt32(eight[0]) | UInt32(eight[1]) << 8 | UInt32(eight[2]) << 16 | UInt32(eight[3]) << 24
    let high = UInt32(eight[4]) | UInt32(eight[5]) << 8 | UInt32(eight[6]) << 16 | UInt32(eight[7]) << 24
    return UInt64(low) | UInt64(high) << 32
  }
}
