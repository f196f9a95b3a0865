import Synchronization
package import System

/// One loop's channel to the journal. It never waits for the disk; results return through a completion queue.
package final class JournalChannel: Sendable {
  /// The results of this channel's tickets.
  package let completions: CompletionQueue<JournalResult>
  private let number: Int
  private let keys: JournalKeys
  private let clocks: JournalClocks
  private let hasWork = Atomic<Bool>(false)

  init(number: Int, keys: JournalKeys, clocks: JournalClocks, wakeLoop: @escaping @Sendable () -> Void) {
    self.number = number
    self.keys = keys
    self.clocks = clocks
    completions = CompletionQueue(wakeLoop: wakeLoop)
  }

  /// Claims the key of a write. Of any number of claims of a key, on any loops, one is accepted. The thread is woken by
  /// `wakeThread`, as in `record`.
  ///
  /// - Parameter ticket: of the result after `claimed` and `reading`.
  package func claim(_ write: KeyedWrite, ticket: Ticket) -> ClaimResult {
    let waiter = JournalWork.Waiter(channel: number, ticket: ticket)
    let time = clocks.wallMicroseconds()
    hasWork.store(true, ordering: .relaxed)
    return keys.withLock { table in table.claim(write, waiter, at: time) }
  }

  /// Hands over the outcome of a claimed write; call it, or `abandon`, once for each accepted claim.
  ///
  /// - Parameter ticket: of the result; nil: nothing waits for it.
  /// - Returns: false if the outcome is not accepted. The key is then unknown, or free if the request was not sent.
  package func record(_ outcome: KeyedOutcome, of write: KeyedWrite, ticket: Ticket?) -> Bool {
    let waiter = ticket.map { JournalWork.Waiter(channel: number, ticket: $0) }
    hasWork.store(true, ordering: .relaxed)
    return keys.withLock { table in table.record(outcome, of: write, waiter) }
  }

  /// Wakes the thread if it may have new work. Call it at the end of a turn, so that all of the turn shares a batch.
  package func wakeThread() {
    guard hasWork.load(ordering: .relaxed) else { return }
    hasWork.store(false, ordering: .relaxed)
    keys.wakeThread()
  }

  /// The outcome of a claimed write will never be known: its key is unknown from now on.
  package func abandon(_ write: KeyedWrite) {
    keys.withLock { table in table.abandon(write) }
  }
}
