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
    appendRequestID(requestIDHigh, requestIDLow, to: &out)
    append("operation", operation.span, to: &out)
    append("method", head.extracting(texts.method), to: &out)
    append("route", routePattern.span, to: &out)
    append("path", head.extracting(texts.path), to: &out)
    append("client", client.span, to: &out)
    append("token", tokenNote.span, to: &out)
    if let tokenDigestPrefix {
      out.append(contentsOf: #","token_sha256":""#.utf8)
      appendHex(UInt64(tokenDigestPrefix), digits: 8, to: &out)
      out.append(UInt8(ascii: "\""))
    }
    append("instance", instance.span, to: &out)
    append("peer", peer.span, to: &out)
    append("target", target, to: &out)
    append("named", named, to: &out)
    if let body { body.append(to: &out) } else { out.append(contentsOf: #","streamed":true"#.utf8) }
  }

  private func append(_ name: String, _ text: Span<UInt8>, to out: inout [UInt8]) {
    guard !text.isEmpty else { return }
    out.append(contentsOf: #","\#(name)":"#.utf8)
    JSONText.append(text, to: &out)
  }

  private func append(_ name: String, _ members: [(key: [UInt8], value: [UInt8])], to out: inout [UInt8]) {
    guard !members.isEmpty else { return }
    out.append(contentsOf: #","\#(name)":{"#.utf8)
    for (index, member) in members.enumerated() {
      if index > 0 { out.append(UInt8(ascii: ",")) }
      JSONText.append(member.key.span, to: &out)
      out.append(UInt8(ascii: ":"))
      JSONText.append(member.value.span, to: &out)
    }
    out.append(UInt8(ascii: "}"))
  }
}

func appendRequestID(_ high: UInt64, _ low: UInt64, to out: inout [UInt8]) {
  out.append(contentsOf: #","request_id":""#.utf8)
  appendHex(high, digits: 16, to: &out)
  appendHex(low, digits: 16, to: &out)
  out.append(UInt8(ascii: "\""))
}
