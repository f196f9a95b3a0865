import Digests

/// What binds an audit entry to the one before it.
///
/// An entry's hash is that of the 64 digits of the hash before it and of its line without the member `hash`: HMAC-SHA-256
/// under the audit key, or plain SHA-256 without one. So `openssl dgst` can check a line by hand.
package struct AuditChain: Sendable {
  private let hmac: HMAC?

  /// - Parameter key: nil: the chain finds accidents, not forgery.
  package init(key: [UInt8]?) {
    hmac = key.map { HMAC(key: $0.span) }
  }

  package var isKeyed: Bool { hmac != nil }

  /// What precedes the first entry of all.
  static let origin = Digest(words: (0, 0, 0, 0))

  /// - Parameter line: an entry without `hash` and without its closing brace, which counts as if it stood there.
  func hash(after previous: Digest, ofOpen line: Span<UInt8>) -> Digest {
    var message = hmac?.message ?? SHA256Stream()
    message.update(Array(previous.hex.utf8).span)
    message.update(line)
    let brace: InlineArray<1, UInt8> = [UInt8(ascii: "}")]
    message.update(brace.span)
    return hmac?.code(of: message) ?? message.digest
  }
}
