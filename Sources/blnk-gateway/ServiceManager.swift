import Gateway
import Synchronization
import System

/// The service manager that started this process, such as systemd; without one, all notifications are dropped.
final class ServiceManager: Sendable {
  /// Sockets that it opened for the gateway.
  let sockets: InheritedSockets
  /// What an older process of the gateway hands over to this one; nil: it was not started for that.
  let handover: Handover?
  /// For a successor of this process.
  let variablesForSuccessor: [String: String]
  private let notifier: ServiceNotifier?
  private let watchdog: WatchdogTimeout?
  private let log: @Sendable (String) -> Void
  private let hasFailed = Atomic<Bool>(false)

  /// Reads and removes its environment variables. Call it before other threads start and descriptors are opened.
  ///
  /// The gateway can serve without notifications, but not without a socket that clients connect to.
  static func fromEnvironment(log: @escaping @Sendable (String) -> Void) throws(CommandFault) -> ServiceManager {
    let environment = ServiceEnvironment.take()
    var notifier: ServiceNotifier?
    var watchdog: WatchdogTimeout?
    do throws(ServiceEnvironmentFault) { notifier = try environment.notifier() } catch {
      log("\(error); the service manager is not notified")
    }
    do throws(ServiceEnvironmentFault) { watchdog = try environment.watchdog() } catch {
      log("\(error); the watchdog is not fed")
    }
    do throws(ServiceEnvironmentFault) {
      let handover = try environment.handover()
      let sockets = if let handover { handover.sockets } else { try environment.inheritedSockets() }
      return ServiceManager(sockets, handover, environment.variablesForSuccessor, notifier, watchdog, log: log)
    } catch {
      throw .failed("\(error)")
    }
  }

  private init(
    _ sockets: InheritedSockets, _ handover: Handover?, _ variablesForSuccessor: [String: String],
    _ notifier: ServiceNotifier?, _ watchdog: WatchdogTimeout?,
    log: @escaping @Sendable (String) -> Void
  ) {
    self.sockets = sockets
    self.handover = handover
    self.variablesForSuccessor = variablesForSuccessor
    self.notifier = notifier
    self.watchdog = watchdog
    self.log = log
  }

  /// The gateway serves: after its start, and after each reload, even if that was refused.
  func notifyReady(_ server: Server) { send(.ready, .status(server.statusLine)) }

  func notifyReloading() { send(.reloading(monotonicMicroseconds: SystemClock.nanoseconds / 1_000)) }

  /// Another process serves now, and the manager supervises it from now on.
  func notifyReplaced(by process: Int32) { send(.mainProcess(process)) }

  /// A drain begins. Asks for as much time as it may take.
  func notifyStopping(_ server: Server) {
    let milliseconds = server.drainMillisecondsMax
    send(
      .stopping, .extendTimeout(microseconds: Int64(milliseconds) * 1_000),
      .status("draining: for at most \(milliseconds / 1_000) s"))
  }

  /// Starts a thread that sends a sign of life as long as all loops make turns, if the manager has a watchdog.
  func startWatchdog(_ server: Server) {
    guard notifier != nil, let watchdog else { return }
    startThread(named: "watchdog") { [self] in
      let interval = watchdog.intervalMilliseconds
      while true {
        let start = SystemClock.milliseconds
        // A loop that answers late still gets a sign of life, at once: the manager's own limit is twice the interval.
        if server.loopsTurn(withinMilliseconds: interval) { send(.alive) }
        sleep(milliseconds: Int(clamping: max(0, start + Int64(interval) - SystemClock.milliseconds)))
      }
    }
  }

  /// Reports only the first failure: the manager, or its timeout, shows the others.
  private func send(_ notifications: ServiceNotifier.Notification...) {
    guard let notifier else { return }
    do throws(Errno) {
      try notifier.send(notifications)
    } catch {
      guard !hasFailed.exchange(true, ordering: .relaxed) else { return }
      log(
        "cannot notify the service manager at $NOTIFY_SOCKET (\"\(notifier.address)\"): \(error); unset the variable if "
          + "none is there")
    }
  }
}
