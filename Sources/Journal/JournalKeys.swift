import Dispatch
import Synchronization

/// The table under its lock, and the signal that wakes the thread.
final class JournalKeys: Sendable {
  private let table: Mutex<JournalTable>
  private let wakeSignal = DispatchSemaphore(value: 0)

  init(_ table: JournalTable) { self.table = Mutex(table) }

  func withLock<Result: Sendable>(_ body: (inout JournalTable) -> Result) -> Result {
    table.withLock { body(&$0) }
  }

  /// Calls `body`, and wakes the thread if the first work waits afterwards.
  func addWork<Result: Sendable>(_ body: (inout JournalTable) -> Result) -> Result {
    let (result, isFirst) = table.withLock { table in
      let wasEmpty = table.work.isEmpty
      let result = body(&table)
      return (result, wasEmpty && !table.work.isEmpty)
    }
    if isFirst { wakeSignal.signal() }
    return result
  }

  // MARK: The thread

  /// Ends the current wait, or the next one.
  func wakeUp() { wakeSignal.signal() }

  /// Waits for work or `wakeUp`.
  func wait(atMost seconds: Double) { _ = wakeSignal.wait(timeout: .now() + seconds) }

  /// Swaps the waiting work for `work`, which is empty.
  func take(_ work: inout JournalWork) { table.withLock { $0.take(&work) } }
}
