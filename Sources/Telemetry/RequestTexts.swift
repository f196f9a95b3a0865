/// What a request says of itself, as places in the bytes of its head; an empty one is left out of the log line.
package struct RequestTexts {
  package var method = 0..<0
  package var path = 0..<0
  /// The client's own `X-Request-Id`.
  package var clientRequestID = 0..<0
  /// The 32 digits of the trace that the client has begun.
  package var traceID = 0..<0

  package init() {}

  var byteCount: Int { method.count + path.count + clientRequestID.count + traceID.count }
}
