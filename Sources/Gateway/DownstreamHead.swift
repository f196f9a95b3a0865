import Bytes
import HTTP1
import Policies
import Reactor
import Telemetry

/// Writes the head of Core's answer as the client gets it: unchanged but for what belongs to the connection.
struct DownstreamHead {
  let id: RequestID
  let keepsAlive: Bool
  let version: Version
  /// How the body is framed towards the client.
  let framing: BodyFraming

  /// - Parameter form: how the request named its instance, which a redirect has to do, too.
  func write(
    _ head: borrowing ResponseHead, _ bytes: Span<UInt8>, _ access: InstanceAccess, _ form: Addressing.Form,
    to output: ByteBuffer
  ) {
    var lines = statusLine(head, bytes, to: output)
    for index in head.fields.indices {
      let field = head.fields[index]
      guard !field.isNamedByConnection else { continue }
      switch field.kind {
      case .connection, .keepAlive, .te, .trailer, .transferEncoding, .upgrade, .proxy, .requestID, .callerAddress:
        break
      case .location:
        lines.end(bytes, to: output)
        output.append(bytes, field.name)
        output.append(": ")
        access.location(form).write(bytes, field.value, to: output)
        output.append("\r\n")
      case .other, .host, .contentLength, .expect, .authorization, .coreKey, .forwarding, .idempotencyKey,
        .traceparent, .tracestate, .via, .date, .server, .contentType, .retryAfter, .wwwAuthenticate:
        lines.pass(field, of: bytes, to: output)
      }
    }
    lines.end(bytes, to: output)
    if case .chunked = framing { output.append("Transfer-Encoding: chunked\r\n") }
    output.appendConnection(keepsAlive: keepsAlive, version: version)
    output.appendRequestIDLine(id)
    output.append("\r\n")
  }

  /// Passes on the status line; one that came otherwise than it is written is written first.
  private func statusLine(_ head: borrowing ResponseHead, _ bytes: Span<UInt8>, to output: ByteBuffer) -> PassedLines {
    if case .http11 = head.version, head.reason.lowerBound == "HTTP/1.1 200 ".utf8.count {
      return PassedLines(0..<head.reason.upperBound + 2)
    }
    output.append("HTTP/1.1 ")
    output.append(decimal: head.status)
    output.append(" ")
    output.append(bytes, head.reason)
    output.append("\r\n")
    return PassedLines()
  }
}
