import CLinux
import Glibc

/// Signals that one thread waits for; the others never see them.
package struct Signals: Sendable {
  private let numbers: [Int32]

  /// Holds the signals back from now on. Call it before any other thread starts: they inherit the mask.
  package init(holding numbers: [Int32]) {
    self.numbers = numbers
    // A peer that has closed shows as EPIPE where it matters, not as the end of the process.
    _ = signal(SIGPIPE, SIG_IGN)
    // A file at its largest size (RLIMIT_FSIZE) shows as EFBIG.
    _ = signal(SIGXFSZ, SIG_IGN)
    change(SIG_BLOCK)
  }

  /// Waits for the next one of them.
  package func wait() -> Int32 {
    var set = set
    var number: Int32 = 0
    while unsafe sigwait(&set, &number) != 0 {}
    return number
  }

  /// What `wait(or:)` came to.
  package enum News: Equatable, Sendable {
    case signal(Int32)
    /// Something changed in the folders, and nothing more for `quiet` milliseconds.
    case change
    /// Nothing came within `patience`.
    case nothing
  }

  /// Waits for the next signal, or for a change in the folders.
  ///
  /// - Parameters:
  ///   - quiet: milliseconds without a further change that make a change complete; at most ten times as long in all, for
  ///     a folder that never comes to rest.
  ///   - patience: milliseconds to wait for the first of them; nil: for ever.
  package func wait(or watch: borrowing FolderWatch, quiet: Int32, patience: Int32? = nil) -> News {
    var set = set
    let signals = FileDescriptor(owning: unsafe signalfd(-1, &set, Int32(SFD_CLOEXEC)))
    /// When to wait no longer (monotonic milliseconds).
    var end = patience.map { MonotonicClock.milliseconds + Int64($0) }
    var hasChanged = false
    while true {
      let left = end.map { Int32(clamping: max(0, $0 - MonotonicClock.milliseconds)) } ?? -1
      var entries: InlineArray<2, pollfd> = [
        pollfd(fd: signals.number, events: Int16(POLLIN), revents: 0),
        pollfd(fd: watch.number, events: Int16(POLLIN), revents: 0),
      ]
      var span = entries.mutableSpan
      let count = unsafe span.withUnsafeMutableBufferPointer {
        unsafe poll($0.baseAddress, 2, hasChanged ? min(quiet, left) : left)
      }
      if count > 0, entries[0].revents != 0 { return .signal(wait()) }
      if count == 0 { return hasChanged ? .change : .nothing }
      guard count > 0, entries[1].revents != 0 else { continue }
      watch.drain()
      if !hasChanged { end = MonotonicClock.milliseconds + 10 * Int64(quiet) }
      hasChanged = true
    }
  }

  /// Gives the signals back their usual effect: a second Ctrl-C ends a process that drains.
  package func letThrough() { change(SIG_UNBLOCK) }

  private func change(_ how: Int32) {
    var set = set
    unsafe _ = pthread_sigmask(how, &set, nil)
  }

  private var set: sigset_t {
    var set = sigset_t()
    unsafe sigemptyset(&set)
    for number in numbers { unsafe sigaddset(&set, number) }
    return set
  }
}
