/// A set of ASCII bytes in two words: a membership test is a shift and a mask.
struct ByteSet {
  let low: UInt64
  let high: UInt64

  /// tchar: letters, digits and ``!#$%&'*+-.^_`|~`` (RFC 9110 §5.6.2).
  static let token = ByteSet(low: 0x03ff_6cfa_0000_0000, high: 0x57ff_ffff_c7ff_fffe)
  /// Letters, digits and `-._~` (RFC 3986 §2.3).
  static let unreserved = ByteSet(low: 0x03ff_6000_0000_0000, high: 0x47ff_fffe_87ff_fffe)

  /// The unreserved bytes and ``!$&'()*+,;=`` (RFC 3986 §3.2.2), without escapes.
  static let registeredName = ByteSet(low: 0x2bff_7fd2_0000_0000, high: 0x47ff_fffe_87ff_fffe)

  /// Letters, digits and `-._~+/` (RFC 9110 §11.2).
  static let token68 = ByteSet(low: 0x03ff_e800_0000_0000, high: 0x47ff_fffe_87ff_fffe)

  @inline(__always)
  func contains(_ byte: UInt8) -> Bool {
    guard byte < 0x80 else { return false }
    let word = byte < 0x40 ? low : high
    return (word &>> UInt64(byte & 0x3f)) & 1 == 1
  }
}

extension UInt8 {
  static let tab = UInt8(ascii: "\t")
  static let lf = UInt8(ascii: "\n")
  static let cr = UInt8(ascii: "\r")
  static let space = UInt8(ascii: " ")
  static let quote = UInt8(ascii: "\"")
  static let comma = UInt8(ascii: ",")
  static let semicolon = UInt8(ascii: ";")
  static let equals = UInt8(ascii: "=")
  static let backslash = UInt8(ascii: "\\")

  /// Whether the byte is allowed in a trimmed field value: any byte except control bytes other than HTAB (RFC 9110 §5.5).
  @inline(__always)
  var isFieldContent: Bool { self >= 0x20 ? self != 0x7f : self == .tab }

  /// VCHAR (RFC 5234).
  @inline(__always)
  var isVisible: Bool { (0x21...0x7e).contains(self) }

  /// Whether the byte is allowed in a request target (RFC 9112 §3.2): visible, and not the `#` of a fragment, which is
  /// never sent (RFC 9110 §4.2.5).
  @inline(__always)
  var isTarget: Bool { isVisible && self != UInt8(ascii: "#") }

  /// OWS (RFC 9110 §5.6.3).
  @inline(__always)
  var isOWS: Bool { self == .space || self == .tab }

  @inline(__always)
  var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }

  /// The value of a hexadecimal digit of either case; nil for any other byte.
  var hexValue: UInt8? {
    switch self {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
    default: nil
    }
  }

  @inline(__always)
  var lowercased: UInt8 { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) ? self | 0x20 : self }
}

extension Span<UInt8> {
  /// Whether the bytes of `range` equal `text`, ignoring ASCII case; `text` must be lower case.
  @inline(__always)
  package func has(anyCaseOf text: String, at range: Range<Int>) -> Bool {
    let expected = text.utf8Span.span
    guard expected.count == range.count else { return false }
    for offset in 0..<range.count where self[range.lowerBound + offset].lowercased != expected[offset] { return false }
    return true
  }

  /// Whether two ranges hold the same bytes, ignoring ASCII case.
  func areSame(anyCaseOf left: Range<Int>, _ right: Range<Int>) -> Bool {
    guard left.count == right.count else { return false }
    for offset in 0..<left.count
    where self[left.lowerBound + offset].lowercased != self[right.lowerBound + offset].lowercased {
      return false
    }
    return true
  }

  /// Reads `range` as a decimal number: 0 if it is empty, nil if a byte is not a digit.
  ///
  /// - Parameter range: at most 18 bytes, which cannot overflow.
  @inline(__always)
  func decimal(_ range: Range<Int>) -> Int? {
    let text = extracting(range)
    precondition(text.count <= 18)
    var number = 0
    for index in 0..<text.count {
      guard text[index].isDigit else { return nil }
      number = number &* 10 &+ Int(text[index] &- UInt8(ascii: "0"))
    }
    return number
  }

  /// `range` without leading and trailing OWS.
  @inline(__always)
  package func trimmed(_ range: Range<Int>) -> Range<Int> {
    let (start, end) = (range.lowerBound, range.upperBound)
    // Fast path: a value after one space.
    if start &+ 1 < end, self[start] == .space, self[start &+ 1] > .space, self[end &- 1] > .space {
      return start &+ 1..<end
    }
    return trimmedByBytes(range)
  }

  private func trimmedByBytes(_ range: Range<Int>) -> Range<Int> {
    var lower = range.lowerBound
    var upper = range.upperBound
    while lower < upper, self[lower].isOWS { lower &+= 1 }
    while upper > lower, self[upper &- 1].isOWS { upper &-= 1 }
    return lower..<upper
  }

  /// The first index of `byte` in `range`.
  @inlinable @inline(__always)
  package func first(_ byte: UInt8, in range: Range<Int>) -> Int? {
    let index = firstMark(in: range) { $0.marks(of: byte) }
    return index < range.upperBound ? index : nil
  }

  /// The end of the token (RFC 9110 §5.6.2) at the start of `range`; the start if there is none.
  @inline(__always)
  package func endOfToken(in range: Range<Int>) -> Int {
    // Fast path: a few letters and a space.
    let word = word(at: range.lowerBound)
    if let offset = word.marks(besidesLettersAnd: UInt8(ascii: "-")...UInt8(ascii: "-")).firstMarkedByte,
      range.lowerBound &+ offset < range.upperBound, self[range.lowerBound &+ offset] == .space
    {
      return range.lowerBound &+ offset
    }
    return endOfLongToken(in: range)
  }

  private func endOfLongToken(in range: Range<Int>) -> Int {
    firstStop(in: range) { word in
      word.marks(besidesLettersAnd: UInt8(ascii: "-")...UInt8(ascii: "-"))
    } where: {
      !ByteSet.token.contains($0)
    }
  }

  /// Whether `range` is a token: at least one byte, all of them tchar.
  func isToken(_ range: Range<Int>) -> Bool { !range.isEmpty && endOfToken(in: range) == range.upperBound }

  /// Whether `range` is a token68 (RFC 9110 §11.2), which is also the b64token of RFC 6750 §2.1: one or more of its
  /// characters, then any number of `=`.
  package func isToken68(_ range: Range<Int>) -> Bool {
    let padding = firstStop(in: range) { word in
      word.marks(besidesLettersAnd: UInt8(ascii: "-")...UInt8(ascii: "9"))
    } where: {
      !ByteSet.token68.contains($0)
    }
    guard padding > range.lowerBound else { return false }
    return (padding..<range.upperBound).allSatisfy { self[$0] == UInt8(ascii: "=") }
  }
}
