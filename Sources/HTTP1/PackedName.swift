/// The first 24 bytes of a field name in three words, in lower case and with `-` for `_` and `.`, to compare names by words.
///
/// `^` and `~` become the same too, which no name here has. A word that is not full ends in blanks.
struct PackedName: Sendable {
  /// What fits; longer names keep their count and their first bytes.
  static let bytesMax = 24

  private(set) var count = 0
  /// Whether `_` or `.` became `-`.
  private(set) var hasOtherSeparators = false
  private(set) var first: UInt64 = 0
  private(set) var second: UInt64 = 0
  private var third: UInt64 = 0

  /// Packs the token at the start of `range`; `count` tells where it ended.
  @inline(__always)
  init(tokenIn bytes: Span<UInt8>, from range: Range<Int>) {
    var hasOtherSeparators = false
    let end = bytes.firstStop(in: range) { word in
      word.marks(besidesLettersAnd: UInt8(ascii: "-")...UInt8(ascii: "-"))
    } where: { byte in
      if byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".") { hasOtherSeparators = true }
      return !ByteSet.token.contains(byte)
    }
    count = end - range.lowerBound
    first = bytes.packed(range.lowerBound..<end).withLowerCaseLetters
    if count > 8 { second = bytes.packed(range.lowerBound &+ 8..<end).withLowerCaseLetters }
    if count > 16 { third = bytes.packed(range.lowerBound &+ 16..<end).withLowerCaseLetters }
    if hasOtherSeparators { dashSeparators() }
  }

  init(_ text: String) {
    let bytes = Array(text.utf8)
    self.init(tokenIn: bytes.span, from: 0..<bytes.count)
    precondition(count == bytes.count && count <= Self.bytesMax)
  }

  @inline(__always)
  func hasSameBytes(as other: PackedName) -> Bool {
    first == other.first && second == other.second && third == other.third && count == other.count
  }

  private mutating func dashSeparators() {
    hasOtherSeparators = true
    first = Self.dashed(first)
    second = Self.dashed(second)
    third = Self.dashed(third)
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

/// What a name may begin with: at most 16 bytes.
struct NamePrefix: Sendable {
  private let first: UInt64
  private let second: UInt64
  private let firstMask: UInt64
  private let secondMask: UInt64

  init(_ text: String) {
    let name = PackedName(text)
    precondition(name.count <= 16)
    firstMask = .mask(bytes: name.count)
    secondMask = .mask(bytes: name.count - 8)
    first = name.first & firstMask
    second = name.second & secondMask
  }

  @inline(__always)
  func begins(_ name: PackedName) -> Bool {
    name.first & firstMask == first && name.second & secondMask == second
  }
}
