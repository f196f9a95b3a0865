import Glibc

/// What a service manager such as systemd passes to a service in environment variables (systemd.exec(5)).
///
/// The variables are for one process only, so `take` removes them: child processes do not inherit them.
package struct ServiceEnvironment: Sendable {
  private static let names = [
    "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDNAMES",
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

/// What is wrong with a variable: one line that names it, its value and the remedy.
package struct ServiceEnvironmentFault: Error, Sendable, CustomStringConvertible {
  package let description: String
}
