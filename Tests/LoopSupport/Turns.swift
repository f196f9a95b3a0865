package import Reactor
package import System

/// Runs a loop on the test's own thread until a condition holds.
///
/// Server and client then share one thread, so nothing happens except what the test does.
package final class Turns: EventLoopDelegate {
  package let loop: EventLoop
  /// Called with each descriptor that another thread hands over.
  package var onAdopted: (consuming FileDescriptor, _ listener: Int) -> Void = { _, _ in }
  package private(set) var wakes = 0

  private var isDone: () -> Bool = { true }
  private var patienceEnds = Int64.max
  private var registration = Registration.none

  package init() throws(Errno) { loop = try EventLoop(handle: LoopHandle()) }

  /// - Returns: whether `condition` held in time (milliseconds).
  package func run(within patience: Int64 = 5_000, until condition: @escaping () -> Bool) -> Bool {
    registration = loop.register(Ticker())
    defer { loop.unregister(registration) }
    patienceEnds = SystemClock.nanoseconds / 1_000_000 + patience
    isDone = condition
    // A turn at once, and others even when nothing happens.
    loop.scheduleNextTurn(registration)
    loop.run(for: self)
    return condition()
  }

  /// Runs for that many milliseconds.
  package func run(for milliseconds: Int64) { _ = run(within: milliseconds) { false } }

  package func turnEnded() {
    if isDone() || loop.now >= patienceEnds { return loop.stop() }
    loop.setDeadline(min(loop.now + 10, patienceEnds), for: registration)
  }

  package func adopted(_ descriptor: consuming FileDescriptor, from listener: Int) { onAdopted(descriptor, listener) }
  package func woken() { wakes += 1 }
}

/// Makes a loop take a turn; holds neither the loop nor `Turns`.
private final class Ticker: EventHandler {
}
