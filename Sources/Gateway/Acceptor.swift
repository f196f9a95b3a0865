import Counters
import Policies
import Reactor
import Synchronization
import System

/// Accepts connections on the first loop, and hands each to the loop that has the fewest.
///
/// One acceptor, because SO_REUSEPORT and EPOLLEXCLUSIVE spread few connections badly.
final class Acceptor: EventHandler {
  private let listener: Reactor.Listener
  /// The listener's index, in the order of the settings.
  private let index: Int
  private let worker: Worker
  private var loop: EventLoop { worker.loop }
  private let targets: [LoopHandle]
  private let gate: ConnectionGate
  private let report: @Sendable (String) -> Void
  private var registration = Registration.none
  private var reportDue: Int64 = 0

  /// Then other connections get their turn.
  private static let acceptsInOneTurnMax = 64
  /// More than can wait; reached only where connections keep coming.
  private static let acceptsAtTheEndMax = 2 * Int(Reactor.Listener.backlog)
  /// How long to wait where the system gives no more connections (milliseconds).
  private static let pauseMilliseconds: Int64 = 50
  private static let reportMilliseconds: Int64 = 10_000

  init(
    _ listener: Reactor.Listener, index: Int, worker: Worker, targets: [LoopHandle], gate: ConnectionGate,
    report: @escaping @Sendable (String) -> Void
  ) {
    self.listener = listener
    self.index = index
    self.worker = worker
    self.targets = targets
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
        tell("cannot accept a connection: \(error)")
        return pause()
      }
    }
  }

  private func handOver(_ descriptor: consuming FileDescriptor, from peer: PeerAddress) throws(Errno) {
    let number = descriptor.number
    let (target, count) = leastBusy
    if let refusal = gate.admit(number, from: peer, beside: count) {
      tell("refusing connections: \(refusal.message)")
      return worker.refuse(descriptor, from: peer, refusal)
    }
    worker.metrics.accepted.add()
    // What stays here needs no epoll entry that another thread could make.
    guard target !== loop.handle else {
      target.connections.add(1, ordering: .relaxed)
      return worker.take(descriptor, from: peer, index)
    }
    do throws(Errno) {
      try target.adopt(descriptor, from: index)
    } catch {
      gate.left(number)
      throw error
    }
  }

  /// The loop with the fewest connections, and how many all of them have.
  private var leastBusy: (handle: LoopHandle, total: Int) {
    var least = targets[0]
    var fewest = Int.max
    var total = 0
    for handle in targets {
      let count = handle.connections.load(ordering: .relaxed)
      total += count
      if count < fewest { (least, fewest) = (handle, count) }
    }
    return (least, total)
  }

  /// Waiting connections stay in the kernel's queue meanwhile.
  private func pause() {
    loop.unwatch(listener.descriptor.number)
    loop.setDeadline(loop.now + Self.pauseMilliseconds, for: registration)
  }

  override func deadlinePassed() { watch() }

  /// Says so to the operator, and not again for a while: there may be thousands a second.
  private func tell(_ line: String) {
    guard loop.now >= reportDue else { return }
    reportDue = loop.now + Self.reportMilliseconds
    report(line)
  }

  /// Refuses connections from now on. Those that the kernel has completed are accepted first: their clients may have
  /// sent a request already, and closing the listener would reset them.
  func close() {
    listener.endQueue()
    var peer: SocketAddress?
    for _ in 0..<Self.acceptsAtTheEndMax {
      do throws(Errno) {
        guard let descriptor = try listener.accept(from: &peer) else { break }
        try handOver(descriptor, from: PeerAddress(peer))
      } catch {
        tell("cannot accept a connection: \(error)")
        break
      }
    }
    loop.unwatch(listener.descriptor.number)
    loop.unregister(registration)
    listener.stop()
  }
}
