/// Looking for a byte eight at a time: a byte's place in a word is where the top bit of a mark is.
///
/// All that is asked for is marked; behind the first mark, a carry may mark other bytes too. What admission uses is
/// `@inlinable`: as calls, these few instructions cost it twice as many again.
extension UInt64 {
  @inlinable static var topBits: UInt64 { 0x8080_8080_8080_8080 }
  @inlinable static var ones: UInt64 { 0x0101_0101_0101_0101 }

  /// These ASCII characters, the first one lowest; a constant once compiled.
  @inline(__always)
  init(
    ascii a: Unicode.Scalar, _ b: Unicode.Scalar, _ c: Unicode.Scalar, _ d: Unicode.Scalar = "\0",
    _ e: Unicode.Scalar = "\0", _ f: Unicode.Scalar = "\0", _ g: Unicode.Scalar = "\0", _ h: Unicode.Scalar = "\0"
  ) {
    let low = a.value | b.value << 8 | c.value << 16 | d.value << 24
    let high = e.value | f.value << 8 | g.value << 16 | h.value << 24
    self = UInt64(low) | UInt64(high) << 32
  }

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
  ///
  /// What is behind the first byte that is not ASCII may be marked or not.
  @inline(__always)
  func marks(besidesLettersAnd others: ClosedRange<UInt8>) -> UInt64 {
    let isLetter = withLowerCaseLetters.topBits(from: UInt8(ascii: "a"), through: UInt8(ascii: "z"))
    let isOther = topBits(from: others.lowerBound, through: others.upperBound)
    return (~(isLetter | isOther) | self) & Self.topBits
  }

  /// Whether the lowest `count` bytes of this word, which are all that it has, are digits.
  @inline(__always)
  func areDigits(_ count: Int) -> Bool {
    let values = (self ^ (0x30 &* Self.ones)) & .mask(bytes: count)
    return (values | (values &+ (0x76 &* Self.ones))) & Self.topBits == 0
  }

  /// The place of the first byte that these marks mark.
  @inlinable @inline(__always)
  var firstPlace: Int? { self == 0 ? nil : trailingZeroBitCount &>> 3 }

  /// The top bit of each byte that is within the two, among bits without meaning; all bytes up to it are ASCII.
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
    var place = range.lowerBound
    while true {
      place = firstMark(in: place..<range.upperBound, marks)
      guard place < range.upperBound, !isStop(self[place]) else { return place }
      place &+= 1
    }
  }

  /// The first place in `range` that is marked, or its end.
  @inlinable @inline(__always)
  func firstMark(in range: Range<Int>, _ marks: (UInt64) -> UInt64) -> Int {
    let behind = count &- range.upperBound
    precondition(behind >= 0)
    var rest = extracting(droppingFirst: range.lowerBound)
    // The last words may go on behind the range.
    while rest.count > behind, let (first, second, third, fourth) = rest.fourWords {
      // As many a step, since a step costs as much as a word.
      let start = count &- rest.count
      if let place = marks(first).firstPlace { return Swift.min(start &+ place, range.upperBound) }
      if let place = marks(second).firstPlace { return Swift.min(start &+ 8 &+ place, range.upperBound) }
      if let place = marks(third).firstPlace { return Swift.min(start &+ 16 &+ place, range.upperBound) }
      if let place = marks(fourth).firstPlace { return Swift.min(start &+ 24 &+ place, range.upperBound) }
      rest = rest.extracting(droppingFirst: 32)
    }
    while rest.count > behind, let word = rest.firstWord {
      if let place = marks(word).firstPlace { return Swift.min(count &- rest.count &+ place, range.upperBound) }
      rest = rest.extracting(droppingFirst: 8)
    }
    guard rest.count > behind else { return range.upperBound }
    let place = marks(lastWord(rest.count)).firstPlace ?? 8
    return Swift.min(count &- rest.count &+ place, range.upperBound)
  }

  /// The first control byte in `range` that is no HTAB, or its end.
  @inline(__always)
  func endOfContent(in range: Range<Int>) -> Int {
    let end = firstMarkOfControl(in: range)
    // Nearly always a CR, which is told with less.
    return end < range.upperBound && self[end] != .cr ? endOfContent(in: range, mark: end) : end
  }

  private func endOfContent(in range: Range<Int>, mark: Int) -> Int {
    var end = mark
    while end < range.upperBound, self[end].isFieldContent {
      end = firstMarkOfControl(in: end &+ 1..<range.upperBound)
    }
    return end
  }

  /// Not inlined, since the loop needs the registers.
  @inline(never)
  private func firstMarkOfControl(in range: Range<Int>) -> Int {
    firstMark(in: range) { $0.marksOfDelete(andBelow: 0x20) }
  }

  /// Where the request target ends that `range` begins with.
  @inline(never)
  func endOfTarget(in range: Range<Int>) -> Int {
    firstMark(in: range) { $0.marksOfNoTarget }
  }

  /// Where the path of a request target ends that `range` begins with: at a question mark, or with the target.
  @inline(never)
  func endOfTargetPath(in range: Range<Int>) -> Int {
    firstMark(in: range) { $0.marksOfNoTarget | $0.marks(of: UInt8(ascii: "?")) }
  }

  /// The first eight bytes of `range`, the first one lowest, with zeros for those that it has not.
  ///
  /// Public, as is what it is made of, to be inlined into the modules that look names up by words.
  @inlinable @inline(__always)
  public func packed(_ range: Range<Int>) -> UInt64 { word(at: range.lowerBound) & .mask(bytes: range.count) }

  /// The eight bytes from `index` on, the first one lowest, with zeros behind the last: mostly one load.
  @inlinable @inline(__always)
  func word(at index: Int) -> UInt64 {
    let rest = extracting(droppingFirst: index)
    return rest.firstWord ?? lastWord(rest.count)
  }

  /// The last `bytes`, which are less than eight.
  @inlinable @inline(__always)
  func lastWord(_ bytes: Int) -> UInt64 {
    if let word = extracting(last: 8).firstWord { return bytes == 0 ? 0 : word &>> UInt64((8 &- bytes) &* 8) }
    var word: UInt64 = 0
    for place in (0..<bytes).reversed() { word = word << 8 | UInt64(self[count &- bytes &+ place]) }
    return word
  }

  /// The first eight bytes, the first one lowest, if there are as many.
  @inlinable @inline(__always)
  var firstWord: UInt64? { count >= 8 ? wholeWord(at: 0) : nil }

  @inlinable @inline(__always)
  var fourWords: (UInt64, UInt64, UInt64, UInt64)? {
    count >= 32 ? (wholeWord(at: 0), wholeWord(at: 8), wholeWord(at: 16), wholeWord(at: 24)) : nil
  }

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
