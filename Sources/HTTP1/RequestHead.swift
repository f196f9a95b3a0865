/// A request head as offsets into the bytes that were parsed; 0 is the first byte given to the parser.
public struct RequestHead: ~Copyable, Sendable {
  package internal(set) var method = Method.other
  package internal(set) var methodRange = 0..<0
  /// As sent: 0x21...0x7e without `#`.
  package internal(set) var target = 0..<0
  /// Starts with a slash; of an absolute-form what follows the authority, `/` where nothing does; `*` in an OPTIONS
  /// in asterisk-form. Not yet checked by `checkPath`.
  package internal(set) var path = 0..<0
  /// What follows the first question mark; nil without one.
  package internal(set) var query: Range<Int>?
  package internal(set) var version = Version.http11
  public internal(set) var fields = FieldLines()
  package internal(set) var framing = BodyFraming.none
  /// Whether a Content-Length was sent; with `.none` as framing it said 0.
  package internal(set) var hasContentLength = false
  /// Whether the downstream connection persists after the response (RFC 9112 §9.3).
  package internal(set) var keepAlive = false
  /// Whether a 100 (Continue) is waited for before a body that is announced (RFC 9110 §10.1.1).
  package internal(set) var expectsContinue = false
  /// Bytes of the whole head: empty lines before it and the empty line that ends it included.
  package internal(set) var byteCount = 0

  /// Whether an OPTIONS asks about the server as a whole: by `*`, or by a URL without path and query (RFC 9112 §3.2.4).
  package func isForServer(_ bytes: Span<UInt8>) -> Bool {
    guard method == .options, query == nil else { return false }
    // The path that stands for an empty one is the last slash of the scheme.
    return bytes[path.lowerBound] == UInt8(ascii: "*") || path.upperBound < target.upperBound
  }

  /// Whether there is a field of this kind.
  @inlinable @inline(__always) public func has(_ kind: FieldName) -> Bool { fields.has(kind) }

  /// Holds nothing any more; in place, since all of it together is long.
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
