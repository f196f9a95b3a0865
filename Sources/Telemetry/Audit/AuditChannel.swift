package import System

/// What became of an intent that was handed over.
package enum IntentResult: Sendable {
  /// It outlasts a loss of power.
  case durable
  /// It may not be on disk: its request must not be sent.
  case failed
}

/// One loop's way to the audit thread; what becomes of an intent comes back through a completion queue. It never waits.
package final class AuditChannel: Sendable {
  /// The results of this channel's intents.
  package let completions: CompletionQueue<IntentResult>
  private let number: Int
  private let queue: AuditQueue

  init(number: Int, queue: AuditQueue, wakeLoop: @escaping @Sendable () -> Void) {
    self.number = number
    self.queue = queue
    completions = CompletionQueue(wakeLoop: wakeLoop)
  }

  /// Whether an intent handed over now may become durable at all.
  package var canWrite: Bool { queue.canWrite }

  /// Hands over the intent of a write; false where the thread cannot write or is too far behind.
  ///
  /// - Parameters:
  ///   - members: from `AuditIntent.append`.
  ///   - ticket: under which its result comes.
  package func declare(_ members: [UInt8], ticket: Ticket) -> Bool {
    queue.append(intent: members, channel: number, ticket: ticket)
  }

  /// Hands over what became of a write whose intent was taken; exactly one for each.
  ///
  /// - Parameter members: from `AuditOutcome.append`.
  package func record(_ members: [UInt8]) { queue.append(outcome: members) }
}
