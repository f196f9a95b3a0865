/// What a `traceparent` field says (W3C Trace Context, version 00).
package struct TraceContext: Equatable, Sendable {
  /// The 32 hexadecimal digits that name the whole trace.
  package let traceID: Range<Int>
  /// The two digits of flags.
  package let flags: Range<Int>

  /// Nil when the value is not well formed: then a trace begins here (W3C Trace Context §3.2.2).
  package init?(_ bytes: Span<UInt8>, _ value: Range<Int>) {
    let start = value.lowerBound
    guard value.count == 55, bytes.has("00-", at: start..<start + 3) else { return nil }
    traceID = start + 3..<start + 35
    flags = start + 53..<start + 55
    let parentID = start + 36..<start + 52
    let dash = UInt8(ascii: "-")
    guard bytes[start + 35] == dash, bytes[start + 52] == dash, Self.isID(bytes, traceID), Self.isID(bytes, parentID),
      Self.isHex(bytes, flags)
    else { return nil }
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
