import Bytes

/// What Core says about a write that was asked for.
package final class AskedOutcome: Decodable, Sendable {
  package enum Word: String, Decodable, Sendable {
    /// Core has executed it.
    case done
    /// Core has rejected it.
    case refused
    /// Core has stored it, and has not shown that it has executed it.
    case accepted
    /// Core does not tell.
    case unknown
  }

  package let outcome: Word
  /// Of the transaction or the identity.
  package let id: String?
  /// Core's word for the state of a transaction.
  package let status: String?
  /// The transaction by which Core has executed a queued one.
  package let executionId: String?
  /// Why it is not known, or not executed.
  package let reason: String?
  /// Whether the audit log has it.
  package let recorded: Bool?

  init(
    outcome: Word, id: String?, status: String? = nil, executionId: String? = nil, reason: String? = nil
  ) {
    self.outcome = outcome
    self.id = id
    self.status = status
    self.executionId = executionId
    self.reason = reason
    recorded = nil
  }

  package static func unknown(_ reason: String, id: String? = nil) -> AskedOutcome {
    AskedOutcome(outcome: .unknown, id: id, reason: reason)
  }

  /// Whether it need not be asked again.
  package var isSettled: Bool { outcome == .done || outcome == .refused }

  package func json(recorded: Bool) -> [UInt8] {
    let out = ByteBuffer(capacity: 1 << 10)
    out.append(text: #"{"outcome":"\#(outcome.rawValue)","recorded":\#(recorded)"#)
    for (name, value) in [("id", id), ("status", status), ("execution_id", executionId), ("reason", reason)] {
      guard let value else { continue }
      out.append(text: #","\#(name)"#)
      out.write(atMost: 3 + ByteWriter.jsonBytesMax(value.utf8.count)) {
        $0.append("\":\"", json: Array(value.utf8).span)
      }
    }
    out.append("}")
    var bytes: [UInt8] = []
    out.move(to: &bytes)
    return bytes
  }
}
