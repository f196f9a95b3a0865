import Bytes

/// The audit entry of an operator's command: one that the gateway has carried out, or one that has changed the policy.
package struct AuditCommand {
  private let command: String
  /// The write whose outcome it has found.
  private var settled: (request: AuditRequestID, kind: AuditOutcome.Kind)?
  /// Names and values, written in this order.
  package var members: [(name: String, value: String)] = []

  /// - Parameter command: as on the command line: `idempotency resolve`.
  package init(_ command: String) { self.command = command }

  /// An entry that settles a write: it has the id of its request, and its outcome.
  package init(_ command: String, settling request: AuditRequestID, as kind: AuditOutcome.Kind) {
    self.command = command
    settled = (request, kind)
  }

  func append(to out: inout [UInt8]) {
    let text = ByteBuffer(capacity: 1 << 10)
    let request =
      settled?.request ?? AuditRequestID(high: .random(in: 1...UInt64.max), low: .random(in: 0...UInt64.max))
    text.appendRequestID(request.high, request.low)
    if let settled { text.append(text: #","outcome":"\#(settled.kind.rawValue)""#) }
    for (name, value) in [("command", command)] + members {
      text.append(",\"")
      text.append(text: name)
      let bytesMax = 3 + ByteWriter.jsonBytesMax(value.utf8.count)
      text.write(atMost: bytesMax) { $0.append("\":\"", json: Array(value.utf8).span) }
    }
    text.move(to: &out)
  }
}
