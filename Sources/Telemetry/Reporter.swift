import Dispatch
import Synchronization

/// Reports lines to the operator from any thread, without blocking on their reader.
///
/// Bound: `waitingMax` lines; further ones are dropped, and their number is reported with the next line.
package final class Reporter: Sendable {
  private let queue = DispatchQueue(label: "reports")
  private let waiting = Atomic<Int>(0)
  private let dropped = Atomic<Int>(0)
  private let write: @Sendable (String) -> Void

  private static let waitingMax = 1_000

  /// - Parameter write: writes one line. It may block, and is called on one thread at a time.
  package init(_ write: @escaping @Sendable (String) -> Void) { self.write = write }

  package func report(_ line: String) {
    guard waiting.add(1, ordering: .relaxed).newValue <= Self.waitingMax else {
      waiting.subtract(1, ordering: .relaxed)
      dropped.add(1, ordering: .relaxed)
      return
    }
    queue.async { [self] in
      let lost = dropped.exchange(0, ordering: .relaxed)
      if lost > 0 { write("messages dropped before the next one: \(lost)") }
      write(line)
      waiting.subtract(1, ordering: .relaxed)
    }
  }

  /// Waits at most `seconds` until the lines reported so far are written.
  package func flush(within seconds: Double) {
    let written = DispatchSemaphore(value: 0)
    queue.async { written.signal() }
    _ = written.wait(timeout: .now() + seconds)
  }
}
