import System
import Telemetry

/// A loop's way to the audit thread and back: exchanges hand over their intents, and are told what became of them.
final class AuditPort {
  private let channel: AuditChannel
  private let completions: CompletionPort<Exchange, IntentResult>
  private var members: [UInt8] = []

  init(_ channel: AuditChannel) {
    self.channel = channel
    completions = CompletionPort(channel.completions)
  }

  var canWrite: Bool { channel.canWrite }

  /// Hands over an intent; `exchange` is told when it is settled. nil: it was not taken, and nothing will be told.
  func declare(
    _ intent: AuditIntent, _ texts: RequestTexts, in head: Span<UInt8>, for exchange: Exchange
  ) -> Ticket? {
    let ticket = completions.ticket(for: exchange)
    members.removeAll(keepingCapacity: true)
    intent.append(texts, in: head, to: &members)
    guard channel.declare(members, ticket: ticket) else {
      completions.withdraw(ticket)
      return nil
    }
    return ticket
  }

  /// The exchange waits no longer.
  func withdraw(_ ticket: Ticket) { completions.withdraw(ticket) }

  func record(_ outcome: AuditOutcome) {
    members.removeAll(keepingCapacity: true)
    outcome.append(to: &members)
    channel.record(members)
  }

  /// Tells the exchanges whose intents are settled; for each time that the loop is woken.
  func deliver() { completions.deliver { exchange, result in exchange.intentSettled(result) } }
}
