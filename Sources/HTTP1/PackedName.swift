/// The first 24 bytes of a field name in three words, in lower case and with `-` for `_` and `.`, to compare names by words.
struct PackedName: Sendable {
  /// What fits; longer names keep their count and their first bytes.
  static let bytesMax = 24

  private(set) var count = 0
  /// Whether `_` or `.` became `-`.
  private(set) var hasOtherSeparators = false
  private var first: UInt64 = 0
  private var second: UInt64 = 0
  private var third: UInt64 = 0

  /// Packs the token at the start of `range`; `count` tells where it ended.
  @inline(__always)
  init(tokenIn bytes: Span<UInt8>, from range: Range<Int>) {
    var index = range.lowerBound
    first = packWord(bytes, &index, range.upperBound)
    if index == range.lowerBound + 8 { second = packWord(bytes, &index, range.upperBound) }
    if index == range.lowerBound + 16 { third = packWord(bytes, &index, range.upperBound) }
    if index == range.lowerBound + 24 {
      while index < range.upperBound, ByteSet.token.contains(bytes[index]) { index += 1 }
    }
    count = index - range.lowerBound
  }

  init(_ text: String) {
    let bytes = Array(text.utf8)
    self.init(tokenIn: bytes.span, from: 0..<bytes.count)
    precondition(count == bytes.count && count <= Self.bytesMax)
  }

  @inline(__always)
  func hasSameBytes(as other: PackedName) -> Bool {
    count == other.count && first == other.first && second == other.second && third == other.third
  }

  /// Whether this name starts with `prefix`, which has at most 16 bytes.
  @inline(__always)
  func hasPrefix(_ prefix: PackedName) -> Bool {
    // A packed name is zero behind its end, so the bytes of the prefix are a mask of its length.
    first & Self.mask(prefix.count) == prefix.first && second & Self.mask(prefix.count - 8) == prefix.second
  }

  /// The lowest `count` bytes of a word.
  @inline(__always)
  private static func mask(_ count: Int) -> UInt64 {
    if count <= 0 { return 0 }
    return count >= 8 ? .max : (1 &<< UInt64(count * 8)) - 1
  }

  @inline(__always)
  private mutating func packWord(_ bytes: Span<UInt8>, _ index: inout Int, _ end: Int) -> UInt64 {
    var word: UInt64 = 0
    var shift: UInt64 = 0
    while shift < 64, index < end {
      let byte = bytes[index]
      guard ByteSet.token.contains(byte) else { break }
      word |= UInt64(byte) &<< shift
      shift += 8
      index += 1
    }
    return normalise(word)
  }

  /// Lower case and one separator, on eight ASCII bytes at once.
  @inline(__always)
  private mutating func normalise(_ word: UInt64) -> UInt64 {
    let underscores = Self.places(of: UInt8(ascii: "_"), in: word)
    let dots = Self.places(of: UInt8(ascii: "."), in: word)
    if underscores | dots != 0 { hasOtherSeparators = true }
    let dashed =
      word
      ^ (underscores &* UInt64(UInt8(ascii: "_") ^ UInt8(ascii: "-")))
      ^ (dots &* UInt64(UInt8(ascii: ".") ^ UInt8(ascii: "-")))
    // The top bit of a byte is set by the first sum from "A" on, by the second from "[" on.
    let capitals = ((dashed &+ 0x3f3f_3f3f_3f3f_3f3f) ^ (dashed &+ 0x2525_2525_2525_2525)) & 0x8080_8080_8080_8080
    return dashed | (capitals &>> 2)
  }

  /// 1 in each byte of `word` that is `byte`; all bytes are ASCII.
  @inline(__always)
  private static func places(of byte: UInt8, in word: UInt64) -> UInt64 {
    let difference = word ^ (UInt64(byte) &* 0x0101_0101_0101_0101)
    return (~(difference &+ 0x7f7f_7f7f_7f7f_7f7f) & 0x8080_8080_8080_8080) &>> 7
  }
}
