/// The protocol versions that are understood (RFC 9112 §2.3).
package enum Version: UInt8, Sendable {
  case http10, http11

  /// What eight bytes say of the version.
  enum Reading {
    case understood(Version)
    /// Well-formed, but neither 1.0 nor 1.1.
    case unsupported
    case malformed
  }

  static func read(_ bytes: Span<UInt8>, at range: Range<Int>) -> Reading {
    let start = range.lowerBound
    guard range.count == 8, bytes.has("HTTP/", at: start..<start + 5), bytes[start + 5].isDigit,
      bytes[start + 6] == UInt8(ascii: "."), bytes[start + 7].isDigit
    else { return .malformed }
    guard bytes[start + 5] == UInt8(ascii: "1") else { return .unsupported }
    switch bytes[start + 7] {
    case UInt8(ascii: "0"): return .understood(.http10)
    case UInt8(ascii: "1"): return .understood(.http11)
    default: return .unsupported
    }
  }
}
