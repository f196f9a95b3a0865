import Audit
import HTTP1
import Policies
import System
import Telemetry

/// The audit state of one write.
final class AuditedWrite {
  private enum Phase {
    /// No intent was passed on.
    case undeclared
    case waiting(Ticket)
    /// The log may have the intent, so it gets the outcome.
    case declared
  }

  let hasher: BodyHasher
  private let port: AuditPort
  private var phase = Phase.undeclared
  /// Whether the outcome carries the hash of the body, because the intent does not.
  private var streams = false

  init(_ hasher: BodyHasher, port: AuditPort) {
    self.port = port
    self.hasher = hasher
  }

  /// Passes the intent on; false if the log does not accept it.
  func declare(
    _ intent: AuditIntent, _ texts: RequestTexts, in head: Span<UInt8>, isWhole: Bool, for exchange: Exchange
  ) -> Bool {
    var intent = intent
    streams = !isWhole || hasher.streams
    if !streams {
      intent.body = hasher.body(isWhole: true)
      let bytes = hasher.bytes
      let ids = BodyIDs(bytes.span)
      hasher.forgetBytes()
      if let id = ids.identityID { intent.named.append((key: Array("identity_id".utf8), value: id)) }
      if let id = ids.ledgerID { intent.named.append((key: Array("ledger_id".utf8), value: id)) }
    }
    guard let ticket = port.declare(intent, texts, in: head, for: exchange) else { return false }
    phase = .waiting(ticket)
    return true
  }

  func settled() { phase = .declared }

  /// Records the outcome of the intent, when the exchange ends.
  func record(_ id: RequestID, _ kind: AuditOutcome.Kind, status: Int, code: String?, bodyIsWhole: Bool) {
    switch phase {
    case .undeclared: return
    case .waiting(let ticket): port.withdraw(ticket)
    case .declared: break
    }
    phase = .undeclared
    port.record(
      AuditOutcome(
        requestIDHigh: id.high, requestIDLow: id.low, kind: kind, status: status, code: code,
        body: streams ? hasher.body(isWhole: bodyIsWhole) : nil))
  }
}

extension AuditOutcome.Kind {
  /// - Parameters:
  ///   - responded: the status of Core's response; nil: there was none.
  ///   - outcome: used if there was no response.
  init(responded: Int?, _ outcome: Outcome) {
    switch (responded, outcome) {
    case (let status?, _) where status < 300: self = .done
    // A redirect counts as refused: Core has executed nothing.
    case (let status?, _) where status < 500: self = .refused
    case (_?, _), (nil, .unknown): self = .unknown
    case (nil, .notSent): self = .notSent
    }
  }
}
