/// SWAR search, eight bytes per word: a mark sets the top bit of each matching byte of a word.
///
/// Every match is marked; after the first mark, a carry may also mark other bytes. Functions that admission uses are
/// `@inlinable`: calling them would triple their instructions.
extension UInt64 {
  @inlinable static var topBits: UInt64 { 0x8080_8080_8080_8080 }
  @inlinable static var ones: UInt64 { 0x0101_0101_0101_0101 }

  /// ASCII characters as a little-endian word; a constant once compiled.
  @inlinable @inline(__always)
  package init(
    ascii a: Unicode.Scalar, _ b: Unicode.Scalar, _ c: Unicode.Scalar, _ d: Unicode.Scalar = "\0",
    _ e: Unicode.Scalar = "\0", _ f: Unicode.Scalar = "\0", _ g: Unicode.Scalar = "\0", _ h: Unicode.Scalar = "\0"
  ) {
    let low = a.value | b.value << 8 | c.value << 16 | d.value << 24
    let high = e.value | f.value << 8 | g.value << 16 | h.value << 24
    self = UInt64(low) | UInt64(high) << 32
  }

  /// A mask of the lowest `count` bytes; empty if `count` is negative.
  @inlinable @inline(__always)
  package static func mask(bytes count: Int) -> UInt64 {
    count <= 0 ? 0 : .max &>> UInt64(64 &- 8 &* Swift.min(count, 8))
  }

  /// This word with ASCII letters in lower case. Of other bytes, only `@[\]^_` and control bytes change.
  @inlinable @inline(__always)
  package var withLowerCaseLetters: UInt64 { self | (0x20 &* Self.ones) }

  /// Marks the bytes that equal `byte`.
  @inlinable @inline(__always)
  package func marks(of byte: UInt8) -> UInt64 {
    let difference = self ^ (UInt64(byte) &* Self.ones)
    return (difference &- Self.ones) & ~difference & Self.topBits
  }

  /// Marks DEL and the bytes below `byte`, which must be ASCII.
  @inline(__always)
  func marksOfDelete(andBelow byte: UInt8) -> UInt64 {
    ((self &- (UInt64(byte) &* Self.ones)) | (self &+ Self.ones)) & ~self & Self.topBits
  }

  /// Marks the bytes that are not allowed in a request target.
  @inline(__always)
  var marksOutsideTarget: UInt64 {
    ((self &- (0x21 &* Self.ones)) | (self &+ Self.ones) | self) & Self.topBits | marks(of: UInt8(ascii: "#"))
  }

  /// Marks the bytes that are neither ASCII letters nor within `others`, which must be ASCII.
  ///
  /// Marks after the first byte beyond ASCII are unreliable.
  @inline(__always)
  func marks(besidesLettersAnd others: ClosedRange<UInt8>) -> UInt64 {
    let isLetter = withLowerCaseLetters.topBits(from: UInt8(ascii: "a"), through: UInt8(ascii: "z"))
    let isOther = topBits(from: others.lowerBound, through: others.upperBound)
    return (~(isLetter | isOther) | self) & Self.topBits
  }

  /// Whether the lowest `count` bytes are digits; the others must be 0.
  @inline(__always)
  func areDigits(_ count: Int) -> Bool {
    let values = (self ^ (0x30 &* Self.ones)) & .mask(bytes: count)
    return (values | (values &+ (0x76 &* Self.ones))) & Self.topBits == 0
  }

  /// The offset of the first marked byte; nil if there is none.
  @inlinable @inline(__always)
  var firstMarkedByte: Int? { self == 0 ? nil : trailingZeroBitCount &>> 3 }

  /// Sets the top bit of each byte within the bounds; the other bits have no meaning. Valid up to the first byte beyond
  /// ASCII.
  @inline(__always)
  private func topBits(from lower: UInt8, through upper: UInt8) -> UInt64 {
    (self &+ (UInt64(0x80 &- lower) &* Self.ones)) ^ (self &+ (UInt64(0x7f &- upper) &* Self.ones))
  }
}

extension Span<UInt8> {
  /// The first index in `range` where `isStop` holds, or its end; `marks` must mark at least all stops of a word.
  @inlinable @inline(__always)
  package func firstStop(
    in range: Range<Int>, marks: (UInt64) -> UInt64, where isStop: (UInt8) -> Bool
  ) -> Int {
    var index = range.lowerBound
    while true {
      index = firstMark(in: index..<range.upperBound, marks)
      guard index < range.upperBound, !isStop(self[index]) else { return index }
      index &+= 1
    }
  }

  /// The first index in `range` that is marked, or its end.
  @inlinable @inline(__always)
  func firstMark(in range: Range<Int>, _ marks: (UInt64) -> UInt64) -> Int {
    let following = count &- range.upperBound
    precondition(following >= 0)
    var rest = extracting(droppingFirst: range.lowerBound)
    // The last words may extend beyond the range.
    while rest.count > following, let (first, second, third, fourth) = rest.fourWords {
      // Four words per iteration, because an iteration costs as much as a word.
      let start = count &- rest.count
      if let offset = marks(first).firstMarkedByte { return Swift.min(start &+ offset, range.upperBound) }
      if let offset = marks(second).firstMarkedByte { return Swift.min(start &+ 8 &+ offset, range.upperBound) }
      if let offset = marks(third).firstMarkedByte { return Swift.min(start &+ 16 &+ offset, range.upperBound) }
      if let offset = marks(fourth).firstMarkedByte { return Swift.min(start &+ 24 &+ offset, range.upperBound) }
      rest = rest.extracting(droppingFirst: 32)
    }
    while rest.count > following, let word = rest.firstWord {
      if let offset = marks(word).firstMarkedByte { return Swift.min(count &- rest.count &+ offset, range.upperBound) }
      rest = rest.extracting(droppingFirst: 8)
    }
    guard rest.count > following else { return range.upperBound }
    let offset = marks(lastWord(rest.count)).firstMarkedByte ?? 8
    return Swift.min(count &- rest.count &+ offset, range.upperBound)
  }

  /// The index of the first control byte other than HTAB in `range`, or its end.
  @inline(__always)
  func endOfContent(in range: Range<Int>) -> Int {
    let end = firstMarkOfControl(in: range)
    // Fast path: a CR.
    return end < range.upperBound && self[end] != .cr ? endOfContent(in: range, mark: end) : end
  }

  private func endOfContent(in range: Range<Int>, mark: Int) -> Int {
    var end = mark
    while end < range.upperBound, self[end].isFieldContent {
      end = firstMarkOfControl(in: end &+ 1..<range.upperBound)
    }
    return end
  }

  /// Not inlined, because the loop needs the registers.
  @inline(never)
  private func firstMarkOfControl(in range: Range<Int>) -> Int {
    firstMark(in: range) { $0.marksOfDelete(andBelow: 0x20) }
  }

  /// The end of the request target at the start of `range`.
  @inline(never)
  func endOfTarget(in range: Range<Int>) -> Int {
    firstMark(in: range) { $0.marksOutsideTarget }
  }

  /// The end of the path of the request target at the start of `range`: a question mark, or the end of the target.
  @inline(never)
  func endOfTargetPath(in range: Range<Int>) -> Int {
    firstMark(in: range) { $0.marksOutsideTarget | $0.marks(of: UInt8(ascii: "?")) }
  }

  /// The first eight bytes of `range`, little-endian, zero-padded.
  ///
  /// Public and inlinable, so that it is inlined into modules that look up names by words.
  @inlinable @inline(__always)
  public func packed(_ range: Range<Int>) -> UInt64 { word(at: range.lowerBound) & .mask(bytes: range.count) }

  /// The eight bytes from `index` on, little-endian, zero-padded: mostly one load.
  @inlinable @inline(__always)
  func word(at index: Int) -> UInt64 {
    let rest = extracting(droppingFirst: index)
    return rest.firstWord ?? lastWord(rest.count)
  }

  /// The last `bytes` bytes, fewer than eight, little-endian, zero-padded.
  @inlinable @inline(__always)
  func lastWord(_ bytes: Int) -> UInt64 {
    if let word = extracting(last: 8).firstWord { return bytes == 0 ? 0 : word &>> UInt64((8 &- bytes) &* 8) }
    var word: UInt64 = 0
    for offset in (0..<bytes).reversed() { word = word << 8 | UInt64(self[count &- bytes &+ offset]) }
    return word
  }

  /// The first eight bytes, little-endian; nil if there are fewer.
  @inlinable @inline(__always)
  package var firstWord: UInt64? { count >= 8 ? wholeWord(at: 0) : nil }

  /// The first 32 bytes; nil if there are fewer.
  @inlinable @inline(__always)
  package var fourWords: (UInt64, UInt64, UInt64, UInt64)? {
    count >= 32 ? (wholeWord(at: 0), wholeWord(at: 8), wholeWord(at: 16), wholeWord(at: 24)) : nil
  }

  /// The eight bytes at `start`, little-endian: one load once compiled.
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
