import Dispatch
import System
import Synchronization

/// What the loops and the audit thread share: entries on their way, and whether there is any use in handing one over.
final class AuditQueue: Sendable {
  /// Intents beyond this are refused: the thread is behind, and the requests would not come to their turn in time.
  static let intentsMax = 4_096
  static let bytesMax = 8 << 20

  private struct Waiting {
    var batch = AuditBatch()
    var isClosed = false
  }

  private let waiting = Mutex(Waiting())
  private let news = DispatchSemaphore(value: 0)
  private let isWritable = Atomic<Bool>(true)
  private let lost = Atomic<Int>(0)

  /// Whether the thread has a file that takes entries.
  var canWrite: Bool {
    get { isWritable.load(ordering: .relaxed) }
    set { isWritable.store(newValue, ordering: .relaxed) }
  }

  var depth: Int { waiting.withLock { $0.batch.items.count } }
  var lostOutcomes: Int { lost.load(ordering: .relaxed) }

  func countLost(_ outcomes: Int) { lost.add(outcomes, ordering: .relaxed) }

  /// False where the intent is not taken: its request must not be sent.
  func append(intent members: [UInt8], channel: Int, ticket: Ticket) -> Bool {
    guard canWrite else { return false }
    let (isTaken, isFirst) = waiting.withLock { waiting in
      guard !waiting.isClosed, waiting.batch.intents < Self.intentsMax, waiting.batch.bytes.count < Self.bytesMax
      else { return (false, false) }
      waiting.batch.append(.intent, members.span, for: AuditBatch.Waiter(channel: channel, ticket: ticket))
      return (true, waiting.batch.intents == 1)
    }
    if isFirst { news.signal() }
    return isTaken
  }

  func append(outcome members: [UInt8]) {
    let (isTaken, isFirst) = waiting.withLock { waiting in
      guard !waiting.isClosed, waiting.batch.hasRoomForOutcome else { return (false, false) }
      waiting.batch.append(.outcome, members.span)
      return (true, waiting.batch.items.count == 1)
    }
    if !isTaken { countLost(1) }
    if isFirst { news.signal() }
  }

  // MARK: The thread

  /// Ends the present wait, or the next one.
  func wakeUp() { news.signal() }

  /// Waits for news.
  ///
  /// - Parameter seconds: at most so long; nil: for ever.
  func wait(atMost seconds: Double?) {
    if let seconds { _ = news.wait(timeout: .now() + seconds) } else { news.wait() }
  }

  var hasIntents: Bool { waiting.withLock { $0.batch.intents > 0 } }

  /// Swaps what waits for an empty batch.
  func take(_ batch: inout AuditBatch) {
    waiting.withLock { swap(&$0.batch, &batch) }
  }

  /// Takes no more: what comes from now on is lost, and counted.
  func close() { waiting.withLock { $0.isClosed = true } }
}
