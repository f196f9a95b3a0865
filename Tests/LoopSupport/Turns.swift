package import Reactor
package import System

/// Lets a loop take turns on the test's own thread until something has come about.
///
/// Server and client then live on one thread, and nothing happens but what the test does.
package final class Turns: EventLoopDelegate {
  package let loop: EventLoop
  /// Told of each descriptor that another thread hands over.
  package var onAdopted: (consuming FileDescriptor, _ listener: Int) -> Void = { _, _ in }
  package private(set) var wakes = 0

  private var isDone: () -> Bool = { true }
  private var patienceEnds = Int64.max
  private var registration = Registration.none

  package init() throws(Errno) { loop = try EventLoop(handle: LoopHandle()) }

  /// - Returns: whether `condition` held within the patience (milliseconds).
  package func run(within patience: Int64 = 5_000, until condition: @escaping () -> Bool) -> Bool {
    registration = loop.register(Ticker())
    defer { loop.unregister(registration) }
    patienceEnds = MonotonicClock.nanoseconds / 1_000_000 + patience
    isDone = condition
    // A turn at once, and others even when nothing happens.
    loop.again(registration)
    loop.run(for: self)
    return condition()
  }

  /// Takes turns for a while (milliseconds).
  package func run(for milliseconds: Int64) { _ = run(within: milliseconds) { false } }

  package func turnEnded() {
    if isDone() || loop.now >= patienceEnds { return loop.stop() }
    loop.setDeadline(min(loop.now + 10, patienceEnds), for: registration)
  }

  package func adopted(_ descriptor: consuming FileDescriptor, from listener: Int) { onAdopted(descriptor, listener) }
  package func woken() { wakes += 1 }
}

/// Has a loop take a turn; it holds neither the loop nor what runs it.
private final class Ticker: EventHandler {
}
