import Bytes
import HTTP1
import Policies
import Telemetry

/// Writes the head of Core's response downstream.
///
/// Drops hop-by-hop fields, `X-Blnk-Key` and lookalikes, Core's `X-Request-Id`, and the gateway's address as Core sees
/// it. Rewrites `Location`. Adds `X-Request-Id`, the connection's own fields, and a missing `Date`.
struct DownstreamHeadWriter {
  let id: RequestID
  let keepsAlive: Bool
  let version: Version
  /// How the body is framed downstream.
  let framing: BodyFraming

  /// - Parameters:
  ///   - form: how the request named its instance: a redirect names it in the same form.
  ///   - worker: provides the current date.
  @_optimize(speed)
  func write(
    _ head: borrowing ResponseHead, _ bytes: Span<UInt8>, _ access: InstanceAccess, _ form: Addressing.Form,
    by worker: Worker, to output: ByteBuffer
  ) {
    var lines = LineForwarder(statusLineOf: head, bytes, to: output)
    for index in head.fields.indices {
      let field = head.fields[index]
      guard !field.isNamedByConnection else { continue }
      switch field.kind {
      // Never relay a key that Core shows, or a field that only looks like a length.
      case .connection, .keepAlive, .te, .trailer, .transferEncoding, .upgrade, .proxy, .requestID, .peerEcho,
        .coreKey, .lookalike:
        break
      // Only the gateway's own says that a request was not executed again.
      case .replayMark where worker.journal != nil: break
      // RFC 9110 §8.6: a 204 must not have one.
      case .contentLength where head.status == 204: break
      case .location:
        lines.replace(field, of: bytes, to: output) { access.location(form).write(bytes, field.value, to: $0) }
      case .other, .host, .contentLength, .expect, .authorization, .forwarding, .idempotencyKey, .replayMark,
        .traceparent, .tracestate, .via, .date, .server, .contentType, .retryAfter, .wwwAuthenticate:
        lines.forward(field, of: bytes, to: output)
      }
    }
    lines.flush(bytes, to: output)
    // RFC 9110 §6.6.1: a recipient that forwards a response without a date adds one.
    if !head.has(.date) { worker.writeDate(to: output) }
    // A Content-Length has already been passed above.
    if case .chunked = framing { output.append(framing: .chunked) }
    output.appendConnection(keepsAlive: keepsAlive, version: version)
    output.write(atMost: ByteWriter.requestIDLineBytesMax + 2) { out in
      out.appendRequestIDLine(id)
      out.appendHeadEnd()
    }
  }
}
