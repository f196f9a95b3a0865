/// A request head, as offsets into the parsed bytes; 0 is the first byte given to the parser.
public struct RequestHead: ~Copyable, Sendable {
  package internal(set) var method = Method.other
  package internal(set) var methodRange = 0..<0
  /// The request target as sent: bytes in 0x21...0x7e except `#`.
  package internal(set) var target = 0..<0
  /// The path, which starts with a slash. In absolute-form it follows the authority, and is `/` if empty; in asterisk-form
  /// it is `*`. Not yet checked by `checkPath`.
  package internal(set) var path = 0..<0
  /// The part after the first question mark; nil if there is none.
  package internal(set) var query: Range<Int>?
  package internal(set) var version = Version.http11
  public internal(set) var fields = FieldLines()
  package internal(set) var framing = BodyFraming.none
  /// Whether Content-Length was sent; if `framing` is `.none`, it was 0.
  package internal(set) var hasContentLength = false
  /// Whether the downstream connection persists after the response (RFC 9112 §9.3).
  package internal(set) var keepAlive = false
  /// Whether the peer waits for 100 (Continue) before it sends the announced body (RFC 9110 §10.1.1).
  package internal(set) var expectsContinue = false
  /// Bytes of the whole head, including empty lines before it and the empty line that ends it.
  package internal(set) var byteCount = 0

  /// Whether this is an OPTIONS request for the server as a whole: `*`, or a URL without path and query (RFC 9112 §3.2.4).
  package func isServerWideOptions(_ bytes: Span<UInt8>) -> Bool {
    guard method == .options, query == nil else { return false }
    // An empty path is represented by the last slash of the scheme.
    return bytes[path.lowerBound] == UInt8(ascii: "*") || path.upperBound < target.upperBound
  }

  /// Whether there is a field of this kind.
  @inlinable @inline(__always) public func has(_ kind: FieldName) -> Bool { fields.has(kind) }

  /// Clears every property in place: assigning a new value would copy more.
  mutating func reset() {
    method = .other
    methodRange = 0..<0
    target = 0..<0
    path = 0..<0
    query = nil
    version = .http11
    fields.removeAll()
    framing = .none
    hasContentLength = false
    keepAlive = false
    expectsContinue = false
    byteCount = 0
  }
}
