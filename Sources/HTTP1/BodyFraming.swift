/// How the end of a message's body is determined (RFC 9112 §6.3).
@usableFromInline
package enum BodyFraming: Equatable, Sendable {
  /// No body: none announced, `Content-Length: 0`, or a response that cannot have one.
  case none
  /// Exactly this many bytes, at least 1.
  case length(Int)
  case chunked
  /// All bytes until the connection closes; responses only.
  case untilClose

  @inlinable @inline(__always)
  package var isUntilClose: Bool {
    if case .untilClose = self { true } else { false }
  }

  @inlinable @inline(__always)
  package var isChunked: Bool {
    if case .chunked = self { true } else { false }
  }

  /// The framing of this response body when forwarded downstream to `version`: HTTP/1.0 has no chunked coding
  /// (RFC 9112 §6.1).
  @inlinable @inline(__always)
  package func forwarded(to version: Version) -> BodyFraming {
    switch (self, version) {
    case (.none, _), (.length, _): self
    case (.chunked, .http11), (.untilClose, .http11): .chunked
    case (.chunked, .http10), (.untilClose, .http10): .untilClose
    }
  }

  /// The framing of a request: without a length it has no body (RFC 9112 §6.3, rule 7).
  static func ofRequest(contentLength: Int?, isChunked: Bool) -> BodyFraming {
    if isChunked { return .chunked }
    guard let contentLength, contentLength > 0 else { return .none }
    return .length(contentLength)
  }

  /// The framing of a response, which depends on its status and on the request's method (RFC 9112 §6.3, rules 1, 2, 4, 6
  /// and 8).
  static func ofResponse(status: Int, answering method: Method, contentLength: Int?, isChunked: Bool) -> BodyFraming {
    if method == .head || status < 200 || status == 204 || status == 304 { return .none }
    // A 2xx response to CONNECT is followed by a tunnel, whatever its length fields.
    if method == .connect, status < 300 { return .untilClose }
    if isChunked { return .chunked }
    guard let contentLength else { return .untilClose }
    return contentLength > 0 ? .length(contentLength) : .none
  }
}
