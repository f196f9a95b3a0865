import Background
import Digests
import Journal
import Policies
import System

/// The journal's side of one write with an idempotency key.
final class KeyedRequest {
  private enum Phase {
    /// No claim yet, or it is settled.
    case idle
    /// The journal reads what it has about the key, which is not this request's.
    case reading(KeyedWrite, Ticket)
    /// Core is asked about the earlier request.
    case asking(UnknownWrite, Ticket)
    /// The journal makes the claim durable.
    case claiming(KeyedWrite, Ticket)
    /// The key is this request's.
    case claimed(KeyedWrite)
    /// The journal makes the outcome durable.
    case recording(Ticket)
  }

  let key: String
  /// Hashes the body, for the fingerprint.
  let hasher: BodyHasher
  let limits: KeyedBodyLimits
  /// What is needed to ask Core for the result; nil: it is not asked.
  var askable: AskableWrite?
  /// Whether Core executes it as a whole or not at all.
  var isSingleTransaction = false
  private let port: JournalPort
  private var phase = Phase.idle

  init(_ key: String, _ hasher: BodyHasher, _ limits: KeyedBodyLimits, port: JournalPort) {
    self.key = key
    self.hasher = hasher
    self.limits = limits
    self.port = port
  }

  @_optimize(speed)
  func claim(_ write: KeyedWrite, for exchange: Exchange) -> ClaimResult {
    let (result, ticket) = port.claim(write, for: exchange)
    switch result {
    case .claimed: phase = .claiming(write, ticket)
    case .reading: phase = .reading(write, ticket)
    case .inProgress, .reused, .unavailable: break
    }
    return result
  }

  /// Whether the key is known, and what is stored for it awaited.
  var isReading: Bool {
    switch phase {
    case .reading, .asking: true
    case .idle, .claiming, .claimed, .recording: false
    }
  }

  /// The journal has answered.
  ///
  /// - Parameter isClaimed: whether the key is this request's.
  @_optimize(speed)
  func claimSettled(isClaimed: Bool) {
    if case .claiming(let write, _) = phase, isClaimed { phase = .claimed(write) } else { phase = .idle }
  }

  /// Asks Core about the earlier request, after the journal has answered that its outcome is unknown.
  func ask(
    _ reconciliation: Reconciliation, of earlier: UnknownWrite, _ endpoint: RecordEndpoint, for exchange: Exchange
  ) {
    guard case .reading(let write, _) = phase else { return }
    let ticket = port.ask(
      reconciliation, about: write, earlier, endpoint, responseBytesMax: limits.responseBytesMax, for: exchange)
    phase = .asking(earlier, ticket)
  }

  /// Core has answered, or has failed to: the earlier request; nil: no answer is awaited.
  func askingSettled() -> UnknownWrite? {
    guard case .asking(let earlier, _) = phase else { return nil }
    return earlier
  }

  /// Passes the outcome on; false if there is nothing to wait for.
  @_optimize(speed)
  func record(_ outcome: KeyedOutcome, for exchange: Exchange) -> Bool {
    switch phase {
    case .claimed(let write):
      guard let ticket = port.record(outcome, of: write, for: exchange) else {
        phase = .idle
        return false
      }
      phase = .recording(ticket)
      return true
    case .claiming: end(wasSent: false)
    case .idle, .reading, .asking, .recording: break
    }
    return false
  }

  /// The exchange ends, or does not wait for the journal any longer.
  ///
  /// - Parameter wasSent: whether Core may have executed the request; if not, the key becomes free.
  @_optimize(speed)
  func end(wasSent: Bool) {
    switch phase {
    case .idle: return
    case .reading(_, let ticket), .recording(let ticket): port.withdraw(ticket)
    case .asking(_, let ticket): port.withdrawQuestion(ticket)
    case .claiming(let write, let ticket):
      port.withdraw(ticket)
      settle(write, wasSent)
    case .claimed(let write): settle(write, wasSent)
    }
    phase = .idle
  }

  private func settle(_ write: KeyedWrite, _ wasSent: Bool) {
    if wasSent {
      port.abandon(write)
      if let askable { port.askLater(askable) }
    } else {
      _ = port.record(.notSent, of: write, for: nil)
    }
  }
}
