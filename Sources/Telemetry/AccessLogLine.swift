/// Writes an exchange as one line of JSON, by hand: no String, no allocation once the buffer has its size.
struct AccessLogLine {
  private var date = CachedDate()

  mutating func append(
    _ record: borrowing ExchangeRecord, _ texts: RequestTexts, in head: Span<UInt8>, to out: inout [UInt8]
  ) {
    out.append(contentsOf: #"{"time":""#.utf8)
    date.append(record.startedAt, to: &out)
    out.append(contentsOf: #"","request_id":""#.utf8)
    appendHex(record.requestIDHigh, digits: 16, to: &out)
    appendHex(record.requestIDLow, digits: 16, to: &out)
    out.append(UInt8(ascii: "\""))
    Self.append(#","client_request_id":"#, head.extracting(texts.clientRequestID), to: &out)
    Self.appendTraceID(record, head.extracting(texts.traceID), to: &out)
    Self.append(#","client":"#, record.client.span, to: &out)
    Self.append(#","token":"#, record.tokenNote.span, to: &out)
    if let prefix = record.tokenDigestPrefix {
      out.append(contentsOf: #","token_sha256":""#.utf8)
      appendHex(UInt64(prefix), digits: 8, to: &out)
      out.append(UInt8(ascii: "\""))
    }
    Self.append(#","instance":"#, record.instance.span, to: &out)
    Self.append(#","method":"#, head.extracting(texts.method), to: &out)
    Self.append(#","route":"#, record.routePattern.span, to: &out)
    Self.append(#","path":"#, head.extracting(texts.path), to: &out)
    Self.append(#","operation":"#, record.operation.span, to: &out)
    Self.append(#","status":"#, record.status, to: &out)
    Self.append(#","code":""#, literal: record.code, to: &out)
    Self.append(#","outcome":""#, literal: record.outcome, to: &out)
    if let fault = record.fault { Self.append(#","fault":"#, Array(fault.utf8).span, to: &out) }
    Self.append(#","bytes_in":"#, record.bytesIn, to: &out)
    Self.append(#","bytes_out":"#, record.bytesOut, to: &out)
    Self.append(#","total_ms":"#, microseconds: record.total, to: &out)
    Self.append(#","first_byte_ms":"#, microseconds: record.firstByte, to: &out)
    Self.append(#","connect_ms":"#, microseconds: record.connect, to: &out)
    Self.append(#","queue_ms":"#, microseconds: record.queue, to: &out)
    Self.append(#","tries":"#, record.tries, to: &out)
    if let pooled = record.pooled {
      out.append(contentsOf: (pooled ? #","pooled":true"# : #","pooled":false"#).utf8)
    }
    Self.append(#","peer":"#, record.peer.span, to: &out)
    out.append(contentsOf: "}\n".utf8)
  }

  /// The trace that the client has begun, or else the one that bears the request's id.
  private static func appendTraceID(
    _ record: borrowing ExchangeRecord, _ traceID: Span<UInt8>, to out: inout [UInt8]
  ) {
    guard traceID.isEmpty else { return append(#","trace_id":"#, traceID, to: &out) }
    out.append(contentsOf: #","trace_id":""#.utf8)
    appendHex(record.requestIDHigh, digits: 16, to: &out)
    appendHex(record.requestIDLow, digits: 16, to: &out)
    out.append(UInt8(ascii: "\""))
  }

  private static func append(_ name: String, _ text: Span<UInt8>, to out: inout [UInt8]) {
    guard !text.isEmpty else { return }
    out.append(contentsOf: name.utf8)
    JSONText.append(text, to: &out)
  }

  private static func append(_ name: String, literal: String?, to out: inout [UInt8]) {
    guard let literal else { return }
    out.append(contentsOf: name.utf8)
    out.append(contentsOf: literal.utf8)
    out.append(UInt8(ascii: "\""))
  }

  private static func append(_ name: String, _ number: Int, to out: inout [UInt8]) {
    out.append(contentsOf: name.utf8)
    if number < 0 { out.append(UInt8(ascii: "-")) }
    appendDecimal(UInt64(number.magnitude), to: &out)
  }

  /// Milliseconds with three decimals.
  private static func append(_ name: String, microseconds: Int64?, to out: inout [UInt8]) {
    guard let microseconds else { return }
    out.append(contentsOf: name.utf8)
    if microseconds < 0 { out.append(UInt8(ascii: "-")) }
    let (whole, rest) = microseconds.magnitude.quotientAndRemainder(dividingBy: 1000)
    appendDecimal(whole, to: &out)
    out.append(UInt8(ascii: "."))
    appendDigits(rest, count: 3, to: &out)
  }
}
