import HTTP1
import Policies
import System
import Telemetry

/// What an exchange keeps of a write that the audit log has to know of.
final class AuditedWrite {
  private enum Phase {
    /// Nothing was said of it.
    case silent
    case waiting(Ticket)
    /// The log may have its intent, and gets its outcome.
    case declared
  }

  let hasher: BodyHasher
  private let port: AuditPort
  private var phase = Phase.silent
  /// The intent says that the hash of the body will come with the outcome.
  private var streams = false

  init(_ framing: BodyFraming, port: AuditPort) {
    self.port = port
    hasher = BodyHasher(declared: framing.declaredLength)
  }

  /// Hands over the intent; false where the log does not take it.
  func declare(
    _ intent: AuditIntent, _ texts: RequestTexts, in head: Span<UInt8>, isWhole: Bool, for exchange: Exchange
  ) -> Bool {
    var intent = intent
    streams = !isWhole || hasher.streams
    if !streams {
      intent.body = hasher.body(isWhole: true)
      let bytes = hasher.bytes
      let names = BodyNames(bytes.span)
      hasher.forgetBytes()
      if let id = names.identityID { intent.named.append((key: Array("identity_id".utf8), value: id)) }
      if let id = names.ledgerID { intent.named.append((key: Array("ledger_id".utf8), value: id)) }
    }
    guard let ticket = port.declare(intent, texts, in: head, for: exchange) else { return false }
    phase = .waiting(ticket)
    return true
  }

  func settled() { phase = .declared }

  /// The exchange is over: the one outcome of an intent.
  func record(_ id: RequestID, _ word: AuditOutcome.Word, status: Int, code: String?, bodyIsWhole: Bool) {
    switch phase {
    case .silent: return
    case .waiting(let ticket): port.withdraw(ticket)
    case .declared: break
    }
    phase = .silent
    port.record(
      AuditOutcome(
        requestIDHigh: id.high, requestIDLow: id.low, word: word, status: status, code: code,
        body: streams ? hasher.body(isWhole: bodyIsWhole) : nil))
  }
}

extension BodyFraming {
  fileprivate var declaredLength: Int? {
    switch self {
    case .length(let count): count
    case .none: 0
    case .chunked, .untilClose: nil
    }
  }
}

extension AuditOutcome.Word {
  /// - Parameters:
  ///   - responded: the status of Core's response; nil: there was none.
  ///   - outcome: what can have become of the request without one.
  init(responded: Int?, _ outcome: Outcome) {
    switch (responded, outcome) {
    case (let status?, _) where status < 300: self = .done
    // A redirect is no more than the advice to ask elsewhere.
    case (let status?, _) where status < 500: self = .refused
    case (_?, _), (nil, .unknown): self = .unknown
    case (nil, .notSent): self = .notSent
    }
  }
}
