import Reactor

/// Writes an exchange as one line of JSON, by hand: no String, no allocation once the buffer has its size.
struct AccessLogLine {
  private var date = CachedDate()

  mutating func append(
    _ record: borrowing ExchangeRecord, _ texts: RequestTexts, in head: Span<UInt8>, to out: ByteBuffer
  ) {
    out.append(#"{"time":""#)
    date.append(record.startedAt, to: out)
    out.append(#"","request_id":""#)
    out.append(record.requestID)
    out.append("\"")
    out.append(#","client_request_id":"#, head.extracting(texts.clientRequestID))
    Self.appendTraceID(record, head.extracting(texts.traceID), to: out)
    out.append(#","client":"#, record.client.span)
    out.append(#","token":"#, record.tokenNote.span)
    if let prefix = record.tokenDigestPrefix {
      out.append(#","token_sha256":""#)
      out.append(hex: UInt64(prefix), digits: 8)
      out.append("\"")
    }
    out.append(#","instance":"#, record.instance.span)
    out.append(#","method":"#, head.extracting(texts.method))
    out.append(#","route":"#, record.routePattern.span)
    out.append(#","path":"#, head.extracting(texts.path))
    out.append(#","operation":"#, record.operation.span)
    out.append(#","status":"#, record.status)
    out.append(#","code":""#, literal: record.code)
    out.append(#","outcome":""#, literal: record.outcome)
    if let fault = record.fault { out.append(#","fault":"#, fault.utf8Span.span) }
    out.append(#","bytes_in":"#, record.bytesIn)
    out.append(#","bytes_out":"#, record.bytesOut)
    out.append(#","total_ms":"#, microseconds: record.total)
    out.append(#","first_byte_ms":"#, microseconds: record.firstByte)
    out.append(#","connect_ms":"#, microseconds: record.connect)
    out.append(#","queue_ms":"#, microseconds: record.queue)
    out.append(#","tries":"#, record.tries)
    if let pooled = record.pooled { out.append(pooled ? #","pooled":true"# : #","pooled":false"#) }
    out.append(#","peer":"#, record.peer.span)
    out.append("}\n")
  }

  /// The trace that the client has begun, or else the one that bears the request's id.
  private static func appendTraceID(
    _ record: borrowing ExchangeRecord, _ traceID: Span<UInt8>, to out: ByteBuffer
  ) {
    guard traceID.isEmpty else { return out.append(#","trace_id":"#, traceID) }
    out.append(#","trace_id":""#)
    out.append(record.requestID)
    out.append("\"")
  }
}

/// Members of a JSON object; one without a value is left out. Inlined, their names are a few moves.
extension ByteBuffer {
  @inline(__always)
  fileprivate func append(_ name: StaticString, literal: String?) {
    guard let literal else { return }
    append(name)
    append(text: literal)
    append("\"")
  }

  @inline(__always)
  fileprivate func append(_ name: StaticString, _ number: Int) {
    append(name)
    append(decimal: number)
  }

  /// As milliseconds.
  @inline(__always)
  fileprivate func append(_ name: StaticString, microseconds: Int64?) {
    guard let microseconds else { return }
    append(name)
    append(thousandths: Int(microseconds))
  }
}
