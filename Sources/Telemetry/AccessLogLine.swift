import Bytes

/// Writes an exchange as one line of JSON, without String and without allocation once the buffer has grown.
struct AccessLogLine {
  private var date = CachedDate()

  /// Everything except the texts, with the longest numbers and the extra capacity that writing them needs.
  private static let fixedBytesMax = 700

  @inline(__always)
  mutating func append(
    _ record: borrowing ExchangeRecord, client: Span<UInt8>, token: Span<UInt8>, instance: Span<UInt8>,
    route: Span<UInt8>, operation: Span<UInt8>, peer: Span<UInt8>, via: Span<UInt8>,
    _ texts: RequestTexts, in head: Span<UInt8>,
    to out: ByteBuffer
  ) {
    let names =
      client.count &+ token.count &+ instance.count &+ route.count &+ operation.count &+ peer.count
      &+ via.count
    let answers = record.literalBytes
    out.write(atMost: Self.fixedBytesMax &+ ByteWriter.jsonBytesMax(names &+ texts.byteCount &+ answers)) { out in
      out.append(#"{"time":""#)
      date.append(record.startedAt, to: &out)
      out.append(#"","request_id":""#)
      out.append(record.requestID)
      out.append("\"")
      out.append(#","client_request_id":""#, maskedJSON: head.extracting(texts.clientRequestID))
      if texts.traceID.isEmpty {
        // The gateway starts a trace with the request's id.
        out.append(#","trace_id":""#)
        out.append(record.requestID)
        out.append("\"")
      } else {
        out.append(#","trace_id":""#, json: head.extracting(texts.traceID))
      }
      out.append(#","client":""#, json: client)
      out.append(#","token":""#, json: token)
      if let prefix = record.tokenDigestPrefix {
        out.append(#","token_sha256":""#)
        out.append(hex: prefix)
        out.append("\"")
      }
      if let prefix = record.tokenIDPrefix {
        out.append(#","token_id":""#)
        out.append(hex: prefix)
        out.append("\"")
      }
      out.append(#","issuer":""#, record.issuer)
      out.append(#","instance":""#, json: instance)
      out.append(#","method":""#, json: head.extracting(texts.method))
      out.append(#","route":""#, json: route)
      out.append(#","path":""#, maskedJSON: head.extracting(texts.path))
      out.append(#","operation":""#, json: operation)
      out.append(#","status":"#, record.status)
      out.append(#","code":""#, record.code)
      out.append(#","outcome":""#, record.outcome)
      out.append(#","fault":""#, record.fault)
      out.append(#","bytes_in":"#, record.bytesIn)
      out.append(#","bytes_out":"#, record.bytesOut)
      out.append(#","total_ms":"#, microseconds: record.total)
      out.append(#","first_byte_ms":"#, microseconds: record.firstByte)
      out.append(#","connect_ms":"#, microseconds: record.connect)
      out.append(#","queue_ms":"#, microseconds: record.queue)
      out.append(#","tries":"#, record.tries)
      switch record.pooled {
      case true?: out.append(#","pooled":true"#)
      case false?: out.append(#","pooled":false"#)
      case nil: break
      }
      out.append(#","peer":""#, json: peer)
      out.append(#","via":""#, json: via)
      out.append("}\n")
    }
  }
}

/// JSON members; one without a value is left out.
extension ByteWriter {
  @inline(__always)
  fileprivate mutating func append(_ name: StaticString, _ text: String?) {
    if let text { append(name, json: text.utf8Span.span) }
  }

  @inline(__always)
  fileprivate mutating func append(_ name: StaticString, _ number: Int) {
    append(name)
    append(decimal: number)
  }

  /// Appends a duration in milliseconds.
  @inline(__always)
  fileprivate mutating func append(_ name: StaticString, microseconds: Int64?) {
    guard let microseconds else { return }
    append(name)
    append(thousandths: Int(microseconds))
  }
}
