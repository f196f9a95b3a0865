import Bytes

/// The audit entry of an operator's command that the gateway has carried out.
package struct AuditCommand {
  private let command: String
  /// Names and values, written in this order.
  package var members: [(name: String, value: String)] = []

  /// - Parameter command: as on the command line: `idempotency resolve`.
  package init(_ command: String) { self.command = command }

  func append(to out: inout [UInt8]) {
    let text = ByteBuffer(capacity: 1 << 10)
    text.appendRequestID(.random(in: 1...UInt64.max), .random(in: 0...UInt64.max))
    for (name, value) in [("command", command)] + members {
      text.append(",\"")
      text.append(text: name)
      let bytesMax = 3 + ByteWriter.jsonBytesMax(value.utf8.count)
      text.write(atMost: bytesMax) { $0.append("\":\"", json: Array(value.utf8).span) }
    }
    text.move(to: &out)
  }
}
