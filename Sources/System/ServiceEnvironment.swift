import Glibc

/// What a service manager such as systemd passes to a service in environment variables (systemd.exec(5)).
///
/// The variables are for one process only, so `take` removes them: child processes do not inherit them.
package struct ServiceEnvironment: Sendable {
  private static let names = [
    "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDNAMES",
    Successor.variable,
  ]

  private let values: [String: String]
  private let process: Int32

  /// - Parameter process: the ID of this process.
  package init(_ values: [String: String], process: Int32 = getpid()) {
    self.values = values
    self.process = process
  }

  /// Moves the variables out of the environment. Call it before other threads start, which may read the environment.
  package static func take() -> ServiceEnvironment {
    var values: [String: String] = [:]
    for name in names {
      if let value = unsafe getenv(name) { values[name] = unsafe String(cString: value) }
      unsafe unsetenv(name)
    }
    return ServiceEnvironment(values)
  }

  /// The manager's socket for notifications; nil if there is none.
  package func notifier() throws(ServiceEnvironmentFault) -> ServiceNotifier? {
    guard let address = values["NOTIFY_SOCKET"] else { return nil }
    guard let notifier = ServiceNotifier(address: address) else {
      throw fault("NOTIFY_SOCKET", "must be \"/path\" or \"@name\" of at most \(ServiceNotifier.addressBytesMax) bytes")
    }
    return notifier
  }

  /// The watchdog of this process; nil if there is none (sd_watchdog_enabled(3)).
  package func watchdog() throws(ServiceEnvironmentFault) -> WatchdogTimeout? {
    guard let text = values["WATCHDOG_USEC"], try isForThisProcess("WATCHDOG_PID") else { return nil }
    guard let microseconds = Int64(text), microseconds > 0 else {
      throw fault("WATCHDOG_USEC", "must be a number of microseconds; set WatchdogSec= in the unit instead")
    }
    return WatchdogTimeout(microseconds: microseconds)
  }

  /// The sockets passed to this process, now close-on-exec (sd_listen_fds(3)).
  package func inheritedSockets() throws(ServiceEnvironmentFault) -> InheritedSockets {
    guard let text = values["LISTEN_FDS"], values["LISTEN_PID"] != nil, try isForThisProcess("LISTEN_PID") else {
      return InheritedSockets()
    }
    guard let count = Int32(text), (0...Self.socketsMax).contains(count) else {
      throw fault("LISTEN_FDS", "must be a number of descriptors, at most \(Self.socketsMax)")
    }
    guard count > 0 else { return InheritedSockets() }
    let names = try socketNames(count: Int(count))
    let numbers = Self.firstSocket..<Self.firstSocket + count
    for number in numbers {
      guard fcntl(number, F_SETFD, FD_CLOEXEC) == 0 else {
        throw fault(
          "LISTEN_FDS",
          "counts descriptor \(number), which is not open; start the gateway without a program that closes descriptors")
      }
    }
    return InheritedSockets(
      zip(numbers, names).map { number, name in InheritedSocket(FileDescriptor(owning: number), name: name) })
  }

  /// What this process takes over from an older one of the same program; nil: nothing.
  package func handover() throws(ServiceEnvironmentFault) -> Handover? {
    guard let text = values[Successor.variable] else { return nil }
    let names = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard names.last == Successor.pipeName, names.count <= Self.socketsMax else {
      throw fault(Successor.variable, "is set by a gateway for its successor only; unset it")
    }
    let numbers = Self.firstSocket..<Self.firstSocket + Int32(names.count)
    for number in numbers {
      guard fcntl(number, F_SETFD, FD_CLOEXEC) == 0 else {
        throw fault(Successor.variable, "names descriptor \(number), which is not open; unset it")
      }
    }
    var passed = zip(numbers, names).map { number, name in
      InheritedSocket(FileDescriptor(owning: number), name: name)
    }
    let pipe = passed.removeLast()
    guard let lock = passed.first(where: { $0.name == Successor.lockName }) else {
      return Handover(sockets: InheritedSockets(passed), journal: nil, pipe: pipe)
    }
    guard let keys = passed.first(where: { $0.name == Successor.keysName }) else {
      throw fault(Successor.variable, "names \(Successor.lockName) without \(Successor.keysName); unset it")
    }
    passed.removeAll { $0 === lock || $0 === keys }
    return Handover(
      sockets: InheritedSockets(passed), journal: InheritedJournal(lock: lock, keys: keys, pipe: pipe), pipe: pipe)
  }

  /// The variables of the service manager that also apply to a successor of this process.
  package var variablesForSuccessor: [String: String] {
    values.filter { name, _ in name == "NOTIFY_SOCKET" || name == "WATCHDOG_USEC" }
  }

  private static let firstSocket: Int32 = 3
  private static let socketsMax: Int32 = 64
  /// The name of sockets whose sender names none.
  package static let unknownName = "unknown"

  private func socketNames(count: Int) throws(ServiceEnvironmentFault) -> [String] {
    guard let text = values["LISTEN_FDNAMES"] else { return Array(repeating: Self.unknownName, count: count) }
    let names = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard names.count == count else {
      throw fault(
        "LISTEN_FDNAMES", "has \(names.count) names for \(count) descriptors; name each socket with FileDescriptorName="
      )
    }
    return names
  }

  /// Whether the process that a variable names is this one; true without the variable.
  private func isForThisProcess(_ name: String) throws(ServiceEnvironmentFault) -> Bool {
    guard let text = values[name] else { return true }
    guard let identifier = Int32(text), identifier > 0 else { throw fault(name, "must be the ID of a process") }
    return identifier == process
  }

  private func fault(_ name: String, _ message: String) -> ServiceEnvironmentFault {
    ServiceEnvironmentFault(description: "$\(name) (\"\(oneLine(values[name] ?? "", byteCountMax: 128))\") \(message)")
  }
}

/// What a process takes over from an older one of the same program.
package struct Handover: Sendable {
  package let sockets: InheritedSockets
  /// Nil: the older process has no journal of idempotency keys.
  package let journal: InheritedJournal?
  private let pipe: InheritedSocket

  init(sockets: InheritedSockets, journal: InheritedJournal?, pipe: InheritedSocket) {
    self.sockets = sockets
    self.journal = journal
    self.pipe = pipe
  }

  /// Tells the older process that this one serves. Call it once.
  package func confirm() {
    Successor.Message.serves.send(to: pipe.number)
    _ = pipe.take()
  }
}

/// What is wrong with a variable: one line that names it, its value and the remedy.
package struct ServiceEnvironmentFault: Error, Sendable, CustomStringConvertible {
  package let description: String
}
