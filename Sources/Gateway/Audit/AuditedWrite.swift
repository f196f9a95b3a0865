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
  /// For a request about transactions, which Core may execute later.
  private var scan: TransactionScan?
  /// Whether it is for `/transactions` itself: then Core's response has a status.
  private var isSingleTransaction = false

  init(_ hasher: BodyHasher, port: AuditPort) {
    self.port = port
    self.hasher = hasher
  }

  /// Passes the intent on; false if the log does not accept it.
  @_optimize(speed)
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
      if isSingleTransaction, !ids.hasParts, let reference = ids.reference {
        intent.named.append((key: Array("reference".utf8), value: reference))
      }
    }
    guard let ticket = port.declare(intent, texts, in: head, for: exchange) else { return false }
    phase = .waiting(ticket)
    return true
  }

  func settled() { phase = .declared }

  /// Whether Core may only queue a request with this path, so that its response has to be read.
  ///
  /// - Parameter path: as Core gets it.
  func expectsQueue(_ path: Span<UInt8>) -> Bool {
    isSingleTransaction = path.hasPrefix("/transactions") && path.count == 13
    guard isSingleTransaction || path.hasPrefix("/transactions/") || path.hasPrefix("/refund-transaction/") else {
      return false
    }
    scan = TransactionScan()
    return true
  }

  /// Reads a part of the response; see `TransactionScan.read`.
  func read(_ received: Span<UInt8>, _ framing: BodyFraming, headCount: Int) {
    scan?.read(received, framing, headCount: headCount)
  }

  /// What Core's response with a 2xx status says.
  @_optimize(speed)
  private func kind(ofSuccess status: Int) -> AuditOutcome.Kind {
    // RFC 9110 §15.3.3: accepted, and not completed.
    guard let scan, status != 202 else { return status == 202 ? .accepted : .done }
    return switch scan.result {
    case .executed: .done
    case .queued: .accepted
    case .unclear: isSingleTransaction ? .accepted : .done
    }
  }

  /// Records the outcome of the intent, when the exchange ends.
  @_optimize(speed)
  func record(_ id: RequestID, _ kind: AuditOutcome.Kind, status: Int, code: String?, bodyIsWhole: Bool) {
    switch phase {
    case .undeclared: return
    case .waiting(let ticket): port.withdraw(ticket)
    case .declared: break
    }
    phase = .undeclared
    let kind = kind == .done ? self.kind(ofSuccess: status) : kind
    var outcome = AuditOutcome(
      requestIDHigh: id.high, requestIDLow: id.low, kind: kind, status: status, code: code,
      body: streams ? hasher.body(isWhole: bodyIsWhole) : nil)
    if kind == .accepted, let scan { outcome.transactionID = scan.transactionID }
    port.record(outcome)
  }
}

extension AuditOutcome.Kind {
  /// - Parameters:
  ///   - responded: the status of Core's response; nil: there was none. `done` may still be `accepted`.
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

extension Span<UInt8> {
  fileprivate func hasPrefix(_ prefix: String) -> Bool {
    let prefix = prefix.utf8Span.span
    guard count >= prefix.count else { return false }
    for index in prefix.indices where self[index] != prefix[index] { return false }
    return true
  }
}
