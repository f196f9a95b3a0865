/// Where the body of a message ends (RFC 9112 §6.3).
@usableFromInline
package enum BodyFraming: Equatable, Sendable {
  /// No body: nothing announced, or `Content-Length: 0`, or a response that never has one.
  case none
  /// Exactly so many bytes, at least 1.
  case length(Int)
  case chunked
  /// All bytes until the connection closes; only responses are framed so.
  case untilClose

  @inlinable @inline(__always)
  package var isUntilClose: Bool {
    if case .untilClose = self { true } else { false }
  }

  @inlinable @inline(__always)
  package var isChunked: Bool {
    if case .chunked = self { true } else { false }
  }

  /// How a response's body is framed anew for a client of this version: HTTP/1.0 has no chunks (RFC 9112 §6.1).
  @inlinable @inline(__always)
  package func forwarded(to version: Version) -> BodyFraming {
    switch (self, version) {
    case (.none, _), (.length, _): self
    case (.chunked, .http11), (.untilClose, .http11): .chunked
    case (.chunked, .http10), (.untilClose, .http10): .untilClose
    }
  }

  /// A request without a length has no body (RFC 9112 §6.3, rule 7).
  static func ofRequest(contentLength: Int?, isChunked: Bool) -> BodyFraming {
    if isChunked { return .chunked }
    guard let contentLength, contentLength > 0 else { return .none }
    return .length(contentLength)
  }

  /// A response's body depends on its status and on the request's method (RFC 9112 §6.3, rules 1, 2, 4, 6 and 8).
  static func ofResponse(status: Int, answering method: Method, contentLength: Int?, isChunked: Bool) -> BodyFraming {
    if method == .head || status < 200 || status == 204 || status == 304 { return .none }
    // What follows a 2xx to CONNECT is a tunnel, whatever lengths are there.
    if method == .connect, status < 300 { return .untilClose }
    if isChunked { return .chunked }
    guard let contentLength else { return .untilClose }
    return contentLength > 0 ? .length(contentLength) : .none
  }
}
