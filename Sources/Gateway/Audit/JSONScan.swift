import Digests

/// Scans JSON (RFC 8259) as Go's scanner does, without building values.
struct JSONScan {
  private(set) var offset = 0

  mutating func skipWhitespace(_ bytes: Span<UInt8>) {
    while offset < bytes.count, [0x20, 0x09, 0x0a, 0x0d].contains(bytes[offset]) { offset += 1 }
  }

  mutating func take(_ byte: UInt8, _ bytes: Span<UInt8>) -> Bool {
    guard offset < bytes.count, bytes[offset] == byte else { return false }
    offset += 1
    return true
  }

  /// The range between the quotes; nil if there is no valid string.
  mutating func string(_ bytes: Span<UInt8>) -> Range<Int>? {
    guard take(UInt8(ascii: "\""), bytes) else { return nil }
    let start = offset
    while offset < bytes.count {
      switch bytes[offset] {
      case UInt8(ascii: "\""):
        defer { offset += 1 }
        return start..<offset
      case UInt8(ascii: "\\"): guard skipEscape(bytes) else { return nil }
      case 0..<0x20: return nil
      default: offset += 1
      }
    }
    return nil
  }

  private mutating func skipEscape(_ bytes: Span<UInt8>) -> Bool {
    guard offset + 1 < bytes.count else { return false }
    let kind = bytes[offset + 1]
    offset += 2
    if #""\/bfnrt"#.utf8.contains(kind) { return true }
    guard kind == UInt8(ascii: "u"), offset + 4 <= bytes.count else { return false }
    for index in offset..<offset + 4 where hexValue(bytes[index]) == nil { return false }
    offset += 4
    return true
  }

  /// The character of a valid escape; for a lone surrogate the surrogate itself, which the caller replaces by U+FFFD,
  /// as Go does.
  static func escape(_ bytes: Span<UInt8>, _ offset: inout Int, before end: Int) -> UInt32 {
    let kind = bytes[offset + 1]
    offset += 2
    switch kind {
    case UInt8(ascii: "b"): return 0x08
    case UInt8(ascii: "f"): return 0x0C
    case UInt8(ascii: "n"): return 0x0A
    case UInt8(ascii: "r"): return 0x0D
    case UInt8(ascii: "t"): return 0x09
    case UInt8(ascii: "u"): break
    default: return UInt32(kind)
    }
    let first = unit(bytes, offset)
    offset += 4
    guard (0xD800..<0xDC00).contains(first), offset + 6 <= end, bytes[offset] == UInt8(ascii: "\\"),
      bytes[offset + 1] == UInt8(ascii: "u")
    else { return first }
    let second = unit(bytes, offset + 2)
    guard (0xDC00..<0xE000).contains(second) else { return first }
    offset += 6
    return 0x10000 + (first - 0xD800) << 10 + (second - 0xDC00)
  }

  private static func unit(_ bytes: Span<UInt8>, _ offset: Int) -> UInt32 {
    var value: UInt32 = 0
    for index in offset..<offset + 4 { value = value << 4 | UInt32(hexValue(bytes[index]) ?? 0) }
    return value
  }

  // MARK: Values

  /// Skips one value; false if it is invalid JSON or nested deeper than `depthMax`.
  mutating func skipValue(_ bytes: Span<UInt8>, depthMax: Int) -> Bool {
    /// For each open value, whether it is an object.
    var open: [Bool] = []
    while true {
      skipWhitespace(bytes)
      guard offset < bytes.count else { return false }
      switch bytes[offset] {
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        let isObject = bytes[offset] == UInt8(ascii: "{")
        offset += 1
        skipWhitespace(bytes)
        if take(UInt8(ascii: isObject ? "}" : "]"), bytes) { break }
        guard open.count < depthMax else { return false }
        open.append(isObject)
        guard !isObject || skipKey(bytes) else { return false }
        continue
      case UInt8(ascii: "\""): guard string(bytes) != nil else { return false }
      default: guard skipWord(bytes) else { return false }
      }
      guard let hasMore = closeValues(&open, bytes) else { return false }
      if !hasMore { return true }
    }
  }

  /// After a value, closes the values that end here. True if another value follows; nil for invalid JSON.
  private mutating func closeValues(_ open: inout [Bool], _ bytes: Span<UInt8>) -> Bool? {
    while let isObject = open.last {
      skipWhitespace(bytes)
      if take(UInt8(ascii: ","), bytes) {
        skipWhitespace(bytes)
        return !isObject || skipKey(bytes) ? true : nil
      }
      guard take(UInt8(ascii: isObject ? "}" : "]"), bytes) else { return nil }
      open.removeLast()
    }
    return false
  }

  private mutating func skipKey(_ bytes: Span<UInt8>) -> Bool {
    guard string(bytes) != nil else { return false }
    skipWhitespace(bytes)
    return take(UInt8(ascii: ":"), bytes)
  }

  /// A number, or one of the three literals.
  private mutating func skipWord(_ bytes: Span<UInt8>) -> Bool {
    for literal in ["true", "false", "null"] where bytes[offset] == literal.utf8.first {
      for byte in literal.utf8 where !take(byte, bytes) { return false }
      return true
    }
    _ = take(UInt8(ascii: "-"), bytes)
    guard take(UInt8(ascii: "0"), bytes) || skipDigits(bytes) else { return false }
    if take(UInt8(ascii: "."), bytes), !skipDigits(bytes) { return false }
    guard take(UInt8(ascii: "e"), bytes) || take(UInt8(ascii: "E"), bytes) else { return true }
    if !take(UInt8(ascii: "+"), bytes) { _ = take(UInt8(ascii: "-"), bytes) }
    return skipDigits(bytes)
  }

  private mutating func skipDigits(_ bytes: Span<UInt8>) -> Bool {
    let start = offset
    while offset < bytes.count, (48...57).contains(bytes[offset]) { offset += 1 }
    return offset > start
  }
}
