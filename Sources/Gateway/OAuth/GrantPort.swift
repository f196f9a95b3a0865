import HTTP1
import OAuth
import Policies
import System
import Telemetry

/// Connects a loop to the grant registry: results that wait for files return to their exchanges.
final class GrantPort {
  /// The outcome of a grant or a revocation.
  enum Outcome: Sendable {
    case granted(TokenGrant)
    case revoked(TokenID)
    case refused(OAuthError)
  }

  /// A file that is being written.
  private final class Pending {
    var ticket: Ticket?
    /// nil: its client has left.
    var exchange: Exchange?
    /// Records the outcome, even if its client has left.
    let audit: (Outcome) -> Void

    init(_ exchange: Exchange, audit: @escaping (Outcome) -> Void) {
      self.exchange = exchange
      self.audit = audit
    }
  }

  let registry: GrantRegistry
  private let completions: CompletionPort<Pending, Outcome>
  private var pending: [Pending] = []

  init(_ registry: GrantRegistry, wakeLoop: @escaping @Sendable () -> Void) {
    self.registry = registry
    completions = CompletionPort(CompletionQueue(wakeLoop: wakeLoop))
  }

  /// Makes the use of a code durable; `exchange` gets the outcome later.
  func settle(
    code: TokenID, _ grant: TokenGrant, for exchange: Exchange, audit: @escaping (Outcome) -> Void
  ) -> Ticket {
    let (ticket, queue) = (ticket(for: exchange, audit: audit), completions.queue)
    let registry = registry
    registry.settle(code: code) { result in
      switch result {
      case .done: queue.complete(ticket, .granted(grant))
      case .codeUsed:
        // RFC 6749 §4.1.2: what the code gave should be revoked.
        registry.revoke(code, until: UnixSeconds.now.rawValue + GrantRegistry.grantSecondsMax) { _ in
          queue.complete(
            ticket,
            .refused(OAuthError(.invalidGrant, "The code was used before; the tokens that it gave are revoked.")))
        }
      case .failed: queue.complete(ticket, .refused(.codeNotStored))
      }
    }
    return ticket
  }

  func revoke(
    _ id: TokenID, until expiry: Int64, for exchange: Exchange, audit: @escaping (Outcome) -> Void
  ) -> Ticket {
    let (ticket, queue) = (ticket(for: exchange, audit: audit), completions.queue)
    registry.revoke(id, until: expiry) { result in
      switch result {
      case .done: queue.complete(ticket, .revoked(id))
      case .codeUsed, .failed: queue.complete(ticket, .refused(.revocationNotStored))
      }
    }
    return ticket
  }

  private func ticket(for exchange: Exchange, audit: @escaping (Outcome) -> Void) -> Ticket {
    let waiter = Pending(exchange, audit: audit)
    let ticket = completions.ticket(for: waiter)
    waiter.ticket = ticket
    pending.append(waiter)
    return ticket
  }

  /// Withdraws an exchange's interest in an outcome.
  func withdraw(_ ticket: Ticket) {
    for waiter in pending where waiter.ticket == ticket { waiter.exchange = nil }
  }

  /// Delivers outcomes to their exchanges. Call it whenever the loop is woken.
  func deliver() {
    completions.deliver { waiter, outcome in
      pending.removeAll { $0 === waiter }
      waiter.audit(outcome)
      waiter.exchange?.grantSettled(outcome)
    }
  }
}

extension OAuthError {
  fileprivate static let codeNotStored = notStored(
    "The use of the code cannot be stored at the moment. Retry with the same code.")
  fileprivate static let revocationNotStored = notStored(
    "The revocation cannot be stored at the moment; gateways may still accept the token. Retry.")

  private static func notStored(_ description: String) -> OAuthError {
    var error = OAuthError(.temporarilyUnavailable, description)
    error.retryAfterSeconds = 1
    return error
  }
}
