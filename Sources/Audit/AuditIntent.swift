package import Bytes
package import Telemetry

/// The audit entry of a write before it is sent. Texts are bytes as received; empty ones are left out.
package struct AuditIntent {
  package var requestIDHigh: UInt64
  package var requestIDLow: UInt64
  package var operation: [UInt8] = []
  package var routePattern: [UInt8] = []
  package var client: [UInt8] = []
  package var tokenNote: [UInt8] = []
  package var tokenDigestPrefix: UInt32?
  /// The first four bytes of the id of a token that the gateway has signed; then there is no digest.
  package var tokenIDPrefix: UInt32?
  /// The introspection provider of the token, and its `sub`, cut to `subjectBytesMax`.
  package var issuer: [UInt8] = []
  package var subject: [UInt8] = []
  package var instance: [UInt8] = []
  package var peer: [UInt8] = []
  /// The front that reported the peer.
  package var via: [UInt8] = []
  /// The ids in the path, with keys such as `balance_id`.
  package var target: [(key: [UInt8], value: [UInt8])] = []
  /// Members of the body, such as `identity_id`, and `amount` as it is written.
  package var named: [(key: [UInt8], value: [UInt8])] = []
  /// Arrays of objects in the body, such as `destinations`, and the number of further elements.
  package var lists: [(key: [UInt8], elements: [[(key: [UInt8], value: [UInt8])]], more: Int)] = []
  /// The body as received, without chunk framing; nil if it streams: the outcome then has it.
  package var body: AuditedBody?

  package static let subjectBytesMax = 256

  package init(requestIDHigh: UInt64, requestIDLow: UInt64) {
    self.requestIDHigh = requestIDHigh
    self.requestIDLow = requestIDLow
  }

  /// - Parameter members: an empty buffer, for the text; it is empty again afterwards.
  package func append(
    _ texts: RequestTexts, in head: Span<UInt8>, through members: ByteBuffer = ByteBuffer(capacity: 1 << 10),
    to out: inout [UInt8]
  ) {
    write(texts, in: head, to: members)
    members.move(to: &out)
  }

  private func write(_ texts: RequestTexts, in head: Span<UInt8>, to out: ByteBuffer) {
    out.appendRequestID(requestIDHigh, requestIDLow)
    out.append(#","operation":""#, operation.span)
    out.append(#","method":""#, head.extracting(texts.method))
    out.append(#","route":""#, routePattern.span)
    out.append(#","path":""#, masked: head.extracting(texts.path))
    out.append(#","client":""#, client.span)
    out.append(#","token":""#, tokenNote.span)
    if let tokenDigestPrefix {
      out.append(#","token_sha256":""#)
      out.append(hex: UInt64(tokenDigestPrefix), digits: 8)
      out.append("\"")
    }
    if let tokenIDPrefix {
      out.append(#","token_id":""#)
      out.append(hex: UInt64(tokenIDPrefix), digits: 8)
      out.append("\"")
    }
    out.append(#","issuer":""#, issuer.span)
    out.append(#","sub":""#, subject.span)
    out.append(#","instance":""#, instance.span)
    out.append(#","peer":""#, peer.span)
    out.append(#","via":""#, via.span)
    out.append(#","client_request_id":""#, masked: head.extracting(texts.clientRequestID))
    if !target.isEmpty { out.append(#","target":"#, target) }
    if !named.isEmpty { out.append(#","named":"#, named) }
    for list in lists { out.append(list.key, list.elements, more: list.more) }
    if let body { body.write(to: out) } else { out.append(#","streamed":true"#) }
  }
}

extension ByteBuffer {
  fileprivate func append(_ opening: StaticString, _ members: [(key: [UInt8], value: [UInt8])]) {
    append(opening)
    append("{")
    for (index, member) in members.enumerated() {
      if index > 0 { append(",") }
      append(json: member.key.span)
      append(":")
      append(maskedJSON: member.value.span)
    }
    append("}")
  }

  fileprivate func append(_ key: [UInt8], _ elements: [[(key: [UInt8], value: [UInt8])]], more: Int) {
    let name = String(decoding: key, as: UTF8.self)
    append(text: #","\#(name)":["#)
    for (index, element) in elements.enumerated() { append(index == 0 ? "" : ",", element) }
    append("]")
    if more > 0 { append(text: #","more_\#(name)":\#(more)"#) }
  }

  func appendRequestID(_ high: UInt64, _ low: UInt64) {
    append(#","request_id":""#)
    append(hex: high, digits: 16)
    append(hex: low, digits: 16)
    append("\"")
  }
}

/// JSON text, written into a buffer that grows.
extension ByteBuffer {
  /// Appends a JSON member whose value is text; an empty text appends nothing.
  ///
  /// - Parameter opening: everything up to the value's opening quote, such as `,"peer":"`.
  fileprivate func append(_ opening: StaticString, _ text: Span<UInt8>) {
    let bytesMax = opening.utf8CodeUnitCount + ByteWriter.jsonBytesMax(text.count)
    write(atMost: bytesMax) { $0.append(opening, json: text) }
  }

  /// Appends any bytes as a JSON string.
  fileprivate func append(json text: Span<UInt8>) {
    write(atMost: ByteWriter.jsonBytesMax(text.count)) { $0.append(json: text) }
  }

  /// Appends a JSON member whose value is untrusted text: a token in it is masked.
  func append(_ opening: StaticString, masked text: Span<UInt8>) {
    let bytesMax = opening.utf8CodeUnitCount + ByteWriter.jsonBytesMax(text.count)
    write(atMost: bytesMax) { $0.append(opening, maskedJSON: text) }
  }

  /// Appends untrusted bytes as a JSON string: a token in them is masked.
  fileprivate func append(maskedJSON text: Span<UInt8>) {
    write(atMost: ByteWriter.jsonBytesMax(text.count)) { $0.append(maskedJSON: text) }
  }
}
