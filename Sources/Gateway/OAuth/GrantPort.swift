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

  let registry: GrantRegistry
  private let completions: CompletionPort<Exchange, Outcome>

  init(_ registry: GrantRegistry, wakeLoop: @escaping @Sendable () -> Void) {
    self.registry = registry
    completions = CompletionPort(CompletionQueue(wakeLoop: wakeLoop))
  }

  /// Makes the use of a code durable; `exchange` gets the outcome later.
  ///
  /// - Parameter audit: gets the outcome on another thread, even if the exchange has ended.
  func settle(
    code: TokenID, _ grant: TokenGrant, for exchange: Exchange, audit: @escaping @Sendable (Outcome) -> Void
  ) -> Ticket {
    let ticket = completions.ticket(for: exchange)
    let (registry, settled) = (registry, settled(ticket, audit))
    registry.settle(code: code) { result in
      switch result {
      case .done: settled(.granted(grant))
      case .codeUsed:
        // RFC 6749 §4.1.2: what the code gave should be revoked.
        registry.revoke(code, until: UnixSeconds.now.rawValue + GrantRegistry.grantSecondsMax) { _ in
          settled(
            .refused(OAuthError(.invalidGrant, "The code was used before; the tokens that it gave are revoked.")))
        }
      case .failed: settled(.refused(.codeNotStored))
      }
    }
    return ticket
  }

  /// Revokes a token or a grant; the rest is as with `settle`.
  func revoke(
    _ id: TokenID, until expiry: Int64, for exchange: Exchange, audit: @escaping @Sendable (Outcome) -> Void
  ) -> Ticket {
    let ticket = completions.ticket(for: exchange)
    let settled = settled(ticket, audit)
    registry.revoke(id, until: expiry) { result in
      switch result {
      case .done: settled(.revoked(id))
      case .codeUsed, .failed: settled(.refused(.revocationNotStored))
      }
    }
    return ticket
  }

  /// Audits an outcome before a loop knows it: the client may have left, and the loop may have ended.
  private func settled(
    _ ticket: Ticket, _ audit: @escaping @Sendable (Outcome) -> Void
  ) -> @Sendable (Outcome) -> Void {
    let queue = completions.queue
    return { outcome in
      audit(outcome)
      queue.complete(ticket, outcome)
    }
  }

  /// Withdraws an exchange's interest in an outcome.
  func withdraw(_ ticket: Ticket) { completions.withdraw(ticket) }

  /// Delivers outcomes to their exchanges. Call it whenever the loop is woken.
  func deliver() { completions.deliver { exchange, outcome in exchange.grantSettled(outcome) } }
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
