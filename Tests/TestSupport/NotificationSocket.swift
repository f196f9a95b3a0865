import Glibc
package import System

/// The service manager's end of $NOTIFY_SOCKET.
package final class NotificationSocket: Sendable {
  /// As $NOTIFY_SOCKET names it.
  package let address: String
  private let descriptor: FileDescriptor

  /// - Parameter address: a path, or `@name` in the abstract namespace.
  package init(_ address: String) throws(Errno) {
    self.address = address
    let number = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { throw Errno.last }
    descriptor = FileDescriptor(owning: number)
    var time = timeval(tv_sec: TestSocket.patience, tv_usec: 0)
    unsafe _ = setsockopt(number, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    let result = unsafe withUnixAddress(address) { unsafe bind(number, $0, $1) }
    guard result == 0 else { throw Errno.last }
  }

  /// The next datagram, in lines.
  package func next() throws(Errno) -> [String] {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    let count = unsafe recv(descriptor.number, &buffer, buffer.count, 0)
    guard count >= 0 else { throw Errno.last }
    return String(decoding: buffer[..<count], as: UTF8.self).split(separator: "\n").map(String.init)
  }

  /// The next datagram that is not the watchdog's.
  package func nextBesidesWatchdog() throws(Errno) -> [String] {
    while true {
      let lines = try next()
      if lines != ["WATCHDOG=1"] { return lines }
    }
  }

  /// Whether nothing arrives within that many milliseconds.
  package func isQuiet(milliseconds: Int32) -> Bool {
    var entry = pollfd(fd: descriptor.number, events: Int16(POLLIN), revents: 0)
    return unsafe poll(&entry, 1, milliseconds) == 0
  }
}
