import Dispatch
import Synchronization

/// Wakes a thread that waits for work in a queue, once for all work that arrives before it is awake.
package final class WakeSignal: Sendable {
  private let semaphore = DispatchSemaphore(value: 0)
  private let isSignalled = Atomic<Bool>(false)

  package init() {}

  /// Ends the current wait, or the next one. Call it after the work is in the queue.
  package func signal() {
    if !isSignalled.exchange(true, ordering: .acquiringAndReleasing) { semaphore.signal() }
  }

  /// Waits for `signal`. Look at the queue afterwards: work that arrives later signals again.
  ///
  /// - Parameter seconds: the time limit; nil: none.
  package func wait(atMost seconds: Double?) {
    if let seconds { _ = semaphore.wait(timeout: .now() + seconds) } else { semaphore.wait() }
    isSignalled.store(false, ordering: .sequentiallyConsistent)
  }
}
