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

  /// `HTTP/1.1` as a word, its first byte lowest.
  private static let http11Word: UInt64 = 0x312e_312f_5054_5448
  private static let name = ShortText("HTTP/")

  static func read(_ bytes: Span<UInt8>, at range: Range<Int>) -> Reading {
    if range.count == 8, bytes.packed(range) == http11Word { return .understood(.http11) }
    let start = range.lowerBound
    guard range.count == 8, bytes.begins(with: name, in: range), bytes[start + 5].isDigit,
      bytes[start + 6] == UInt8(ascii: "."), bytes[start + 7].isDigit
    else { return .malformed }
    guard bytes[start + 5] == UInt8(ascii: "1") else { return .unsupported }
    return bytes[start + 7] == UInt8(ascii: "0") ? .understood(.http10) : .unsupported
  }
}
