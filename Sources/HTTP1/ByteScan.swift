/// Looking for a byte eight at a time: a byte's place in a word is where the top bit of a mark is.
///
/// All that is asked for is marked; behind the first mark, a carry may mark other bytes too. What admission uses is
/// `@inlinable`: as calls, these few instructions cost it twice as many again.
extension UInt64 {
  @inlinable static var topBits: UInt64 { 0x8080_8080_8080_8080 }
  @inlinable static var ones: UInt64 { 0x0101_0101_0101_0101 }

  /// The lowest `count` bytes of a word, none if it is negative.
  @inlinable @inline(__always)
  package static func mask(bytes count: Int) -> UInt64 {
    count <= 0 ? 0 : .max &>> UInt64(64 &- 8 &* Swift.min(count, 8))
  }

  /// This word with its ASCII letters in lower case; of other bytes only `@[\]^_` and control bytes change.
  @inlinable @inline(__always)
  package var withLowerCaseLetters: UInt64 { self | (0x20 &* Self.ones) }

  /// Marks the bytes of this word that are `byte`.
  @inlinable @inline(__always)
  package func marks(of byte: UInt8) -> UInt64 {
    let difference = self ^ (UInt64(byte) &* Self.ones)
    return (difference &- Self.ones) & ~difference & Self.topBits
  }

  /// Marks the bytes of this word that are less than `byte`, which is ASCII, or DEL.
  @inline(__always)
  func marksOfDelete(andBelow byte: UInt8) -> UInt64 {
    ((self &- (UInt64(byte) &* Self.ones)) | (self &+ Self.ones)) & ~self & Self.topBits
  }

  /// Marks the bytes of this word that no request target has.
  @inline(__always)
  var marksOfNoTarget: UInt64 {
    ((self &- (0x21 &* Self.ones)) | (self &+ Self.ones) | self) & Self.topBits | marks(of: UInt8(ascii: "#"))
  }

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
  @inlinable @inline(__always)
  package func firstStop(
    in range: Range<Int>, marks: (UInt64) -> UInt64, where isStop: (UInt8) -> Bool
  ) -> Int {
    let behind = count &- range.upperBound
    var rest = extracting(droppingFirst: range.lowerBound)
    // The last word may go on behind the range.
    while rest.count > behind, let word = rest.firstWord {
      var found = marks(word)
      while found != 0 {
        let bit = found.trailingZeroBitCount & ~7
        let place = count &- rest.count &+ bit / 8
        guard place < range.upperBound else { return range.upperBound }
        guard !isStop(UInt8(truncatingIfNeeded: word &>> UInt64(bit))) else { return place }
        found &= found &- 1
      }
      rest = rest.extracting(droppingFirst: 8)
    }
    var index = count &- rest.count
    while index < range.upperBound, !isStop(self[index]) { index &+= 1 }
    return Swift.min(index, range.upperBound)
  }

  /// The first eight bytes of `range`, the first one lowest, with zeros for those that it has not.
  @inlinable @inline(__always)
  package func packed(_ range: Range<Int>) -> UInt64 {
    if let word = extracting(droppingFirst: range.lowerBound).firstWord {
      return range.count < 8 ? word & ~(.max &<< UInt64(8 &* range.count)) : word
    }
    var word: UInt64 = 0
    for index in range.reversed() { word = word << 8 | UInt64(self[index]) }
    return word
  }

  /// The first eight bytes, the first one lowest, if there are as many.
  @inlinable @inline(__always)
  var firstWord: UInt64? { count >= 8 ? wholeWord(at: 0) : nil }

  /// Eight bytes, the first one at `start` and lowest: one load once compiled.
  @inlinable @inline(__always)
  package func wholeWord(at start: Int) -> UInt64 {
    UInt64(half(at: start)) | UInt64(half(at: start &+ 4)) << 32
  }

  @inlinable @inline(__always)
  func half(at start: Int) -> UInt32 {
    let low = UInt32(self[start]) | UInt32(self[start &+ 1]) << 8
    return low | UInt32(self[start &+ 2]) << 16 | UInt32(self[start &+ 3]) << 24
  }
}
