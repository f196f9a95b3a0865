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
    var end = range.lowerBound
    while end < range.upperBound, ByteSet.token.contains(bytes[end]) { end &+= 1 }
    count = end - range.lowerBound
    first = normalise(bytes.packed(range.lowerBound..<end))
    if count > 8 { second = normalise(bytes.packed(range.lowerBound + 8..<end)) }
    if count > 16 { third = normalise(bytes.packed(range.lowerBound + 16..<end)) }
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
    first & UInt64.mask(bytes: prefix.count) == prefix.first
      && second & UInt64.mask(bytes: prefix.count - 8) == prefix.second
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
