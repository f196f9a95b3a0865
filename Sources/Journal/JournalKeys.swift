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

  // MARK: The thread

  /// Ends the current wait, or the next one.
  func wakeUp() { wakeSignal.signal() }

  /// Waits for work or `wakeUp`.
  func wait(atMost seconds: Double) { wakeSignal.wait(atMost: seconds) }

  /// Swaps the waiting work for `work`, which is empty.
  func take(_ work: inout JournalWork) { table.withLock { $0.take(&work) } }
}
