import Reactor
import Synchronization

/// Accepts connections on the first loop, and hands each to the loop that has the fewest.
///
/// One acceptor, because SO_REUSEPORT and EPOLLEXCLUSIVE spread few connections badly.
final class Acceptor: EventHandler {
  private let listener: Reactor.Listener
  private let loop: EventLoop
  private let targets: [LoopHandle]
  private let connectionsMax: Int
  private let report: @Sendable (String) -> Void
  private var registration = Registration.none

  /// Then other connections get their turn.
  private static let acceptsInOneTurnMax = 64
  /// How long to wait where there is no place, or no descriptor, for one more (milliseconds).
  private static let pauseMilliseconds: Int64 = 50

  init(
    _ listener: Reactor.Listener, loop: EventLoop, targets: [LoopHandle], connectionsMax: Int,
    report: @escaping @Sendable (String) -> Void
  ) {
    self.listener = listener
    self.loop = loop
    self.targets = targets
    self.connectionsMax = connectionsMax
    self.report = report
    registration = loop.register(self)
    watch()
  }

  private func watch() {
    do throws(Errno) {
      try loop.watch(listener.descriptor.number, for: registration, level: .readable)
    } catch {
      report("cannot wait for connections: \(error)")
    }
  }

  func ready(_ readiness: Readiness) {
    for _ in 0..<Self.acceptsInOneTurnMax {
      guard let target = leastBusy else { return pause() }
      do throws(Errno) {
        guard let descriptor = try listener.accept() else { return }
        try target.adopt(descriptor)
      } catch {
        report("cannot accept a connection: \(error)")
        return pause()
      }
    }
  }

  /// The loop with the fewest connections; nil when all places are taken.
  private var leastBusy: LoopHandle? {
    var total = 0
    var least: (handle: LoopHandle, count: Int)?
    for handle in targets {
      let count = handle.connections.load(ordering: .relaxed)
      total += count
      if count < least?.count ?? .max { least = (handle, count) }
    }
    return total < connectionsMax ? least?.handle : nil
  }

  /// Waiting connections stay in the kernel's queue meanwhile.
  private func pause() {
    loop.unwatch(listener.descriptor.number)
    loop.setDeadline(loop.now + Self.pauseMilliseconds, for: registration)
  }

  func deadlinePassed() { watch() }

  func close() {
    loop.unwatch(listener.descriptor.number)
    loop.unregister(registration)
    listener.stop()
  }
}
