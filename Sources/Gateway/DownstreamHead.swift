import HTTP1
import Reactor
import Telemetry

/// Writes the head of Core's answer as the client gets it: unchanged but for what belongs to the connection.
struct DownstreamHead {
  let id: RequestID
  let keepsAlive: Bool
  let version: Version
  /// How the body is framed towards the client.
  let framing: BodyFraming
  let location: Location

  func write(_ head: borrowing ResponseHead, _ bytes: Span<UInt8>, to output: ByteBuffer) {
    output.append("HTTP/1.1 ")
    output.append(decimal: head.status)
    output.append(" ")
    output.append(bytes, head.reason)
    output.append("\r\n")
    for index in head.fields.indices {
      let field = head.fields[index]
      guard !field.isNamedByConnection else { continue }
      switch field.kind {
      case .connection, .keepAlive, .te, .trailer, .transferEncoding, .upgrade, .proxy, .requestID, .callerAddress:
        break
      case .location:
        output.append(bytes, field.name)
        output.append(": ")
        location.write(bytes, field.value, to: output)
        output.append("\r\n")
      case .other, .host, .contentLength, .expect, .authorization, .coreKey, .forwarding, .idempotencyKey,
        .traceparent, .tracestate, .via, .date, .server, .contentType, .retryAfter, .wwwAuthenticate:
        output.append(field: field, of: bytes)
      }
    }
    if case .chunked = framing { output.append("Transfer-Encoding: chunked\r\n") }
    output.appendConnection(keepsAlive: keepsAlive, version: version)
    output.appendRequestIDLine(id)
    output.append("\r\n")
  }
}
