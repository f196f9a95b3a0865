import Audit
import Background
import Dispatch
import Journal
package import Policies
import Reactor
import SmallServer
import Synchronization
package import System
import Telemetry
import Upstream

/// Why the gateway did not start: one line that names the cause and the remedy.
package struct StartFault: Error, Sendable, CustomStringConvertible {
  package let description: String
}

/// Why a policy was not put into force: one line that names the cause.
package struct ReloadFault: Error, Sendable, CustomStringConvertible {
  package let description: String
}

/// The running gateway: the threads of its loops, its listeners, its logs and the admin endpoint.
package final class Server: Sendable {
  /// The listening addresses, with the ports that the system chose.
  package let addresses: [ListenAddress]
  /// The address of the admin endpoint; nil: it is off.
  package let adminAddress: ListenAddress?
  private let workers: [RunningWorker]
  private let log: AccessLog?
  private let state: GatewayState
  private let admin: SmallHTTPServer?
  private let listeners: [Reactor.Listener]
  private let adminListener: Reactor.Listener?
  private let journal: Journal?
  private let audit: AuditLog?
  private let reloads: ReloadAudit?
  private let control: Mutex<Control>
  private let reporter: Reporter
  private let grants: GrantRegistry
  private let introspection: IntrospectionService
  private let accepted: AcceptedKeys?
  private let burst = Mutex<BurstMemory>(BurstMemory(residentBytes: residentHeapBytes))

  /// Binds the listeners and starts the loops. The gateway then serves requests.
  ///
  /// - Parameters:
  ///   - faults: the faults of individual files and instances, for `/status`.
  ///   - stateFolder: keeps the keys in use for the next start; nil: they are not kept.
  ///   - inherited: listening sockets that replace those of the addresses that they are bound to.
  ///   - handover: of the process that this one replaces; nil: there is none.
  ///   - report: receives single lines for the operator, on any thread.
  package init(
    _ policy: Policy, faults: [String] = [], stateFolder: String? = nil,
    inheriting inherited: InheritedSockets = InheritedSockets(), handover: Handover? = nil,
    report write: @escaping @Sendable (String) -> Void
  ) throws(StartFault) {
    startLibcurl()
    // A loop must not block on a terminal or on a pipe without a reader.
    let reporter = Reporter(write)
    self.reporter = reporter
    let report: @Sendable (String) -> Void = { reporter.report($0) }
    let loops = policy.settings.loops > 0 ? policy.settings.loops : processorCount
    let policy = try policy.fitted(toDescriptors: DescriptorLimit.raise(), loops: loops, report: report)
    let gate = ConnectionGate(policy.settings)
    let inherited = try InheritedListeners(inherited, policy.settings)
    let listeners = try Self.bind(policy.settings.listeners, inherited)
    inherited.report(policy.settings, to: report)
    addresses = zip(listeners, policy.settings.listeners).map { ListenAddress($0.localAddress, asked: $1.address) }
    let log = try Self.openLog(policy.settings.accessLog, report)
    let audit = try AuditLog(policy.settings, report)
    let journal = try Journal(policy.settings, handover, report)
    let workers = try Self.makeWorkers(loops)
    let grants = GrantRegistry(
      announce: { change in for worker in workers { worker.post(.revocations(change)) } },
      report: report)
    let unread = grants.apply(policy.settings.oauth)
    guard unread.isEmpty else {
      throw StartFault(
        description: unread.joined(separator: "; ")
          + "; without it, revoked tokens would be accepted: repair the folder of \"oauth.revocations\" first")
    }
    let accepted = stateFolder.map { AcceptedKeys(in: $0, report: report) }
    self.accepted = accepted
    let generation = Generation(policy, following: nil, accepted)
    let handles = workers.map(\.loop)
    let state = GatewayState(
      generation, faults: faults,
      loops: workers.map { GatewayState.Loop(handle: $0.loop, metrics: $0.metrics) }, log: log, journal: journal,
      auditLog: audit, predecessor: handover == nil ? nil : parentProcess, revokedGrants: { grants.revokedCount },
      audit: { audit?.state })
    let adminListener = try policy.settings.admin.map { settings throws(StartFault) in
      try Self.bindAdmin(settings, inherited.admin)
    }
    var admin: SmallHTTPServer?
    if let settings = policy.settings.admin, let adminListener {
      admin = try Self.startAdmin(settings, adminListener, state)
    }
    self.listeners = listeners
    self.adminListener = adminListener
    self.state = state
    self.admin = admin
    adminAddress = admin.flatMap { admin in
      policy.settings.admin.map { ListenAddress(admin.address, asked: $0.address) }
    }
    let failedAddresses = FailedAddresses()
    let reconciler = journal.map { Reconciler($0, state.records) { state.policyInForce.generation } }
    self.grants = grants
    introspection = state.introspection
    for (index, worker) in workers.enumerated() {
      worker.start(
        name: "loop-\(index)", generation, gate, log, journal, reconciler, audit, grants, state, failedAddresses,
        listeners: index == 0 ? listeners : [],
        sharedBy: handles, report: report)
    }
    self.log = log
    self.journal = journal
    self.audit = audit
    reloads = audit.map { audit in ReloadAudit(audit, report: report) }
    self.workers = workers
    control = Mutex(Control(generation: generation, checks: generation.states.beginChecks(report: report)))
  }

  /// The number of the policy in force.
  package var generation: Int { control.withLock { $0.generation.number } }

  /// Puts another policy into force. A request whose first byte has not been sent to Core is admitted again under the new
  /// policy; others in flight finish under the old one.
  ///
  /// Throws, and leaves everything as it is, if what was revoked in another folder cannot be read.
  ///
  /// - Parameters:
  ///   - faults: the faults of individual files and instances, for `/status`.
  ///   - folder: where the policy was read, for the audit log.
  /// - Returns: the number of the new generation; the first one is 1.
  @discardableResult
  package func reload(
    _ policy: Policy, faults: [String] = [], from folder: String? = nil
  ) throws(ReloadFault) -> Int {
    try control.withLock { control throws(ReloadFault) in
      let unread = grants.apply(policy.settings.oauth)
      guard unread.isEmpty else { throw ReloadFault(description: unread.joined(separator: "; ")) }
      let reporter = reporter
      let report: @Sendable (String) -> Void = { reporter.report($0) }
      let old = control.generation.policy.settings
      for key in policy.settings.keysThatNeedRestart(since: old) {
        report(
          "gateway.json: \(key): the change takes effect at the next start; the old value stays in force until then")
      }
      var policy = policy
      // These stay as they were at start, when they were fitted to the descriptors.
      policy.settings.limits.connectionsMax = old.limits.connectionsMax
      policy.settings.limits.upstreamConnectionsMax = old.limits.upstreamConnectionsMax
      policy.settings.keepJournal(of: old)
      if let settings = policy.settings.idempotency { journal?.apply(JournalSettings(settings)) }
      introspection.apply(policy)
      let generation = Generation(policy, following: control.generation, accepted)
      for worker in workers { worker.post(.install(generation)) }
      state.installed(generation, faults)
      for check in control.checks { check.end() }
      reloads?.record(generation: generation.number, from: control.generation.policy, to: policy, in: folder)
      control = Control(
        generation: generation, checks: generation.states.beginChecks(report: report))
      return generation.number
    }
  }

  /// Records in metrics and status that a policy folder was invalid and changed nothing.
  ///
  /// - Parameter faults: the faults of individual files and instances, besides `message`.
  package func reloadFailed(_ message: String, faults: [String] = []) { state.reloadFailed(message, faults) }

  /// Reopens the logs, after a rotation has moved their files.
  package func reopenLogs() {
    log?.reopen()
    audit?.reopen()
  }

  private static let releaseMillisecondsMax = 1_000

  /// Returns the memory that a burst of requests has left behind to the system, if the gateway was nearly idle since the
  /// last call. Call it every few seconds.
  package func releaseBurstMemory() {
    guard let bytes = residentHeapBytes else { return }
    let isDue = burst.withLock { burst in
      burst.isReleaseDue(
        residentBytes: bytes, now: SystemClock.nanoseconds, processorNanoseconds: processorNanoseconds)
    }
    guard isDue else { return }
    let released = DispatchSemaphore(value: 0)
    for worker in workers { worker.post(.releaseUnused(released)) }
    let deadline = DispatchTime.now() + .milliseconds(Self.releaseMillisecondsMax)
    for _ in workers { _ = released.wait(timeout: deadline) }
    releaseFreedMemory()
    burst.withLock { $0.released(residentBytes: residentHeapBytes ?? bytes) }
  }

  /// Whether every loop makes a turn within this time, except those that a drain has ended. Reports the first that does
  /// not.
  ///
  /// Call it on one thread only.
  package func loopsTurn(withinMilliseconds milliseconds: Int) -> Bool {
    let deadline = DispatchTime.now() + .milliseconds(milliseconds)
    for worker in workers { worker.askForTurn() }
    guard let stuck = workers.firstIndex(where: { !$0.proof.isAnswered(by: deadline) }) else { return true }
    reporter.report(
      "watchdog: loop-\(stuck) has made no turn for \(milliseconds) ms; the service manager gets no sign of life until it "
        + "makes one")
    return false
  }

  /// One line for the service manager: what is in force, and what is wrong.
  package var statusLine: String { state.statusLine }

  /// The longest time that `drain` takes (milliseconds).
  package var drainMillisecondsMax: Int {
    let timeouts = control.withLock { $0.generation.policy.settings.timeouts }
    return timeouts.drainDelayMilliseconds + timeouts.drainMilliseconds + Self.closingMillisecondsMax
  }

  /// A transfer notices within a second that it has to end.
  private static let transferEndMilliseconds = 1_500

  /// For cutting exchanges, and for closing the logs.
  private static let closingMillisecondsMax = 5_000

  /// The number of downstream connections of each loop.
  package var connectionCounts: [Int] { workers.map { $0.loop.connections.load(ordering: .relaxed) } }

  /// The listening sockets, with the names by which a successor of this process knows them.
  package var socketsForSuccessor: [(name: String, number: Int32)] {
    let proxies = listeners.map { listener in
      (listener.isOwn ? InheritedListeners.ownProxy : "proxy", listener.descriptor.number)
    }
    let admins = [adminListener].compactMap(\.self).map { listener in
      (listener.isOwn ? InheritedListeners.ownAdmin : "admin", listener.descriptor.number)
    }
    return proxies + admins
  }

  /// The descriptor of the lock of the journal of idempotency keys, for a successor; nil: there is no journal.
  package var journalLockForSuccessor: Int32? { journal?.lockNumber }

  /// Whether the process that has handed over its journal to this one is running. Until it has ended, this one cannot.
  package var hasPredecessor: Bool { journal?.hasPredecessor ?? false }

  /// Leaves new idempotency keys to a successor, which gets these bytes: the keys in flight. Nil: the journal cannot be
  /// handed over.
  package func handOverKeys() -> [UInt8]? {
    guard let keys = journal?.handOver() else { return nil }
    reporter.report("upgrade: handed over the journal of idempotency keys; keys in flight: \(keys.count)")
    return keys.bytes
  }

  /// Takes idempotency keys again, after a successor has ended instead of serving.
  package func takeKeysBack() {
    guard let journal, !journal.takeBack() else { return }
    reporter.report(
      "idempotency: the process that did not take over may have used new keys: this one rejects writes with a new key "
        + "with 503 until the gateway is upgraded or restarted")
  }

  /// The older process has left its sockets to this one.
  package func takeOver() {
    for listener in listeners { listener.takeOver() }
    adminListener?.takeOver()
    journal?.takeOver()
    grants.tookOver(now: UnixSeconds.now.rawValue)
  }

  /// Leaves the listening sockets to a successor that serves them already, and shuts down as `drain` does.
  package func handOver() -> Bool {
    for listener in listeners { listener.handOver() }
    adminListener?.handOver()
    state.isHandedOver.store(true, ordering: .relaxed)
    // Before `retire`, so that viewers of the status page leave for the successor.
    state.isDraining.store(true, ordering: .relaxed)
    admin?.retire()
    return drain(afterMilliseconds: 0)
  }

  /// Shuts down in order.
  ///
  /// From now on each response ends its connection. After `drain_delay_s` the listeners close, idle connections may
  /// serve one last request, and exchanges have `drain_s` to complete. Then the logs are flushed and closed.
  ///
  /// - Returns: whether all exchanges completed.
  package func drain() -> Bool {
    drain(afterMilliseconds: control.withLock { $0.generation.policy.settings.timeouts.drainDelayMilliseconds })
  }

  private func drain(afterMilliseconds delay: Int) -> Bool {
    state.isDraining.store(true, ordering: .relaxed)
    for worker in workers { worker.post(.announceDrain) }
    let timeouts = control.withLock { $0.generation.policy.settings.timeouts }
    sleep(milliseconds: delay)
    let deadline = DispatchTime.now() + .milliseconds(timeouts.drainMilliseconds)
    // The other loops may stop only once no more connections are handed to them.
    workers[0].post(.closeListeners(workers[0].listenersClosed))
    _ = workers[0].listenersClosed.wait(timeout: deadline)
    for worker in workers { worker.post(.drain) }
    let late = workers.filter { $0.ended.wait(timeout: deadline) != .success }
    for worker in late { worker.post(.stop) }
    let lastMoment = DispatchTime.now() + .seconds(1)
    let stuck = late.filter { $0.ended.wait(timeout: lastMoment) != .success }
    admin?.stop()
    control.withLock { control in
      for check in control.checks { check.end() }
      control.generation.transfers.stop(withinMilliseconds: Self.transferEndMilliseconds)
    }
    log?.close()
    grants.stop()
    // Last: cut exchanges also write their outcomes.
    journal?.close()
    reloads?.finish(withinSeconds: 1)
    audit?.close()
    reporter.flush(within: 1)
    // A late loop is a failure only if it has cut an exchange; idle connections do not count.
    return stuck.isEmpty && !late.contains { $0.mailbox.hasCutExchanges.load(ordering: .relaxed) }
  }

  private static func bind(
    _ settings: [Policies.Listener], _ inherited: InheritedListeners
  ) throws(StartFault) -> [Reactor.Listener] {
    var listeners: [Reactor.Listener] = []
    for setting in settings {
      if let listener = inherited.proxy[setting.address] {
        listeners.append(listener)
        continue
      }
      let access = try setting.socketAccess
      do throws(Errno) {
        listeners.append(try Reactor.Listener(setting.address.forReactor(access)))
      } catch {
        throw StartFault(description: "cannot listen on \(setting.address): \(error)\(setting.remedy(for: error))")
      }
    }
    return listeners
  }

  private static func bindAdmin(
    _ settings: AdminSettings, _ inherited: Reactor.Listener?
  ) throws(StartFault) -> Reactor.Listener {
    let address = settings.address
    guard address.isLocal || settings.token != nil else {
      throw StartFault(description: settings.missingTokenMessage)
    }
    if let inherited { return inherited }
    do throws(Errno) {
      return try Reactor.Listener(address.forReactor())
    } catch {
      throw StartFault(
        description: "cannot listen on \(address) for \"admin\": \(error); choose another address with --admin or in "
          + "gateway.json, or turn it off there with \"admin\": null")
    }
  }

  private static func startAdmin(
    _ settings: AdminSettings, _ listener: Reactor.Listener, _ state: GatewayState
  ) throws(StartFault) -> SmallHTTPServer {
    do throws(Errno) {
      return try SmallHTTPServer(on: listener, name: "admin", bounds: AdminHandler.bounds) {
        AdminHandler(state, settings)
      }
    } catch {
      throw StartFault(description: "cannot make the admin endpoint's event loop: \(error)")
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

/// The generation in force, and its health checks.
private struct Control {
  var generation: Generation
  /// They run as long as they are retained.
  var checks: [HealthSchedule]
}
