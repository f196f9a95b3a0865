/// The supported protocol versions (RFC 9112 §2.3).
@usableFromInline
package enum Version: UInt8, Sendable {
  case http10, http11

  /// The result of reading an HTTP-version.
  enum Reading {
    case supported(Version)
    /// Well-formed, but not of major version 1.
    case unsupported
    case malformed
  }

  private static let name = ShortText("HTTP/")

  @inline(__always)
  static func read(_ bytes: Span<UInt8>, at range: Range<Int>) -> Reading {
    if range.count == 8, bytes.packed(range) == UInt64(ascii: "H", "T", "T", "P", "/", "1", ".", "1") {
      return .supported(.http11)
    }
    return readOther(bytes, at: range)
  }

  private static func readOther(_ bytes: Span<UInt8>, at range: Range<Int>) -> Reading {
    let start = range.lowerBound
    guard range.count == 8, bytes.begins(with: name, in: range), bytes[start + 5].isDigit,
      bytes[start + 6] == UInt8(ascii: "."), bytes[start + 7].isDigit
    else { return .malformed }
    guard bytes[start + 5] == UInt8(ascii: "1") else { return .unsupported }
    // RFC 9110 §2.5: a message of a higher minor version is read as the highest supported one.
    return .supported(bytes[start + 7] == UInt8(ascii: "0") ? .http10 : .http11)
  }
}
