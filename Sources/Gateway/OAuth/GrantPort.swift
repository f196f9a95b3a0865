import HTTP1
import OAuth
import Policies
import System
import Telemetry

/// Connects a loop to the grant registry: results that wait for files return to their exchanges.
final class GrantPort {
  let registry: GrantRegistry
  private let completions: CompletionPort<Exchange, OAuthReply>

  init(_ registry: GrantRegistry, wakeLoop: @escaping @Sendable () -> Void) {
    self.registry = registry
    completions = CompletionPort(CompletionQueue(wakeLoop: wakeLoop))
  }

  /// Makes the use of a code durable; `exchange` gets the reply later.
  func settle(code: TokenID, _ grant: TokenGrant, for exchange: Exchange) -> Ticket {
    let (ticket, queue) = (completions.ticket(for: exchange), completions.queue)
    let registry = registry
    registry.settle(code: code) { result in
      switch result {
      case .done: queue.complete(ticket, OAuthReply(grant))
      case .codeUsed:
        // RFC 6749 §4.1.2: what the code gave should be revoked.
        registry.revoke(code, until: UnixSeconds.now.rawValue + GrantRegistry.grantSecondsMax) { _ in
          queue.complete(
            ticket,
            OAuthReply(OAuthError(.invalidGrant, "The code was used before; the tokens that it gave are revoked.")))
        }
      case .failed: queue.complete(ticket, .unavailable)
      }
    }
    return ticket
  }

  func revoke(_ id: TokenID, until expiry: Int64, for exchange: Exchange) -> Ticket {
    let (ticket, queue) = (completions.ticket(for: exchange), completions.queue)
    registry.revoke(id, until: expiry) { result in
      switch result {
      case .done: queue.complete(ticket, .revoked)
      case .codeUsed, .failed: queue.complete(ticket, .unavailable)
      }
    }
    return ticket
  }

  /// Withdraws interest in a reply.
  func withdraw(_ ticket: Ticket) { completions.withdraw(ticket) }

  /// Delivers replies to their exchanges. Call it whenever the loop is woken.
  func deliver() { completions.deliver { exchange, reply in exchange.grantSettled(reply) } }
}

extension OAuthReply {
  static let unavailable = OAuthReply(
    OAuthError(.temporarilyUnavailable, "Codes and revocations cannot be stored at the moment. Nothing has changed."))
}
