import Glibc

/// Sends notifications about this process to the service manager (sd_notify(3)).
package final class ServiceNotifier: Sendable {
  package enum Notification: Equatable, Sendable {
    /// The start or a reload is complete.
    case ready
    /// A reload begins; `ready` follows.
    ///
    /// - Parameter monotonicMicroseconds: when it began.
    case reloading(monotonicMicroseconds: Int64)
    case stopping
    /// Start or stop takes longer: the manager waits at least this long from now, even beyond its own timeout.
    case extendTimeout(microseconds: Int64)
    /// The watchdog's sign of life.
    case alive
    /// One line for people. Control characters become spaces; at most `statusBytesMax` are sent.
    case status(String)
    /// Another process, which the manager supervises from now on, replaces this one.
    case mainProcess(Int32)
  }

  /// As in $NOTIFY_SOCKET: the path of a datagram socket, or `@name` in the abstract namespace.
  package let address: String
  private let socket: FileDescriptor

  /// systemd drops datagrams of more than 4096 bytes (NOTIFY_BUFFER_MAX).
  package static let statusBytesMax = 1_024
  /// `sun_path` holds 108 bytes; a path ends with a zero (unix(7)).
  static let addressBytesMax = 107
  /// A manager that does not read must not stop the gateway.
  private static let secondsMax = 2

  /// nil: the address is invalid, or there is no descriptor left.
  package init?(address: String) {
    let bytes = address.utf8
    guard (2...Self.addressBytesMax).contains(bytes.count), address.hasPrefix("/") || address.hasPrefix("@") else {
      return nil
    }
    let number = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { return nil }
    self.address = address
    socket = FileDescriptor(owning: number)
    var wait = timeval(tv_sec: Self.secondsMax, tv_usec: 0)
    unsafe _ = setsockopt(number, SOL_SOCKET, SO_SNDTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
  }

  /// Sends all notifications in one datagram. Blocks for at most two seconds, if the manager does not read.
  package func send(_ notifications: [Notification]) throws(Errno) {
    // The address again with each datagram: the manager may replace its socket.
    let text = Array(notifications.map(\.text).joined(separator: "\n").utf8)
    var target = sockaddr_un()
    target.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &target.sun_path) { path in
      unsafe path.copyBytes(from: address.utf8)
      // A leading zero marks the abstract namespace, where all bytes of the given length count (unix(7)).
      if address.hasPrefix("@") { unsafe path[0] = 0 }
    }
    let length = socklen_t(MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + address.utf8.count)
    while true {
      let count = unsafe withUnsafeBytes(of: &target) { target in
        unsafe sendto(
          socket.number, text, text.count, Int32(MSG_NOSIGNAL),
          target.baseAddress!.assumingMemoryBound(to: sockaddr.self), length)
      }
      guard count < 0 else { return }
      if Errno.last != .interrupted { throw .last }
    }
  }
}

extension ServiceNotifier.Notification {
  /// The assignments that sd_notify(3) defines.
  fileprivate var text: String {
    switch self {
    case .ready: "READY=1"
    case .reloading(let microseconds): "RELOADING=1\nMONOTONIC_USEC=\(microseconds)"
    case .stopping: "STOPPING=1"
    case .extendTimeout(let microseconds): "EXTEND_TIMEOUT_USEC=\(microseconds)"
    case .alive: "WATCHDOG=1"
    case .status(let text): "STATUS=\(oneLine(text, byteCountMax: ServiceNotifier.statusBytesMax))"
    case .mainProcess(let identifier): "MAINPID=\(identifier)"
    }
  }
}

/// The text with control characters replaced by spaces, cut to `byteCountMax` bytes with an ellipsis at its end.
func oneLine(_ text: String, byteCountMax: Int) -> String {
  let ellipsis = "…"
  let isWhole = text.utf8.count <= byteCountMax
  let capacity = isWhole ? byteCountMax : byteCountMax - ellipsis.utf8.count
  var line = ""
  var byteCount = 0
  for scalar in text.unicodeScalars {
    byteCount += UTF8.width(scalar)
    guard byteCount <= capacity else { break }
    let isControl = scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value)
    line.unicodeScalars.append(isControl ? " " : scalar)
  }
  return isWhole ? line : line + ellipsis
}
