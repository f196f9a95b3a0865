import Bytes

/// What a head says of its body and its connection.
extension ByteBuffer {
  /// Appends the field that announces a body (RFC 9112 §6.1, §6.2); nothing for `.none` and `.untilClose`.
  package func append(framing: BodyFraming) {
    switch framing {
    case .none, .untilClose: break
    case .length(let count): append(contentLength: count)
    case .chunked: append("Transfer-Encoding: chunked\r\n")
    }
  }

  /// Appends Content-Length (RFC 9110 §8.6), also where the length is 0 or the body is that of another response.
  package func append(contentLength count: Int) { append(field: "Content-Length", decimal: count) }

  /// Appends Connection where `version` does not persist, or persist by default, as `keepsAlive` says (RFC 9112 §9.3).
  package func appendConnection(keepsAlive: Bool, version: Version) {
    switch (keepsAlive, version) {
    case (false, _): append("Connection: close\r\n")
    case (true, .http10): append("Connection: keep-alive\r\n")
    case (true, .http11): break
    }
  }
}
