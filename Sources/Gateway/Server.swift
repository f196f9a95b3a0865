import Background
import Dispatch
import Foundation
package import Policies
import Reactor
import Synchronization
import Telemetry
import Upstream

/// Why the gateway did not start: one line that names what is at fault and the way out.
package struct StartFault: Error, Sendable, CustomStringConvertible {
  package let description: String
}

/// The running gateway: its loops' threads, its listeners and its log.
package final class Server: Sendable {
  /// The addresses that are listened on, with the ports that the system chose.
  package let addresses: [ListenAddress]
  private let workers: [RunningWorker]
  private let log: AccessLog?
  private let timeouts: GatewayTimeouts
  private let checks: HealthChecks
  private let reporter: Reporter

  /// Binds the listeners and starts the loops; from then on requests are served.
  ///
  /// - Parameter report: told in one line what an operator should know, on any thread.
  package init(_ policy: Policy, report write: @escaping @Sendable (String) -> Void) throws(StartFault) {
    startLibcurl()
    // A loop must not wait for a terminal or a pipe that nobody reads.
    let reporter = Reporter(write)
    self.reporter = reporter
    let report: @Sendable (String) -> Void = { reporter.tell($0) }
    let loops = policy.settings.loops > 0 ? policy.settings.loops : ProcessInfo.processInfo.activeProcessorCount
    let policy = try policy.fitted(toDescriptors: DescriptorLimit.raise(), loops: loops, report: report)
    let gate = ConnectionGate(policy.settings)
    let listeners = try Self.bind(policy.settings.listeners.map(\.address))
    addresses = zip(listeners, policy.settings.listeners).map { ListenAddress($0.localAddress, asked: $1.address) }
    let log = try Self.openLog(policy.settings.accessLog, report)
    timeouts = policy.settings.timeouts
    let workers = try Self.makeWorkers(loops)
    let states = InstanceStates(policy)
    let handles = workers.map(\.loop)
    for (index, worker) in workers.enumerated() {
      worker.start(
        name: "loop-\(index)", policy, states, gate, log, listeners: index == 0 ? listeners : [], sharedBy: handles,
        report: report)
    }
    self.log = log
    self.workers = workers
    checks = HealthChecks(states.beginChecks(policy, report: report))
  }

  /// How many downstream connections each loop holds.
  package var connectionCounts: [Int] { workers.map { $0.loop.connections.load(ordering: .relaxed) } }

  /// Ends in order: no new connections, every exchange to its end, at most for `drain_s`, then the log to its end.
  ///
  /// - Returns: whether all exchanges came to their end.
  package func drain() -> Bool {
    Thread.sleep(forTimeInterval: Double(timeouts.drainDelayMilliseconds) / 1_000)
    for worker in workers { worker.tell(.drain) }
    let deadline = DispatchTime.now() + .milliseconds(timeouts.drainMilliseconds)
    let isDrained = workers.allSatisfy { $0.ended.wait(timeout: deadline) == .success }
    if !isDrained {
      for worker in workers { worker.tell(.stop) }
      Thread.sleep(forTimeInterval: 0.1)
    }
    log?.close()
    reporter.flush(within: 1)
    return isDrained
  }

  private static func bind(_ addresses: [ListenAddress]) throws(StartFault) -> [Reactor.Listener] {
    var listeners: [Reactor.Listener] = []
    for address in addresses {
      do throws(Errno) {
        listeners.append(try Reactor.Listener(address.forReactor))
      } catch {
        let wayOut = error == .addressInUse ? "; end what listens there, or choose another with --listen" : ""
        throw StartFault(description: "cannot listen on \(address): \(error)\(wayOut)")
      }
    }
    return listeners
  }

  private static func openLog(
    _ destination: LogDestination?, _ report: @escaping @Sendable (String) -> Void
  ) throws(StartFault) -> AccessLog? {
    let path: String
    switch destination {
    case nil: return nil
    case .standardOutput: path = "-"
    case .file(let file): path = file
    }
    do throws(LogFileFault) {
      return try AccessLog(path: path, report: report)
    } catch {
      throw StartFault(description: "access_log: \(error)")
    }
  }

  private static func makeWorkers(_ count: Int) throws(StartFault) -> [RunningWorker] {
    do throws(Errno) {
      var workers: [RunningWorker] = []
      for _ in 0..<count { workers.append(RunningWorker(loop: try LoopHandle())) }
      return workers
    } catch {
      throw StartFault(description: "cannot make an event loop: \(error)")
    }
  }
}

/// A worker's thread, seen from outside.
private struct RunningWorker: Sendable {
  let loop: LoopHandle
  let mailbox = Mailbox()
  let ended = DispatchSemaphore(value: 0)

  func start(
    name: String, _ policy: Policy, _ states: InstanceStates, _ gate: ConnectionGate, _ log: AccessLog?,
    listeners: [Reactor.Listener], sharedBy handles: [LoopHandle], report: @escaping @Sendable (String) -> Void
  ) {
    let thread = Thread { [self] in
      do throws(Errno) {
        let worker = try Worker(
          handle: loop, loops: handles.count, policy: policy, states: states, mailbox: mailbox, gate: gate,
          log: log?.makeBuffer(),
          report: report)
        worker.run(listeners, sharedBy: handles)
      } catch {
        report("\(name) cannot start: \(error)")
      }
      ended.signal()
    }
    thread.name = name
    thread.start()
  }

  func tell(_ message: Mailbox.Message) {
    mailbox.post(message)
    loop.wake()
  }
}

extension ListenAddress {
  var forReactor: Reactor.Listener.Address {
    switch self {
    case .ip(let address, let port): .tcp(host: address.description, port: port)
    case .unix(let path): .unix(path: path)
    }
  }

  /// What was bound: as asked, with the port that the system chose for port 0.
  init(_ bound: SocketAddress?, asked: ListenAddress) {
    guard case .ip(let address, _) = asked, let port = bound?.port else {
      self = asked
      return
    }
    self = .ip(address, port: port)
  }
}

/// The schedules of health checks, which end with the server.
private final class HealthChecks: Sendable {
  private let schedules: Mutex<[HealthSchedule]>

  init(_ schedules: sending [HealthSchedule]) { self.schedules = Mutex(schedules) }
}
