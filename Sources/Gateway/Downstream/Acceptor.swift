import Counters
import Policies
import Reactor
import Synchronization
import System

/// Accepts connections on the first loop, and hands each to the loop with the fewest connections.
///
/// There is one acceptor per listener, because SO_REUSEPORT and EPOLLEXCLUSIVE distribute small numbers of
/// connections unevenly.
final class Acceptor: EventHandler {
  private let listener: Reactor.Listener
  /// The listener's index, in the order of the settings.
  private let index: Int
  private let worker: Worker
  private var loop: EventLoop { worker.loop }
  private let loops: [LoopHandle]
  private let gate: ConnectionGate
  private let report: @Sendable (String) -> Void
  private var registration = Registration.none
  private var reportDue: Int64 = 0

  /// Limits the accepts per turn, so that open connections are served too.
  private static let acceptsInOneTurnMax = 64
  /// More than the backlog holds; reached only if connections keep arriving.
  private static let acceptsAtCloseMax = 2 * Int(Reactor.Listener.backlog)
  /// How long to wait after a failed accept (milliseconds).
  private static let pauseMilliseconds: Int64 = 50
  private static let reportMilliseconds: Int64 = 10_000

  init(
    _ listener: Reactor.Listener, index: Int, worker: Worker, loops: [LoopHandle], gate: ConnectionGate,
    report: @escaping @Sendable (String) -> Void
  ) {
    self.listener = listener
    self.index = index
    self.worker = worker
    self.loops = loops
    self.gate = gate
    self.report = report
    super.init()
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

  override func ready(_ readiness: Readiness) {
    var peer: SocketAddress?
    for _ in 0..<Self.acceptsInOneTurnMax {
      do throws(Errno) {
        guard let descriptor = try listener.accept(from: &peer) else { return }
        try handOver(descriptor, from: PeerAddress(peer))
      } catch {
        reportRarely("cannot accept a connection: \(error)")
        return pause()
      }
    }
  }

  private func handOver(_ descriptor: consuming FileDescriptor, from peer: PeerAddress) throws(Errno) {
    let number = descriptor.number
    let (least, openCount) = leastBusy
    if let refusal = gate.admit(
      number, from: peer, openCount: openCount, exempting: worker.snapshot.policy.settings.trustedProxies)
    {
      reportRarely("refusing connections: \(refusal.message)")
      return worker.refuse(descriptor, from: peer, refusal)
    }
    worker.metrics.accepted.add()
    // On this loop there is no need to pass the descriptor through epoll.
    guard least !== loop.handle else {
      least.connections.add(1, ordering: .relaxed)
      return worker.take(descriptor, from: peer, index)
    }
    do throws(Errno) {
      try least.adopt(descriptor, from: index)
    } catch {
      gate.release(number)
      throw error
    }
  }

  /// The loop with the fewest connections, and the connections of all loops.
  private var leastBusy: (handle: LoopHandle, total: Int) {
    var least = loops[0]
    var fewest = Int.max
    var total = 0
    for handle in loops {
      let count = handle.connections.load(ordering: .relaxed)
      total += count
      if count < fewest { (least, fewest) = (handle, count) }
    }
    return (least, total)
  }

  /// Stops accepting for a while. Connections stay in the kernel's queue.
  private func pause() {
    loop.unwatch(listener.descriptor.number)
    loop.setDeadline(loop.now + Self.pauseMilliseconds, for: registration)
  }

  override func deadlinePassed() { watch() }

  /// Reports to the operator, at most once in `reportMilliseconds`: there may be thousands of events a second.
  private func reportRarely(_ line: String) {
    guard loop.now >= reportDue else { return }
    reportDue = loop.now + Self.reportMilliseconds
    report(line)
  }

  /// Closes the listener. It first accepts the connections that the kernel has completed: their peers may have sent a
  /// request already, and closing the listener would reset them.
  func close() {
    listener.closeQueue()
    var peer: SocketAddress?
    for _ in 0..<Self.acceptsAtCloseMax {
      do throws(Errno) {
        guard let descriptor = try listener.accept(from: &peer) else { break }
        try handOver(descriptor, from: PeerAddress(peer))
      } catch {
        reportRarely("cannot accept a connection: \(error)")
        break
      }
    }
    loop.unwatch(listener.descriptor.number)
    loop.unregister(registration)
    listener.stop()
  }
}
