/// Where the body of a message ends (RFC 9112 §6.3).
package enum BodyFraming: Equatable, Sendable {
  /// No body: nothing announced, or `Content-Length: 0`, or an answer that never has one.
  case none
  /// Exactly so many bytes, at least 1.
  case length(Int)
  case chunked
  /// All bytes until the connection closes; only answers are framed so.
  case untilClose

  package var isUntilClose: Bool { self == .untilClose }

  /// A request without a length has no body (RFC 9112 §6.3, rule 7).
  static func ofRequest(contentLength: Int?, isChunked: Bool) -> BodyFraming {
    if isChunked { return .chunked }
    guard let contentLength, contentLength > 0 else { return .none }
    return .length(contentLength)
  }

  /// An answer's body depends on its status and on what it answers (RFC 9112 §6.3, rules 1, 2, 4, 6 and 8).
  static func ofResponse(status: Int, answering method: Method, contentLength: Int?, isChunked: Bool) -> BodyFraming {
    if method == .head || status < 200 || status == 204 || status == 304 { return .none }
    // What follows a 2xx to CONNECT is a tunnel, whatever lengths are there.
    if method == .connect, status < 300 { return .untilClose }
    if isChunked { return .chunked }
    guard let contentLength else { return .untilClose }
    return contentLength > 0 ? .length(contentLength) : .none
  }
}
