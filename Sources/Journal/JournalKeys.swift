import Synchronization
import System

/// The table under its lock, and the signal that wakes the thread.
final class JournalKeys: Sendable {
  private let table: Mutex<JournalTable>
  private let wakeSignal = WakeSignal()

  init(_ table: JournalTable) { self.table = Mutex(table) }

  func withLock<Result: Sendable>(_ body: (inout JournalTable) -> Result) -> Result {
    table.withLock { body(&$0) }
  }

  /// Calls `body`, and wakes the thread.
  func addWork<Result: Sendable>(_ body: (inout JournalTable) -> Result) -> Result {
    defer { wakeSignal.signal() }
    return table.withLock { body(&$0) }
  }

  /// Wakes the thread if it waits for no more work than there is.
  func wakeThread() {
    if table.withLock({ $0.work.ends(waitingFor: $0.awaitedWrites) }) { wakeSignal.signal() }
  }

  // MARK: The thread

  /// Ends the current wait, or the next one.
  func wakeUp() { wakeSignal.signal() }

  /// Waits for this many claims and outcomes, or any other work, or `wakeUp`.
  ///
  /// - Returns: the number of claims and outcomes; nil: there is other work.
  func wait(for writes: Int, atMost seconds: Double) -> Int? {
    let isWaiting = table.withLock { table in
      guard !table.work.ends(waitingFor: writes) else { return false }
      table.awaitedWrites = writes
      return true
    }
    if isWaiting { wakeSignal.wait(atMost: seconds) }
    return table.withLock { table in
      table.awaitedWrites = .max
      return table.work.hasOthers ? nil : table.work.writes.count
    }
  }

  var writes: Int { table.withLock { $0.work.writes.count } }

  /// Swaps the waiting work for `work`, which is empty.
  func take(_ work: inout JournalWork) { table.withLock { $0.take(&work) } }
}
