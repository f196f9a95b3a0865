/// What a `traceparent` field says (W3C Trace Context, level 1).
package struct TraceContext: Equatable, Sendable {
  /// The 32 hexadecimal digits that name the whole trace.
  package let traceID: Range<Int>
  /// The one flag of level 1; whoever passes a trace on sets the others to zero (§3.2.2.5.2).
  package let isSampled: Bool

  private static let byteCount = 55

  /// Nil when the value is not well formed: then a trace begins here (§3.2.2).
  package init?(_ bytes: Span<UInt8>, _ value: Range<Int>) {
    let start = value.lowerBound
    guard value.count >= Self.byteCount, Self.isVersion(bytes, value) else { return nil }
    traceID = start + 3..<start + 35
    let parentID = start + 36..<start + 52
    let flags = start + 53..<start + 55
    guard [2, 35, 52].allSatisfy({ bytes[start + $0] == UInt8(ascii: "-") }), Self.isID(bytes, traceID),
      Self.isID(bytes, parentID), Self.isHex(bytes, flags)
    else { return nil }
    // The value of a digit in its lowest bit: 0-9 are 0x30-0x39, but a-f are 0x61-0x66.
    isSampled = bytes[start + 54] & 1 == (bytes[start + 54] < UInt8(ascii: "a") ? 1 : 0)
  }

  /// What the one `traceparent` of a head says; two are none (§3.2).
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

  /// Version 00 has nothing behind the flags, a later one may (§3.2.2.2, §4.3); ff is none.
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
