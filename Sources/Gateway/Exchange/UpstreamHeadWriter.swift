import Bytes
import HTTP1
import Policies
import Reactor
import Telemetry

/// Writes the heads of requests to one instance, with one of its keys.
final class UpstreamHeadWriter: Sendable {
  let pathPrefix: [UInt8]
  /// The `Host` and `X-Blnk-Key` lines, formatted once. Never log them.
  let hostAndKeyLines: [UInt8]

  init(pathPrefix: [UInt8], hostAndKeyLines: [UInt8]) {
    self.pathPrefix = pathPrefix
    self.hostAndKeyLines = hostAndKeyLines
  }

  /// Writes the head of a request as Core gets it.
  ///
  /// Drops every field with which a client could impersonate another one. The gateway's own fields are added
  /// afterwards, so `Connection: X-Blnk-Key` cannot remove the key.
  ///
  /// - Parameter forwardingLines: the `X-Forwarded-For` and `X-Forwarded-Proto` lines.
  @_optimize(speed)
  func write(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ admission: Admission, id: RequestID,
    forwardingLines: [UInt8], to output: ByteBuffer
  ) {
    // The method, the path and the query all lie within the bytes up to the end of the target.
    let requestLineBytesMax = head.target.upperBound + pathPrefix.count + ByteWriter.requestLineFixedByteCount
    output.write(atMost: requestLineBytesMax + hostAndKeyLines.count) { out in
      writeRequestLine(head, bytes, admission, to: &out)
      out.append(hostAndKeyLines)
    }
    let trace = writeFields(head, bytes, to: output)
    writeFraming(head, to: output)
    output.write(atMost: forwardingLines.count + Self.ownLinesBytesMax) { out in
      out.appendRequestIDLine(id)
      out.append(forwardingLines)
      out.append(field: "Via") { $0.append("1.1 blnk-gateway") }
      out.append(field: "traceparent") { writeTraceParent(trace, bytes, id, to: &$0) }
      out.appendHeadEnd()
    }
  }

  /// The bound on the gateway's own lines, without `forwardingLines`.
  private static var ownLinesBytesMax: Int { 160 }

  @inline(__always)
  private func writeRequestLine(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ admission: Admission, to out: inout ByteWriter
  ) {
    out.append(requestLine: bytes, method: head.methodRange) { out in
      out.append(pathPrefix)
      out.append(bytes, admission.corePath)
      writeQuery(bytes, admission, to: &out)
    }
  }

  /// Writes the query without the pair that names the instance, and every other byte as received.
  @inline(__always)
  private func writeQuery(_ bytes: Span<UInt8>, _ admission: Admission, to out: inout ByteWriter) {
    guard let query = admission.query else { return }
    guard let cut = admission.instanceParameter else {
      out.append("?")
      return out.append(bytes, query)
    }
    guard cut != query else { return }
    out.append("?")
    if cut.lowerBound == query.lowerBound {
      // Drop the separator after the pair; below, the one before it.
      out.append(bytes, cut.upperBound + 1..<query.upperBound)
    } else {
      out.append(bytes, query.lowerBound..<cut.lowerBound - 1)
      out.append(bytes, cut.upperBound..<query.upperBound)
    }
  }

  /// Writes the end-to-end fields of the request; returns the trace that they continue.
  @_optimize(speed)
  private func writeFields(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, to output: ByteBuffer
  ) -> TraceContext? {
    let trace = TraceContext(head, bytes)
    var lines = LineForwarder()
    for index in head.fields.indices {
      let field = head.fields[index]
      guard !field.isNamedByConnection else { continue }
      switch field.kind {
      // Fields of responses mean nothing to Core in a request: they are forwarded like unknown ones.
      case .other, .replayMark, .peerEcho, .date, .server, .location, .contentType, .retryAfter, .wwwAuthenticate, .via:
        lines.forward(field, of: bytes, to: output)
      case .tracestate:
        if trace != nil { lines.forward(field, of: bytes, to: output) }
      case .host, .connection, .keepAlive, .te, .trailer, .transferEncoding, .upgrade, .contentLength, .expect,
        .authorization, .coreKey, .lookalike, .proxy, .forwarding, .idempotencyKey, .requestID, .traceparent:
        break
      }
    }
    lines.flush(bytes, to: output)
    return trace
  }

  private func writeFraming(_ head: borrowing RequestHead, to output: ByteBuffer) {
    switch head.framing {
    case .none:
      if head.hasContentLength { output.append(contentLength: 0) }
    case .length, .chunked, .untilClose: output.append(framing: head.framing)
    }
  }

  /// Continues the caller's trace with a span of the gateway, or starts a trace with the request's id.
  @inline(__always)
  private func writeTraceParent(
    _ trace: TraceContext?, _ bytes: Span<UInt8>, _ id: RequestID, to out: inout ByteWriter
  ) {
    out.append("00-")
    if let trace {
      out.append(bytes, trace.traceID)
    } else {
      out.append(id)
    }
    out.append("-")
    out.append(spanOf: id)
    if trace?.isSampled == true { out.append("-01") } else { out.append("-00") }
  }
}
