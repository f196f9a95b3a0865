package import Bytes
import CLinux
import Glibc
package import System

/// A blocking connection with a time limit: for commands and tests, never on a loop.
package struct BlockingSocket: ~Copyable {
  package enum TimeLimit: Sendable {
    /// For connecting and for each later system call.
    case eachCall(seconds: Int)
    /// For everything together, on `SystemClock.milliseconds`.
    case deadline(milliseconds: Int64)
  }

  private let descriptor: FileDescriptor
  private let limit: TimeLimit

  /// Connects. After the time limit, this and all other calls fail with an errno for which `isTimeout` is true.
  package init(connectingTo address: SocketAddress, within limit: TimeLimit) throws(Errno) {
    self.limit = limit
    switch address {
    case .ipv4(let host, let port):
      var raw = sockaddr_in()
      raw.sin_family = sa_family_t(AF_INET)
      raw.sin_port = port.bigEndian
      raw.sin_addr.s_addr = host.bigEndian
      descriptor = try Self.connected(AF_INET, &raw, limit)
    case .ipv6(let high, let low, let port):
      var raw = sockaddr_in6()
      raw.sin6_family = sa_family_t(AF_INET6)
      raw.sin6_port = port.bigEndian
      unsafe withUnsafeMutableBytes(of: &raw.sin6_addr) { bytes in
        unsafe bytes.storeBytes(of: high.bigEndian, as: UInt64.self)
        unsafe bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
      }
      descriptor = try Self.connected(AF_INET6, &raw, limit)
    case .unix(let path):
      var raw = try unixAddress(path)
      descriptor = try Self.connected(AF_UNIX, &raw, limit)
    }
  }

  /// - Parameter seconds: the time limit for connecting and for each later call.
  package init(connectingTo address: SocketAddress, waitingAtMost seconds: Int) throws(Errno) {
    try self.init(connectingTo: address, within: .eachCall(seconds: seconds))
  }

  private static func connected<Raw>(
    _ family: Int32, _ raw: inout Raw, _ limit: TimeLimit
  ) throws(Errno) -> FileDescriptor {
    let number = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { throw Errno.last }
    let descriptor = FileDescriptor(owning: number)
    // SO_SNDTIMEO also bounds connect(2) (socket(7)).
    try setTimeouts(of: number, limit)
    let result = unsafe withUnsafeBytes(of: &raw) {
      unsafe connect(number, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(MemoryLayout<Raw>.size))
    }
    guard result == 0 else { throw Errno.last }
    return descriptor
  }

  private static func setTimeouts(of number: Int32, _ limit: TimeLimit) throws(Errno) {
    var wait: timeval
    switch limit {
    case .eachCall(let seconds): wait = timeval(tv_sec: seconds, tv_usec: 0)
    case .deadline(let end):
      let rest = Int(end - SystemClock.milliseconds)
      // A timeout of 0 would mean none.
      guard rest > 0 else { throw Errno(ETIMEDOUT) }
      wait = timeval(tv_sec: rest / 1_000, tv_usec: rest % 1_000 * 1_000)
    }
    let size = socklen_t(MemoryLayout<timeval>.size)
    unsafe _ = setsockopt(number, SOL_SOCKET, SO_SNDTIMEO, &wait, size)
    unsafe _ = setsockopt(number, SOL_SOCKET, SO_RCVTIMEO, &wait, size)
  }

  /// Sets the timeouts of the next call to what remains until the deadline.
  private func updateTimeouts() throws(Errno) {
    guard case .deadline = limit else { return }
    try Self.setTimeouts(of: descriptor.number, limit)
  }

  /// Writes all of the buffer.
  package func send(_ buffer: ByteBuffer) throws(Errno) {
    var sent = 0
    while sent < buffer.count {
      try updateTimeouts()
      let count = unsafe Glibc.send(
        descriptor.number, buffer.address(at: sent), buffer.count - sent, Int32(MSG_NOSIGNAL))
      if count >= 0 { sent += count } else if Errno.last != .interrupted { throw Errno.last }
    }
  }

  /// Reads available bytes, waiting for the first; 0 means the peer has closed its sending side.
  package func receive(into buffer: ByteBuffer) throws(Errno) -> Int {
    buffer.reserve(1)
    while true {
      try updateTimeouts()
      let count = unsafe recv(descriptor.number, buffer.address(at: buffer.count), buffer.freeCapacity, 0)
      if count >= 0 {
        buffer.didReceive(count)
        return count
      }
      if Errno.last != .interrupted { throw Errno.last }
    }
  }

  /// Closes the sending side: the peer sees the end of the stream.
  package func endOutput() { shutdown(descriptor.number, Int32(SHUT_WR)) }
}

extension Errno {
  /// Whether a call of a `BlockingSocket` failed because of its time limit (socket(7), SO_RCVTIMEO).
  package var isTimeout: Bool { [EAGAIN, EINPROGRESS, ETIMEDOUT].contains(number) }
}
