public import Bytes

/// Writing request lines into reserved capacity.
extension ByteWriter {
  /// The bytes of a request line apart from its method and target: the spaces, the version and CRLF.
  @inlinable package static var requestLineFixedByteCount: Int { 12 }

  /// Appends `method SP target SP HTTP/1.1 CRLF` (RFC 9112 §3).
  ///
  /// - Parameters:
  ///   - method: the range of the method in `bytes`.
  ///   - target: appends the request target.
  @inlinable @inline(__always)
  package mutating func append(
    requestLine bytes: Span<UInt8>, method: Range<Int>, target: (inout ByteWriter) -> Void
  ) {
    append(bytes, method)
    append(" ")
    target(&self)
    append(" HTTP/1.1\r\n")
  }
}

extension ByteBuffer {
  /// Appends `method SP target SP HTTP/1.1 CRLF` (RFC 9112 §3), with both parts unchecked.
  package func append(requestLine method: String, target: String) {
    append(text: method)
    append(" ")
    append(text: target)
    append(" HTTP/1.1\r\n")
  }

  /// Appends `HTTP/1.1 SP status SP reason CRLF` (RFC 9112 §4) with the reason phrase of the status.
  package func append(statusLine status: Int) {
    append("HTTP/1.1 ")
    append(decimal: status)
    append(" ")
    append(reasonPhrase(of: status))
    append("\r\n")
  }

  /// Appends a complete 100 (Continue) response, after which the peer sends the body (RFC 9110 §10.1.1).
  package func appendContinue() { append("HTTP/1.1 100 Continue\r\n\r\n") }
}
