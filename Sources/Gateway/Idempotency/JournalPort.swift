import Background
import Journal
import System

/// Connects a loop to the journal's thread: passes claims and outcomes of exchanges on, and the results to the exchanges.
final class JournalPort {
  private let channel: JournalChannel
  private let completions: CompletionPort<Exchange, JournalResult>
  private let journal: Journal
  private let records: RecordClient
  private let reconciler: Reconciler
  private let reconciliations: CompletionPort<Exchange, Reconciliation.Result>

  init(
    _ journal: Journal, _ records: RecordClient, _ reconciler: Reconciler, wakeLoop: @escaping @Sendable () -> Void
  ) {
    self.journal = journal
    self.records = records
    self.reconciler = reconciler
    channel = journal.makeChannel(wakeLoop: wakeLoop)
    completions = CompletionPort(channel.completions)
    reconciliations = CompletionPort(CompletionQueue(wakeLoop: wakeLoop))
  }

  /// Claims a key. After `claimed` and `reading`, the exchange gets the result of the ticket.
  func claim(_ write: KeyedWrite, for exchange: Exchange) -> (ClaimResult, Ticket) {
    let ticket = completions.ticket(for: exchange)
    let result = channel.claim(write, ticket: ticket)
    switch result {
    case .claimed, .reading: break
    case .inProgress, .reused, .unavailable: completions.withdraw(ticket)
    }
    return (result, ticket)
  }

  /// Passes an outcome on; nil: it was not accepted, and there will be no result.
  ///
  /// - Parameter exchange: gets the result; nil: nothing waits for it.
  func record(_ outcome: KeyedOutcome, of write: KeyedWrite, for exchange: Exchange?) -> Ticket? {
    guard let exchange else {
      _ = channel.record(outcome, of: write, ticket: nil)
      return nil
    }
    let ticket = completions.ticket(for: exchange)
    guard channel.record(outcome, of: write, ticket: ticket) else {
      completions.withdraw(ticket)
      return nil
    }
    return ticket
  }

  /// The outcome of this write will never be known.
  func abandon(_ write: KeyedWrite) { channel.abandon(write) }

  func withdraw(_ ticket: Ticket) { completions.withdraw(ticket) }

  /// Asks Core about a write of unknown outcome; the exchange gets the result of the ticket. What Core's record shows is
  /// durable then: once a client has it, a kill must not make the outcome unknown again.
  func ask(
    _ reconciliation: Reconciliation, about write: KeyedWrite, _ earlier: UnknownWrite, _ endpoint: RecordEndpoint,
    responseBytesMax: Int, for exchange: Exchange
  ) -> Ticket {
    let (ticket, queue, journal) = (reconciliations.ticket(for: exchange), reconciliations.queue, journal)
    reconciliation.ask(records, endpoint) { result in
      // One that is too long to keep is shown, and asked for, each time.
      guard case .done(let status, let body) = result, body.count <= responseBytesMax else {
        return queue.complete(ticket, result)
      }
      let response = StoredResponse.reconstructed(status, body, earlier.requestIDHigh, earlier.requestIDLow)
      journal.reconcile(write, response) { isDurable in
        let reason = "the journal has not stored Core's record"
        queue.complete(ticket, isDurable ? result : .unclear(reason: reason))
      }
    }
    return ticket
  }

  /// Asks Core in the background about a write whose response was lost.
  func askLater(_ write: AskableWrite) { reconciler.add(write) }

  func withdrawQuestion(_ ticket: Ticket) { reconciliations.withdraw(ticket) }

  /// Call it at the end of each turn.
  func turnEnded() { channel.wakeThread() }

  /// Delivers results to their exchanges. Call it whenever the loop is woken.
  func deliver() {
    completions.deliver { exchange, result in exchange.journalSettled(result) }
    reconciliations.deliver { exchange, result in exchange.reconciled(result) }
  }
}
