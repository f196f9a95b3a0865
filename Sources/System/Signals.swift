import CLinux
import Glibc

/// A set of signals that is blocked in every thread and waited for in one.
package struct Signals: Sendable {
  private let numbers: [Int32]

  /// Blocks the signals. Call it before any other thread starts: threads inherit the mask.
  package init(blocking numbers: [Int32]) {
    self.numbers = numbers
    // A closed peer shows as EPIPE from the write and must not end the process.
    _ = signal(SIGPIPE, SIG_IGN)
    // A file at its size limit (RLIMIT_FSIZE) shows as EFBIG.
    _ = signal(SIGXFSZ, SIG_IGN)
    // Process 1 of a container becomes the parent of every orphan there, and would have to wait for each of them.
    if isProcess1 { _ = signal(SIGCHLD, SIG_IGN) }
    change(SIG_BLOCK)
  }

  /// Waits for the next signal.
  package func wait() -> Int32 {
    var set = set
    var number: Int32 = 0
    while unsafe sigwait(&set, &number) != 0 {}
    return number
  }

  /// Why `wait(or:)` returned.
  package enum Event: Equatable, Sendable {
    case signal(Int32)
    /// The folders changed and have settled.
    case change
    case timeout
  }

  /// Waits for the next signal or for a change in the folders.
  ///
  /// - Parameters:
  ///   - settleMilliseconds: how long the folders must stay unchanged before a change is reported; a folder that keeps
  ///     changing is reported after ten times as long.
  ///   - timeoutMilliseconds: how long to wait for the first event; nil waits without limit.
  package func wait(
    or watch: borrowing FolderWatch, settleMilliseconds: Int32, timeoutMilliseconds: Int32? = nil
  ) -> Event {
    var set = set
    let signals = FileDescriptor(owning: unsafe signalfd(-1, &set, Int32(SFD_CLOEXEC)))
    /// When to stop waiting (monotonic milliseconds).
    var end = timeoutMilliseconds.map { SystemClock.milliseconds + Int64($0) }
    var hasChanged = false
    while true {
      let left = end.map { Int32(clamping: max(0, $0 - SystemClock.milliseconds)) } ?? -1
      var entries: InlineArray<2, pollfd> = [
        pollfd(fd: signals.number, events: Int16(POLLIN), revents: 0),
        pollfd(fd: watch.number, events: Int16(POLLIN), revents: 0),
      ]
      var span = entries.mutableSpan
      let count = unsafe span.withUnsafeMutableBufferPointer {
        unsafe poll($0.baseAddress, 2, hasChanged ? min(settleMilliseconds, left) : left)
      }
      if count > 0, entries[0].revents != 0 { return .signal(wait()) }
      if count == 0 { return hasChanged ? .change : .timeout }
      guard count > 0, entries[1].revents != 0 else { continue }
      watch.drain()
      if !hasChanged { end = SystemClock.milliseconds + 10 * Int64(settleMilliseconds) }
      hasChanged = true
    }
  }

  /// What ends `wait(forKeysWithin:)`.
  package enum KeyEvent: Sendable {
    /// Empty for a key that sends an escape sequence, such as F2.
    case keys([UInt8])
    case signal(Int32)
    case timeout
    /// There is no more input.
    case end
  }

  /// Waits for keys of the terminal on standard input, or for the next signal.
  package func wait(forKeysWithin milliseconds: Int32) -> KeyEvent {
    var set = set
    let signals = FileDescriptor(owning: unsafe signalfd(-1, &set, Int32(SFD_CLOEXEC)))
    var entries: InlineArray<2, pollfd> = [
      pollfd(fd: signals.number, events: Int16(POLLIN), revents: 0), pollfd(fd: 0, events: Int16(POLLIN), revents: 0),
    ]
    var span = entries.mutableSpan
    let count = unsafe span.withUnsafeMutableBufferPointer { unsafe poll($0.baseAddress, 2, milliseconds) }
    guard count > 0 else { return .timeout }
    if entries[0].revents != 0 { return .signal(wait()) }
    var keys = [UInt8](repeating: 0, count: 64)
    let keyCount = unsafe read(0, &keys, keys.count)
    // A terminal sends an escape sequence in one write.
    return keyCount > 0 ? .keys(Array(keys.prefix(keyCount).prefix { $0 != 0x1b })) : .end
  }

  /// Lets the signals end the process: a second Ctrl-C ends a draining process.
  package func unblock() {
    // Linux drops a signal to process 1 whose action is the default one.
    if isProcess1 { for number in numbers { _ = signal(number) { _exit(128 + $0) } } }
    change(SIG_UNBLOCK)
  }

  private var isProcess1: Bool { getpid() == 1 }

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
