import Synchronization

/// One loop's way to the audit thread and back. It never waits.
package final class AuditChannel: Sendable {
  /// What became of an intent that was handed over.
  package struct Settlement: Sendable {
    package let ticket: UInt64
    /// Whether it outlasts a loss of power; otherwise its request must not be sent.
    package let isDurable: Bool
  }

  private let number: Int
  private let queue: AuditQueue
  private let wakeLoop: @Sendable () -> Void
  private let settled = Mutex<[Settlement]>([])

  init(number: Int, queue: AuditQueue, wakeLoop: @escaping @Sendable () -> Void) {
    self.number = number
    self.queue = queue
    self.wakeLoop = wakeLoop
  }

  /// Whether an intent handed over now may become durable at all.
  package var canWrite: Bool { queue.canWrite }

  /// Hands over the intent of a write; false where the thread cannot write or is too far behind.
  ///
  /// - Parameters:
  ///   - members: from `AuditIntent.append`.
  ///   - ticket: what the settlement will bear.
  package func declare(_ members: [UInt8], ticket: UInt64) -> Bool {
    queue.append(intent: members, channel: number, ticket: ticket)
  }

  /// Hands over what became of a write whose intent was taken; exactly one for each.
  ///
  /// - Parameter members: from `AuditOutcome.append`.
  package func record(_ members: [UInt8]) { queue.append(outcome: members) }

  /// The intents that were settled since the last call; for the loop, when it is woken.
  package func takeSettled() -> [Settlement] {
    settled.withLock { settled in
      guard !settled.isEmpty else { return [] }
      defer { settled = [] }
      return settled
    }
  }

  func settle(_ settlements: [Settlement]) {
    settled.withLock { $0 += settlements }
    wakeLoop()
  }
}
