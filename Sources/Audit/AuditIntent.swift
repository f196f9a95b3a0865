package import Bytes
import Telemetry

/// Writes the audit entry of a write before it is sent: its members, in the order of the functions. Texts are bytes as
/// received; empty ones are left out.
package struct AuditIntent {
  /// Empty before the intent; its bytes are the members.
  package let out: ByteBuffer

  package static let subjectBytesMax = 256

  package init(_ requestIDHigh: UInt64, _ requestIDLow: UInt64, to out: ByteBuffer) {
    self.out = out
    out.appendRequestID(requestIDHigh, requestIDLow)
  }

  package func append(operation: Span<UInt8>, method: Span<UInt8>, route: Span<UInt8>, path: Span<UInt8>) {
    out.append(#","operation":""#, operation)
    out.append(#","method":""#, method)
    out.append(#","route":""#, route)
    out.append(#","path":""#, masked: path)
  }

  /// - Parameters:
  ///   - token: its note.
  ///   - digestPrefix: the first four bytes of its digest.
  ///   - idPrefix: the first four bytes of the id of a token that the gateway has signed; then there is no digest.
  package func append(client: Span<UInt8>, token: Span<UInt8>, digestPrefix: UInt32?, idPrefix: UInt32?) {
    out.append(#","client":""#, client)
    out.append(#","token":""#, token)
    if let digestPrefix { append(#","token_sha256":""#, digestPrefix) }
    if let idPrefix { append(#","token_id":""#, idPrefix) }
  }

  private func append(_ opening: StaticString, _ prefix: UInt32) {
    out.append(opening)
    out.append(hex: UInt64(prefix), digits: 8)
    out.append("\"")
  }

  /// The introspection provider of the token, and its `sub`, cut to `subjectBytesMax`.
  package func append(issuer: Span<UInt8>, subject: Span<UInt8>) {
    out.append(#","issuer":""#, issuer)
    out.append(#","sub":""#, subject)
  }

  package func append(instance: Span<UInt8>) { out.append(#","instance":""#, instance) }

  /// - Parameter via: the front that reported the peer.
  package func append(peer: Span<UInt8>, via: Span<UInt8>, clientRequestID: Span<UInt8>) {
    out.append(#","peer":""#, peer)
    out.append(#","via":""#, via)
    out.append(#","client_request_id":""#, masked: clientRequestID)
  }

  /// The ids in the path, with keys such as `balance_id`.
  package var target: AuditMembers { AuditMembers(opening: #","target":{"#, out: out) }

  /// Members of the body, such as `identity_id`, and `amount` as it is written.
  package var named: AuditMembers { AuditMembers(opening: #","named":{"#, out: out) }

  /// An array of objects in the body, such as `destinations`.
  ///
  /// - Parameter more: the number of further elements.
  package func append(list name: StaticString, _ elements: [[(key: StaticString, value: [UInt8])]], more: Int) {
    out.append(",\"")
    out.append(name)
    out.append("\":[")
    for (index, element) in elements.enumerated() {
      if index > 0 { out.append(",") }
      var members = AuditMembers(opening: "{", out: out)
      for (key, value) in element { members.append(key, value.span) }
      members.end()
    }
    out.append("]")
    guard more > 0 else { return }
    out.append(",\"more_")
    out.append(name)
    out.append("\":")
    out.append(decimal: more)
  }

  /// - Parameter body: as received, without chunk framing; nil if it streams: the outcome then has it.
  package func append(_ body: AuditedBody?) {
    if let body { body.write(to: out) } else { out.append(#","streamed":true"#) }
  }
}

/// Writes an object whose values are untrusted texts; one without members is left out. Call `end` last.
package struct AuditMembers {
  /// Written before the first member.
  fileprivate let opening: StaticString
  fileprivate let out: ByteBuffer
  fileprivate var isEmpty = true

  package mutating func append(_ key: StaticString, _ value: Span<UInt8>) {
    begin()
    out.append("\"")
    out.append(key)
    out.append("\":")
    out.append(maskedJSON: value)
  }

  package mutating func append(_ key: Span<UInt8>, _ value: Span<UInt8>) {
    begin()
    out.append(json: key)
    out.append(":")
    out.append(maskedJSON: value)
  }

  private mutating func begin() {
    out.append(isEmpty ? opening : ",")
    isEmpty = false
  }

  package func end() { if !isEmpty { out.append("}") } }
}

extension ByteBuffer {
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
