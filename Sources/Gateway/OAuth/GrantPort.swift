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
        let verdict = registry.revokeGrant(ofUsed: code, of: grant.client) { isStored in
          settled(.refused(isStored ? .codeUsed(code) : .usedCodeNotRevoked))
        }
        switch verdict {
        case .waits: break
        case .stored: settled(.refused(.codeUsed(code)))
        case .refused: settled(.refused(.usedCodeNotRevoked))
        }
      case .failed: settled(.refused(.codeNotStored))
      }
    }
    return ticket
  }

  /// Revokes what a code gave that was used before; the rest is as with `settle`.
  ///
  /// - Returns: nil: it is revoked already.
  func revokeGrant(
    ofUsed code: TokenID, of client: String, for exchange: Exchange, audit: @escaping @Sendable (Outcome) -> Void
  ) throws(OAuthError) -> Ticket? {
    let ticket = completions.ticket(for: exchange)
    let settled = settled(ticket, audit)
    let verdict = registry.revokeGrant(ofUsed: code, of: client) { isStored in
      settled(.refused(isStored ? .codeUsed(code) : .usedCodeNotRevoked))
    }
    guard verdict != .waits else { return ticket }
    completions.withdraw(ticket)
    guard case .refused = verdict else { return nil }
    throw .usedCodeNotRevoked
  }

  /// Revokes a token or a grant for its client; the rest is as with `settle`.
  ///
  /// - Returns: nil: it is revoked already.
  func revoke(
    _ id: TokenID, until expiry: Int64, by client: String, for exchange: Exchange,
    audit: @escaping @Sendable (Outcome) -> Void
  ) throws(OAuthError) -> Ticket? {
    let ticket = completions.ticket(for: exchange)
    let settled = settled(ticket, audit)
    let verdict = registry.revoke(id, until: expiry, .client(client)) { isStored in
      settled(isStored ? .revoked(id) : .refused(.revocationNotStored))
    }
    guard verdict != .waits else { return ticket }
    completions.withdraw(ticket)
    guard case .refused(let refusal) = verdict else { return nil }
    throw OAuthError(refusal)
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
  fileprivate static let codeNotStored = retry(
    "The use of the code cannot be stored at the moment. Retry with the same code.")
  fileprivate static let usedCodeNotRevoked = retry(
    "The code was used before, and the tokens that it gave cannot be revoked everywhere at the moment. Retry.")
  fileprivate static let revocationNotStored = retry(
    "The revocation cannot be stored at the moment; gateways may still accept the token. Retry.")

  fileprivate init(_ refusal: OwnRevocations.Refusal) {
    self =
      switch refusal {
      case .busy: .retry("Too many revocations are under way; this token is not revoked. Retry.")
      case .clientBusy:
        .retry(
          "The client has \(OwnRevocations.waitingPerClientMax) revocations under way; this token is not revoked. Retry.",
          .slowDown)
      case .full, .clientFull:
        .retry(
          "The list of revocations is full; the token is not revoked. Ask the operator of the gateway to revoke it.",
          after: 3_600)
      }
  }

  private static func retry(
    _ description: String, _ code: Code = .temporarilyUnavailable, after seconds: Int = 1
  ) -> OAuthError {
    var error = OAuthError(code, description)
    error.retryAfterSeconds = seconds
    return error
  }
}
