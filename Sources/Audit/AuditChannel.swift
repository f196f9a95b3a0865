import Synchronization
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
  private let hasIntents = Atomic<Bool>(false)

  init(number: Int, queue: AuditQueue, wakeLoop: @escaping @Sendable () -> Void) {
    self.number = number
    self.queue = queue
    completions = CompletionQueue(wakeLoop: wakeLoop)
  }

  /// Whether the audit thread can write; if not, `declare` fails.
  package var canWrite: Bool { queue.canWrite }

  /// Hands over the intent of a write; false if the thread cannot write or is too far behind. The thread is woken by
  /// `wakeThread`.
  ///
  /// - Parameters:
  ///   - members: those of an `AuditIntent`.
  ///   - ticket: the ticket of its result.
  package func declare(_ members: Span<UInt8>, ticket: Ticket) -> Bool {
    let isTaken = queue.append(durably: .intent, members, channel: number, ticket: ticket)
    if isTaken { hasIntents.store(true, ordering: .relaxed) }
    return isTaken
  }

  /// Wakes the thread if it has new intents. Call it at the end of a turn, so that all intents of the turn share a batch:
  /// with 64 connections, this saves a third of the writes.
  package func wakeThread() {
    guard hasIntents.load(ordering: .relaxed) else { return }
    hasIntents.store(false, ordering: .relaxed)
    queue.wakeThread()
  }

  /// Hands over the outcome of a write; call it exactly once for each accepted intent.
  ///
  /// - Parameter members: from `AuditOutcome.append`.
  package func record(_ members: Span<UInt8>) { queue.append(.outcome, members) }

  /// Whether a grant that is handed over now will be written, as far as can be known.
  package var acceptsGrants: Bool { queue.acceptsGrants }

  /// Hands over what the token endpoint has done; callable on any thread.
  package func record(_ grant: AuditGrant) {
    var members: [UInt8] = []
    grant.append(to: &members)
    queue.append(.grant, members.span)
  }

  /// Hands over a command that was carried out, to be made durable; false if it is not accepted.
  package func declare(_ command: AuditCommand, ticket: Ticket) -> Bool {
    var members: [UInt8] = []
    command.append(to: &members)
    let isTaken = queue.append(durably: .command, members.span, channel: number, ticket: ticket)
    if isTaken { queue.wakeThread() }
    return isTaken
  }
}
