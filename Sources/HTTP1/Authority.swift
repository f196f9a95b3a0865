/// The authority of `Host` and of an absolute-form target: a host and an optional port (RFC 9110 §7.2).
enum Authority {
  /// Whether `range` is `uri-host [":" port]` with a non-empty host: a registered name, or an IPv6 address in brackets
  /// (RFC 3986 §3.2.2). Userinfo is invalid (RFC 9110 §4.2.4).
  static func isValid(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
    let end = endOfPlainName(bytes, range)
    if end > range.lowerBound {
      if end == range.upperBound { return true }
      if bytes[end] == UInt8(ascii: ":") { return isPort(bytes, end + 1..<range.upperBound) }
    }
    return isRareForm(bytes, range, plainEnd: end)
  }

  /// Accepts an address in brackets, or a name with percent escapes.
  @inline(never)
  private static func isRareForm(_ bytes: Span<UInt8>, _ range: Range<Int>, plainEnd: Int) -> Bool {
    guard plainEnd < range.upperBound else { return false }
    let isEscape = bytes[plainEnd] == UInt8(ascii: "%")
    guard let end = isEscape ? endOfName(bytes, range, from: plainEnd) : endOfAddress(bytes, range) else {
      return false
    }
    guard end < range.upperBound else { return true }
    return bytes[end] == UInt8(ascii: ":") && isPort(bytes, end + 1..<range.upperBound)
  }

  /// The end of the part of a name before its first escape.
  @inline(__always)
  private static func endOfPlainName(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int {
    bytes.firstStop(in: range) { word in
      word.marks(besidesLettersAnd: UInt8(ascii: "-")...UInt8(ascii: "9")) | word.marks(of: UInt8(ascii: "/"))
    } where: {
      !ByteSet.registeredName.contains($0)
    }
  }

  /// The end of a name that continues at `start` with an escape; nil if an escape is malformed.
  private static func endOfName(_ bytes: Span<UInt8>, _ range: Range<Int>, from start: Int) -> Int? {
    var index = start
    while index < range.upperBound, bytes[index] == UInt8(ascii: "%") {
      guard percentDecoded(bytes, index + 1..<range.upperBound) != nil else { return nil }
      index = endOfPlainName(bytes, index + 3..<range.upperBound)
    }
    return index
  }

  private static func endOfAddress(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int? {
    guard !range.isEmpty, bytes[range.lowerBound] == UInt8(ascii: "["),
      let bracket = bytes.first(UInt8(ascii: "]"), in: range), bracket > range.lowerBound + 1
    else { return nil }
    for index in range.lowerBound + 1..<bracket {
      let byte = bytes[index]
      guard byte.hexValue != nil || byte == UInt8(ascii: ":") || byte == UInt8(ascii: ".") else { return nil }
    }
    return bracket + 1
  }

  /// Accepts 0 to 65535, and no digits: the default port (RFC 3986 §3.2.3).
  private static func isPort(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
    guard range.count <= 5 else { return false }
    let digits = bytes.packed(range)
    guard digits.areDigits(range.count) else { return false }
    // Numbers with equally many digits compare as their digits do, most significant byte first.
    return range.count < 5 || digits.byteSwapped <= UInt64(ascii: "6", "5", "5", "3", "5").byteSwapped
  }
}
