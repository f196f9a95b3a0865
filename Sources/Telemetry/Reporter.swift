import Dispatch
import Synchronization

/// Tells an operator in lines what he should know, from any thread and without ever waiting for who reads them.
///
/// Bound: `waitingMax` lines; beyond it they are dropped, and counted in the next line that is told.
package final class Reporter: Sendable {
  private let queue = DispatchQueue(label: "reports")
  private let waiting = Atomic<Int>(0)
  private let dropped = Atomic<Int>(0)
  private let write: @Sendable (String) -> Void

  private static let waitingMax = 1_000

  /// - Parameter write: writes one line; may block, and is called on one thread at a time.
  package init(_ write: @escaping @Sendable (String) -> Void) { self.write = write }

  package func tell(_ line: String) {
    guard waiting.add(1, ordering: .relaxed).newValue <= Self.waitingMax else {
      waiting.subtract(1, ordering: .relaxed)
      dropped.add(1, ordering: .relaxed)
      return
    }
    queue.async { [self] in
      let lost = dropped.exchange(0, ordering: .relaxed)
      if lost > 0 { write("reports dropped here: \(lost)") }
      write(line)
      waiting.subtract(1, ordering: .relaxed)
    }
  }

  /// Waits until what was told so far is written, at most so many seconds.
  package func flush(within seconds: Double) {
    let written = DispatchSemaphore(value: 0)
    queue.async { written.signal() }
    _ = written.wait(timeout: .now() + seconds)
  }
}
