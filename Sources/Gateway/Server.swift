import Background
import Dispatch
package import Policies
import Reactor
import SmallServer
import Synchronization
import System
import Telemetry
import Upstream

/// Why the gateway did not start: one line that names what is at fault and the way out.
package struct StartFault: Error, Sendable, CustomStringConvertible {
  package let description: String
}

/// The running gateway: its loops' threads, its listeners, its log and the endpoint for operators.
package final class Server: Sendable {
  /// The addresses that are listened on, with the ports that the system chose.
  package let addresses: [ListenAddress]
  /// Where operators connect; nil: nowhere.
  package let adminAddress: ListenAddress?
  private let workers: [RunningWorker]
  private let log: AccessLog?
  private let state: GatewayState
  private let admin: SiteServer?
  private let audit: AuditLog?
  private let control: Mutex<Control>
  private let reporter: Reporter
  private let accepted: AcceptedKeys?

  /// Binds the listeners and starts the loops; from then on requests are served.
  ///
  /// - Parameters:
  ///   - faults: what is wrong with single files and instances, for the status.
  ///   - stateFolder: where it keeps which keys are in use, for its next start; nil: nowhere.
  ///   - report: told in one line what an operator should know, on any thread.
  package init(
    _ policy: Policy, faults: [String] = [], stateFolder: String? = nil,
    report write: @escaping @Sendable (String) -> Void
  ) throws(StartFault) {
    startLibcurl()
    // A loop must not wait for a terminal or a pipe that nobody reads.
    let reporter = Reporter(write)
    self.reporter = reporter
    let report: @Sendable (String) -> Void = { reporter.tell($0) }
    let loops = policy.settings.loops > 0 ? policy.settings.loops : processorCount
    let policy = try policy.fitted(toDescriptors: DescriptorLimit.raise(), loops: loops, report: report)
    let gate = ConnectionGate(policy.settings)
    let listeners = try Self.bind(policy.settings.listeners)
    addresses = zip(listeners, policy.settings.listeners).map { ListenAddress($0.localAddress, asked: $1.address) }
    let log = try Self.openLog(policy.settings.accessLog, report)
    let audit = try AuditLog(policy.settings, report)
    let workers = try Self.makeWorkers(loops)
    let accepted = stateFolder.map { AcceptedKeys(in: $0, report: report) }
    self.accepted = accepted
    let generation = Generation(policy, following: nil, accepted)
    let handles = workers.map(\.loop)
    let state = GatewayState(
      generation, faults: faults,
      loops: workers.map { GatewayState.Loop(handle: $0.loop, metrics: $0.metrics) }, log: log,
      audit: { audit?.state })
    let admin = try policy.settings.admin.map { settings throws(StartFault) in try Self.startAdmin(settings, state) }
    self.state = state
    self.admin = admin
    adminAddress = admin.flatMap { admin in
      policy.settings.admin.map { ListenAddress(admin.address, asked: $0.address) }
    }
    let failedAddresses = FailedAddresses()
    for (index, worker) in workers.enumerated() {
      worker.start(
        name: "loop-\(index)", generation, gate, log, audit, failedAddresses, listeners: index == 0 ? listeners : [],
        sharedBy: handles, report: report)
    }
    self.log = log
    self.audit = audit
    self.workers = workers
    control = Mutex(Control(generation: generation, checks: generation.states.beginChecks(report: report)))
  }

  /// The number of the policy in force.
  package var generation: Int { control.withLock { $0.generation.number } }

  /// Puts another policy into force: each request from now on is under the whole of it, those under way are not touched.
  ///
  /// - Parameter faults: what is wrong with single files and instances, for the status.
  /// - Returns: the generation, counted from 1 at the start.
  @discardableResult
  package func reload(_ policy: Policy, faults: [String] = []) -> Int {
    control.withLock { control in
      let reporter = reporter
      let report: @Sendable (String) -> Void = { reporter.tell($0) }
      let old = control.generation.policy.settings
      for key in policy.settings.keysThatNeedStart(since: old) {
        report("gateway.json: \(key): the change takes effect at the next start; until then the old value holds")
      }
      var policy = policy
      // What the process was started with, and what was made to fit it.
      policy.settings.limits.connectionsMax = old.limits.connectionsMax
      policy.settings.limits.upstreamConnectionsMax = old.limits.upstreamConnectionsMax
      let generation = Generation(policy, following: control.generation, accepted)
      for worker in workers { worker.tell(.take(generation)) }
      state.took(generation, faults)
      for check in control.checks { check.end() }
      control = Control(
        generation: generation, checks: generation.states.beginChecks(report: report))
      return generation.number
    }
  }

  /// Tells metrics and status that a folder was not valid, and changed nothing.
  ///
  /// - Parameter faults: what is wrong with single files and instances, beside what refuses the whole.
  package func reloadFailed(_ message: String, faults: [String] = []) { state.reloadFailed(message, faults) }

  /// Opens the logs anew, after a rotation has moved their files.
  package func reopenLogs() {
    log?.reopen()
    audit?.reopen()
  }

  /// How many downstream connections each loop holds.
  package var connectionCounts: [Int] { workers.map { $0.loop.connections.load(ordering: .relaxed) } }

  /// Ends in order: from now on each response ends its connection; after `drain_delay_s` no new connections, a last request
  /// on those that are idle, every exchange to its end, at most for `drain_s`; then the log to its end.
  ///
  /// - Returns: whether all exchanges came to their end.
  package func drain() -> Bool {
    state.isDraining.store(true, ordering: .relaxed)
    for worker in workers { worker.tell(.announceDrain) }
    let timeouts = control.withLock { $0.generation.policy.settings.timeouts }
    sleep(milliseconds: timeouts.drainDelayMilliseconds)
    let deadline = DispatchTime.now() + .milliseconds(timeouts.drainMilliseconds)
    // The others may stop only when no more connections are handed to them.
    workers[0].tell(.closeListeners(workers[0].listenersClosed))
    _ = workers[0].listenersClosed.wait(timeout: deadline)
    for worker in workers { worker.tell(.drain) }
    let late = workers.filter { $0.ended.wait(timeout: deadline) != .success }
    for worker in late { worker.tell(.stop) }
    let lastMoment = DispatchTime.now() + .seconds(1)
    let stuck = late.filter { $0.ended.wait(timeout: lastMoment) != .success }
    admin?.stop()
    log?.close()
    // Last of all: what the loops have cut has its outcome, too.
    audit?.close()
    reporter.flush(within: 1)
    // Connections that were idle at the end cost nobody a response.
    return stuck.isEmpty && !late.contains { $0.mailbox.hasCutExchanges.load(ordering: .relaxed) }
  }

  private static func bind(_ settings: [Policies.Listener]) throws(StartFault) -> [Reactor.Listener] {
    var listeners: [Reactor.Listener] = []
    for setting in settings {
      let access = try setting.socketAccess
      do throws(Errno) {
        listeners.append(try Reactor.Listener(setting.address.forReactor(access)))
      } catch {
        throw StartFault(description: "cannot listen on \(setting.address): \(error)\(setting.wayOut(of: error))")
      }
    }
    return listeners
  }

  private static func startAdmin(_ settings: AdminSettings, _ state: GatewayState) throws(StartFault) -> SiteServer {
    let address = settings.address
    guard address.isWithinThisMachine || settings.token != nil else {
      throw StartFault(description: settings.lacksToken)
    }
    do throws(Errno) {
      return try SiteServer(listen: address.forReactor(), name: "admin", bounds: AdminSite.bounds) {
        AdminSite(state, settings)
      }
    } catch {
      throw StartFault(
        description: "cannot listen on \(address) for \"admin\": \(error); choose another address with --admin or in "
          + "gateway.json, or turn it off there with \"admin\": null")
    }
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
  let metrics = LoopMetrics()
  let mailbox = Mailbox()
  let ended = DispatchSemaphore(value: 0)
  /// Of the first worker's; signalled at its end, too.
  let listenersClosed = DispatchSemaphore(value: 0)

  func start(
    name: String, _ generation: Generation, _ gate: ConnectionGate, _ log: AccessLog?, _ audit: AuditLog?,
    _ failedAddresses: FailedAddresses, listeners: [Reactor.Listener], sharedBy handles: [LoopHandle],
    report: @escaping @Sendable (String) -> Void
  ) {
    let first = HandedOver(generation)
    startThread(named: name) { [self] in
      do throws(Errno) {
        let worker = try Worker(
          handle: loop, loops: handles.count, generation: first.take(), mailbox: mailbox, gate: gate,
          log: log?.makeBuffer(), audit: audit.map { AuditPort($0.makeChannel { [loop] in loop.wake() }) },
          metrics: metrics, failedAddresses: failedAddresses, report: report)
        worker.run(listeners, sharedBy: handles)
      } catch {
        report("\(name) cannot start: \(error)")
      }
      listenersClosed.signal()
      ended.signal()
    }
  }

  func tell(_ message: Mailbox.Message) {
    mailbox.post(message)
    loop.wake()
  }
}

extension ListenAddress {
  func forReactor(_ access: SocketAccess = SocketAccess()) -> Reactor.Listener.Address {
    switch self {
    case .ip(let address, let port): .tcp(host: address.description, port: port)
    case .unix(let path): .unix(path: path, access: access)
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

extension Policies.Listener {
  /// Who may connect to a Unix socket, with the number of the group.
  fileprivate var socketAccess: SocketAccess {
    get throws(StartFault) {
      switch group {
      case nil: return SocketAccess(mode: mode)
      case .number(let number): return SocketAccess(mode: mode, group: number)
      case .name(let name):
        guard let number = groupNumber(named: name) else {
          throw StartFault(
            description: "gateway.json: listen: \(address): \"group\": this machine has no group \"\(name)\"; "
              + "make it, or name another one or its number")
        }
        return SocketAccess(mode: mode, group: number)
      }
    }
  }

  fileprivate func wayOut(of error: Errno) -> String {
    if error == .addressInUse { return "; end what listens there, or choose another with --listen" }
    guard error == Errno.notPermitted, let group else { return "" }
    let name =
      switch group {
      case .name(let name): "\"\(name)\""
      case .number(let number): "\(number)"
      }
    return "; the gateway's user must belong to the \"group\" \(name) of gateway.json"
  }
}

/// What is in force now.
private struct Control {
  var generation: Generation
  /// Go on as long as they are held.
  var checks: [HealthSchedule]
}

extension GatewaySettings {
  /// The keys whose new values a running process cannot take.
  fileprivate func keysThatNeedStart(since old: GatewaySettings) -> [String] {
    [
      ("listen", listeners == old.listeners), ("loops", loops == old.loops), ("access_log", accessLog == old.accessLog),
      ("admin", admin == old.admin),
      ("audit_log", auditLog == old.auditLog), ("audit_key", auditKey?.reveal() == old.auditKey?.reveal()),
      ("limits.connections_per_address", limits.connectionsPerAddressMax == old.limits.connectionsPerAddressMax),
      ("trusted_proxies", trustedProxies == old.trustedProxies),
      ("limits.connections", !limits.statesConnections || limits.connectionsMax == old.limits.connectionsMax),
      (
        "limits.upstream_connections",
        !limits.statesUpstreamConnections || limits.upstreamConnectionsMax == old.limits.upstreamConnectionsMax
      ),
    ].filter { !$0.1 }.map(\.0)
  }
}
