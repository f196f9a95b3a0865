package import System

/// The result of writing an intent.
package enum IntentResult: Sendable {
  /// The intent is on disk.
  case durable
  /// The intent may not be on disk: its request must not be sent.
  case failed
}

/// One loop's channel to the audit thread. It never blocks; the results of intents return through a completion queue.
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

  /// Whether the audit thread can write; if not, `declare` fails.
  package var canWrite: Bool { queue.canWrite }

  /// Hands over the intent of a write; false if the thread cannot write or is too far behind.
  ///
  /// - Parameters:
  ///   - members: from `AuditIntent.append`.
  ///   - ticket: the ticket of its result.
  package func declare(_ members: [UInt8], ticket: Ticket) -> Bool {
    queue.append(intent: members, channel: number, ticket: ticket)
  }

  /// Hands over the outcome of a write; call it exactly once for each accepted intent.
  ///
  /// - Parameter members: from `AuditOutcome.append`.
  package func record(_ members: [UInt8]) { queue.append(.outcome, members) }

  /// Hands over what the token endpoint has done; callable on any thread.
  package func record(_ grant: AuditGrant) {
    var members: [UInt8] = []
    grant.append(to: &members)
    queue.append(.grant, members)
  }
}
