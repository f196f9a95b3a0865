import Glibc

/// Signals that one thread waits for; the others never see them.
package struct Signals: Sendable {
  private let numbers: [Int32]

  /// Holds the signals back from now on. Call it before any other thread starts: they inherit the mask.
  package init(holding numbers: [Int32]) {
    self.numbers = numbers
    // A peer that has closed shows as EPIPE where it matters, not as the end of the process.
    _ = signal(SIGPIPE, SIG_IGN)
    change(SIG_BLOCK)
  }

  /// Waits for the next one of them.
  package func wait() -> Int32 {
    var set = set
    var number: Int32 = 0
    while unsafe sigwait(&set, &number) != 0 {}
    return number
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
