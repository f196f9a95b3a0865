import Dispatch
import Synchronization

/// The blocking transfers of all background threads, which must have ended when the process does: at its end, OpenSSL frees
/// what a TLS handshake on another thread still uses.
package final class BackgroundTransfers: Sendable {
  private let running = Mutex(0)
  private let stopping = Atomic<Bool>(false)
  private let idle = DispatchSemaphore(value: 0)

  package init() {}

  var isStopping: Bool { stopping.load(ordering: .relaxed) }

  var runningCount: Int { running.withLock { $0 } }

  /// Counts a thread that enters libcurl; false: the process ends, and it must stay outside.
  func begin() -> Bool {
    running.withLock { running in
      guard !isStopping else { return false }
      running += 1
      return true
    }
  }

  func end() {
    running.withLock { running in
      running -= 1
      if running == 0, isStopping { idle.signal() }
    }
  }

  /// Ends all transfers, and waits until no thread is in libcurl; none enters it again.
  ///
  /// - Returns: whether all have ended in time. A transfer notices within a second.
  @discardableResult
  package func stop(withinMilliseconds milliseconds: Int) -> Bool {
    let isIdle = running.withLock { running in
      stopping.store(true, ordering: .relaxed)
      return running == 0
    }
    return isIdle || idle.wait(timeout: .now() + .milliseconds(milliseconds)) == .success
  }
}
