import Bytes

/// What an audit log says of a write before it is sent. Texts are bytes as they came; empty ones are left out.
package struct AuditIntent {
  package var requestIDHigh: UInt64
  package var requestIDLow: UInt64
  package var operation: [UInt8] = []
  package var routePattern: [UInt8] = []
  package var client: [UInt8] = []
  package var tokenNote: [UInt8] = []
  package var tokenDigestPrefix: UInt32?
  package var instance: [UInt8] = []
  package var peer: [UInt8] = []
  /// What the path names: a key such as `balance_id`, and the id.
  package var target: [(key: [UInt8], value: [UInt8])] = []
  /// What the body names: `identity_id` and `ledger_id`.
  package var named: [(key: [UInt8], value: [UInt8])] = []
  /// Of the body as the client sent it, without chunk framing; nil: it streams, and the outcome has them.
  package var body: AuditedBody?

  package init(requestIDHigh: UInt64, requestIDLow: UInt64) {
    self.requestIDHigh = requestIDHigh
    self.requestIDLow = requestIDLow
  }

  package func append(_ texts: RequestTexts, in head: Span<UInt8>, to out: inout [UInt8]) {
    let members = ByteBuffer(capacity: 1 << 10)
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
    out.append(#","instance":""#, instance.span)
    out.append(#","peer":""#, peer.span)
    out.append(#","target":{"#, target)
    out.append(#","named":{"#, named)
    if let body { body.write(to: out) } else { out.append(#","streamed":true"#) }
  }
}

extension ByteBuffer {
  fileprivate func append(_ beginning: StaticString, _ members: [(key: [UInt8], value: [UInt8])]) {
    guard !members.isEmpty else { return }
    append(beginning)
    for (index, member) in members.enumerated() {
      if index > 0 { append(",") }
      append(json: member.key.span)
      append(":")
      append(maskedJSON: member.value.span)
    }
    append("}")
  }

  func appendRequestID(_ high: UInt64, _ low: UInt64) {
    append(#","request_id":""#)
    append(hex: high, digits: 16)
    append(hex: low, digits: 16)
    append("\"")
  }
}
