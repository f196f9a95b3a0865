import Synchronization
import System

/// Shared by the loops and the audit thread: the waiting entries, and whether entries can be written.
final class AuditQueue: Sendable {
  /// Intents beyond this are not accepted: the thread is behind, and the requests would time out.
  static let intentsMax = 4_096
  static let bytesMax = 8 << 20

  private struct Waiting {
    var batch = AuditBatch()
    var isClosed = false
    /// Entries of reloads that were accepted.
    var reloads = 0
    /// The number of intents that ends the thread's wait.
    var awaited = Int.max
    /// Whether any entry ends it.
    var awaitsAny = false
  }

  private let waiting = Mutex(Waiting())
  private let wakeSignal = WakeSignal()
  private let isWritable = Atomic<Bool>(true)
  private let lost = Atomic<Int>(0)

  /// Whether the thread has a file to write to.
  var canWrite: Bool {
    get { isWritable.load(ordering: .relaxed) }
    set { isWritable.store(newValue, ordering: .relaxed) }
  }

  /// Grants leave half of the places to outcomes.
  var acceptsGrants: Bool { canWrite && waiting.withLock { $0.batch.items.count < AuditBatch.itemsMax / 2 } }

  var depth: Int { waiting.withLock { $0.batch.items.count } }
  var lostOutcomes: Int { lost.load(ordering: .relaxed) }

  func countLost(_ outcomes: Int) { lost.add(outcomes, ordering: .relaxed) }

  /// For an intent, or an entry whose writer waits until it is durable; false if it is not accepted. If it is, call
  /// `wakeThread` soon: once for all entries of a loop's turn.
  func append(durably kind: AuditEntry.Kind, _ members: Span<UInt8>, channel: Int, ticket: Ticket) -> Bool {
    guard canWrite else { return false }
    return waiting.withLock { waiting in
      guard !waiting.isClosed, waiting.batch.intents < Self.intentsMax, waiting.batch.bytes.count < Self.bytesMax
      else { return false }
      waiting.batch.append(kind, members, for: AuditBatch.Waiter(channel: channel, ticket: ticket))
      return true
    }
  }

  /// An outcome, a grant or a reload: it is written soon, and nothing waits for it.
  ///
  /// - Returns: how many entries of reloads were accepted so far; nil: this entry is lost.
  @discardableResult
  func append(_ kind: AuditEntry.Kind, _ members: Span<UInt8>) -> Int? {
    let (reloads, isAwaited) = waiting.withLock { waiting -> (Int?, Bool) in
      guard !waiting.isClosed, waiting.batch.hasCapacityForOutcome else { return (nil, false) }
      waiting.batch.append(kind, members)
      if kind == .reload { waiting.reloads += 1 }
      return (waiting.reloads, waiting.awaitsAny)
    }
    if reloads == nil { countLost(1) }
    if isAwaited { wakeSignal.signal() }
    return reloads
  }

  /// Wakes the thread if it waits for no more intents than there are.
  func wakeThread() {
    if waiting.withLock({ $0.batch.intents >= $0.awaited }) { wakeSignal.signal() }
  }

  // MARK: The thread

  /// Ends the current wait, or the next one.
  func wakeUp() { wakeSignal.signal() }

  /// Waits for `wakeUp`.
  func sleep(atMost seconds: Double) { wakeSignal.wait(atMost: seconds) }

  /// Waits for `intents`, or for any entry if `orAny`, or `wakeUp`.
  ///
  /// While the thread does not wait, or waits for more, entries do not wake it: a wake-up takes two context switches.
  ///
  /// - Parameter seconds: the time limit; nil: none.
  /// - Returns: the number of intents.
  @discardableResult
  func wait(for intents: Int, orAny: Bool = false, atMost seconds: Double?) -> Int {
    let isWaiting = waiting.withLock { waiting in
      guard waiting.batch.intents < intents, !orAny || waiting.batch.isEmpty else { return false }
      (waiting.awaited, waiting.awaitsAny) = (intents, orAny)
      return true
    }
    if isWaiting { wakeSignal.wait(atMost: seconds) }
    return waiting.withLock { waiting in
      (waiting.awaited, waiting.awaitsAny) = (.max, false)
      return waiting.batch.intents
    }
  }

  /// Whether the thread waits; for tests.
  var isAwaited: Bool { waiting.withLock { $0.awaited < .max } }

  var isEmpty: Bool { waiting.withLock { $0.batch.isEmpty } }

  var intents: Int { waiting.withLock { $0.batch.intents } }

  /// Swaps the waiting entries for an empty batch.
  func take(_ batch: inout AuditBatch) {
    waiting.withLock { swap(&$0.batch, &batch) }
  }

  /// Accepts no more entries; further outcomes are lost and counted.
  func close() { waiting.withLock { $0.isClosed = true } }
}
