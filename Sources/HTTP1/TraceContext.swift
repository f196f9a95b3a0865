/// The contents of a `traceparent` field (W3C Trace Context, level 1).
package struct TraceContext: Equatable, Sendable {
  /// The trace's id: 32 hexadecimal digits.
  package let traceID: Range<Int>
  /// The only flag of level 1; the others must be sent as zero (§3.2.2.5.2).
  package let isSampled: Bool

  private static let byteCount = 55

  /// Nil if the value is malformed: the gateway then starts a new trace (§3.2.2).
  package init?(_ bytes: Span<UInt8>, _ value: Range<Int>) {
    let start = value.lowerBound
    guard value.count >= Self.byteCount, Self.isVersion(bytes, value) else { return nil }
    traceID = start + 3..<start + 35
    let parentID = start + 36..<start + 52
    let flags = start + 53..<start + 55
    guard [2, 35, 52].allSatisfy({ bytes[start + $0] == UInt8(ascii: "-") }), Self.isID(bytes, traceID),
      Self.isID(bytes, parentID), Self.isHex(bytes, flags)
    else { return nil }
    // The lowest bit of a digit's value: that of the byte for 0-9 (0x30-0x39), inverted for a-f (0x61-0x66).
    isSampled = bytes[start + 54] & 1 == (bytes[start + 54] < UInt8(ascii: "a") ? 1 : 0)
  }

  /// Reads the `traceparent` of a head; nil if there is more than one (§3.2).
  package init?(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) {
    guard head.has(.traceparent) else { return nil }
    var found: Range<Int>?
    for index in head.fields.indices where head.fields[index].kind == .traceparent {
      guard found == nil else { return nil }
      found = head.fields[index].value
    }
    guard let found else { return nil }
    self.init(bytes, found)
  }

  private static let version00 = ShortText("00")
  private static let noVersion = ShortText("ff")

  /// Version 00 ends with the flags, later versions may continue (§3.2.2.2, §4.3); ff is invalid.
  private static func isVersion(_ bytes: Span<UInt8>, _ value: Range<Int>) -> Bool {
    let version = value.lowerBound..<value.lowerBound + 2
    guard isHex(bytes, version), !bytes.has(noVersion, at: version) else { return false }
    let end = value.lowerBound + byteCount
    if value.upperBound == end { return true }
    return !bytes.has(version00, at: version) && bytes[end] == UInt8(ascii: "-")
  }

  /// Lower-case hexadecimal, and not all zeros.
  private static func isID(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
    isHex(bytes, range) && range.contains { bytes[$0] != UInt8(ascii: "0") }
  }

  private static func isHex(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
    range.allSatisfy { index in
      (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[index])
        || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(bytes[index])
    }
  }
}
