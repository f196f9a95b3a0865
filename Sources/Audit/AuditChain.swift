import Digests

/// The hash chain that links each audit entry to the one before it.
///
/// An entry's hash covers the 64 digits of the previous hash and the entry's line without its member `hash`: HMAC-SHA-256
/// under the audit key, or plain SHA-256 without one. A line can be checked by hand with `openssl dgst`.
package struct AuditChain: Sendable {
  private let hmac: HMAC?

  /// - Parameter key: nil: the chain detects accidents, not forgery.
  package init(key: [UInt8]?) {
    hmac = key.map { HMAC(key: $0.span) }
  }

  package var isKeyed: Bool { hmac != nil }

  /// The hash before the first entry of a log.
  static let origin = Digest(words: (0, 0, 0, 0))

  /// - Parameter line: an entry without `hash` and its closing brace; the brace is added to the hashed bytes.
  func hash(after previous: Digest, ofOpen line: Span<UInt8>) -> Digest {
    hash(after: previous.hexDigits, ofOpen: line)
  }

  @_optimize(speed)
  func hash(after previous: InlineArray<64, UInt8>, ofOpen line: Span<UInt8>) -> Digest {
    var message = hmac?.message ?? SHA256Stream()
    message.update(previous.span)
    message.update(line)
    let brace: InlineArray<1, UInt8> = [UInt8(ascii: "}")]
    message.update(brace.span)
    return hmac?.code(of: message) ?? message.digest
  }
}
