import Bytes
import HTTP1
import Policies
import Reactor
import Telemetry

/// What the gateway says of a connection to Core.
struct PeerLines {
  /// `X-Forwarded-For: …` and `X-Forwarded-Proto: …`, ready to be written.
  let bytes: [UInt8]
}

/// What stands ready of an instance: the bytes that its requests begin with.
final class UpstreamRoute: Sendable {
  let pathPrefix: [UInt8]
  /// `Host` and `X-Blnk-Key`: never to be logged.
  let hostAndKeyLines: [UInt8]

  init(pathPrefix: [UInt8], hostAndKeyLines: [UInt8]) {
    self.pathPrefix = pathPrefix
    self.hostAndKeyLines = hostAndKeyLines
  }

  /// Writes the head of a request as Core gets it.
  ///
  /// Everything that a client could use to pass for someone else is left out first; only then come the gateway's own
  /// fields, so that `Connection: X-Blnk-Key` cannot remove the key.
  ///
  /// - Parameter peer: `X-Forwarded-For` and `X-Forwarded-Proto`, ready to be written.
  func writeHead(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ admission: Admission, id: RequestID, peer: [UInt8],
    to output: ByteBuffer
  ) {
    // The method, the path and the query are parts of what comes up to the target's end.
    let requestLineBytesMax = head.target.upperBound + pathPrefix.count + ByteWriter.requestLineMarksByteCount
    output.write(atMost: requestLineBytesMax + hostAndKeyLines.count) { out in
      writeRequestLine(head, bytes, admission, to: &out)
      out.append(hostAndKeyLines)
    }
    let trace = writeFields(head, bytes, to: output)
    writeFraming(head, to: output)
    output.write(atMost: peer.count + Self.ownLinesBytesMax) { out in
      out.appendRequestIDLine(id)
      out.append(peer)
      out.append(field: "Via") { $0.append("1.1 blnk-gateway") }
      out.append(field: "traceparent") { writeTraceParent(trace, bytes, id, to: &$0) }
      out.appendHeadEnd()
    }
  }

  /// The lines behind the client's, but for `peer`.
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

  /// The query without the pair that names the instance; every other byte as sent.
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
      // The separator behind the pair goes with it, or the one in front of it.
      out.append(bytes, cut.upperBound + 1..<query.upperBound)
    } else {
      out.append(bytes, query.lowerBound..<cut.lowerBound - 1)
      out.append(bytes, cut.upperBound..<query.upperBound)
    }
  }

  /// Writes the end-to-end fields of the client's; returns the trace that they continue.
  private func writeFields(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, to output: ByteBuffer
  ) -> TraceContext? {
    let trace = TraceContext(head, bytes)
    var lines = PassedLines()
    for index in head.fields.indices {
      let field = head.fields[index]
      guard !field.isNamedByConnection else { continue }
      switch field.kind {
      case .other, .callerAddress, .date, .server, .location, .contentType, .retryAfter, .wwwAuthenticate, .via:
        lines.pass(field, of: bytes, to: output)
      case .tracestate:
        if trace != nil { lines.pass(field, of: bytes, to: output) }
      case .host, .connection, .keepAlive, .te, .trailer, .transferEncoding, .upgrade, .contentLength, .expect,
        .authorization, .coreKey, .lookalike, .proxy, .forwarding, .idempotencyKey, .requestID, .traceparent:
        break
      }
    }
    lines.end(bytes, to: output)
    return trace
  }

  private func writeFraming(_ head: borrowing RequestHead, to output: ByteBuffer) {
    switch head.framing {
    case .none:
      if head.hasContentLength { output.append(contentLength: 0) }
    case .length, .chunked, .untilClose: output.append(framing: head.framing)
    }
  }

  /// The gateway is a span of the client's trace, or begins one that bears the request's id.
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
