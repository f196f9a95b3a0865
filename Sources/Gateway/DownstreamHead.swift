import Bytes
import HTTP1
import Policies
import Telemetry

/// Writes the head of Core's response as the client gets it: unchanged but for what belongs to the connection.
struct DownstreamHead {
  let id: RequestID
  let keepsAlive: Bool
  let version: Version
  /// How the body is framed towards the client.
  let framing: BodyFraming

  /// - Parameters:
  ///   - form: how the request named its instance, which a redirect has to do, too.
  ///   - worker: has the present date.
  func write(
    _ head: borrowing ResponseHead, _ bytes: Span<UInt8>, _ access: InstanceAccess, _ form: Addressing.Form,
    by worker: Worker, to output: ByteBuffer
  ) {
    var lines = PassedLines(statusLineOf: head, bytes, to: output)
    for index in head.fields.indices {
      let field = head.fields[index]
      guard !field.isNamedByConnection else { continue }
      switch field.kind {
      // A key that Core shows, or a length in disguise, is not for the client.
      case .connection, .keepAlive, .te, .trailer, .transferEncoding, .upgrade, .proxy, .requestID, .callerAddress,
        .coreKey, .lookalike:
        break
      // RFC 9110 §8.6: there is none in a 204.
      case .contentLength where head.status == 204: break
      case .location:
        lines.replace(field, of: bytes, to: output) { access.location(form).write(bytes, field.value, to: $0) }
      case .other, .host, .contentLength, .expect, .authorization, .forwarding, .idempotencyKey, .traceparent,
        .tracestate, .via, .date, .server, .contentType, .retryAfter, .wwwAuthenticate:
        lines.pass(field, of: bytes, to: output)
      }
    }
    lines.end(bytes, to: output)
    // RFC 9110 §6.6.1: who passes on a response without a date adds one.
    if !head.has(.date) { worker.writeDate(to: output) }
    // A Content-Length is among the lines that were passed.
    if case .chunked = framing { output.append(framing: .chunked) }
    output.appendConnection(keepsAlive: keepsAlive, version: version)
    output.write(atMost: ByteWriter.requestIDLineBytesMax + 2) { out in
      out.appendRequestIDLine(id)
      out.appendHeadEnd()
    }
  }
}
