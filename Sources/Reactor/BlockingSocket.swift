package import Bytes
import CLinux
import Glibc
package import System

/// A blocking connection with a time limit per call: for commands and tests, never on a loop.
package struct BlockingSocket: ~Copyable {
  private let descriptor: FileDescriptor

  /// - Parameter seconds: the time limit for connecting and for each later call.
  package init(connectingTo address: SocketAddress, waitingAtMost seconds: Int) throws(Errno) {
    switch address {
    case .ipv4(let host, let port):
      var raw = sockaddr_in()
      raw.sin_family = sa_family_t(AF_INET)
      raw.sin_port = port.bigEndian
      raw.sin_addr.s_addr = host.bigEndian
      descriptor = try Self.connected(AF_INET, &raw, seconds)
    case .ipv6(let high, let low, let port):
      var raw = sockaddr_in6()
      raw.sin6_family = sa_family_t(AF_INET6)
      raw.sin6_port = port.bigEndian
      unsafe withUnsafeMutableBytes(of: &raw.sin6_addr) { bytes in
        unsafe bytes.storeBytes(of: high.bigEndian, as: UInt64.self)
        unsafe bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
      }
      descriptor = try Self.connected(AF_INET6, &raw, seconds)
    case .unix:
      throw Errno(EAFNOSUPPORT)
    }
  }

  private static func connected<Raw>(_ family: Int32, _ raw: inout Raw, _ seconds: Int) throws(Errno) -> FileDescriptor
  {
    let number = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { throw Errno.last }
    let descriptor = FileDescriptor(owning: number)
    // SO_SNDTIMEO also bounds connect(2) (socket(7)).
    var wait = timeval(tv_sec: seconds, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    unsafe _ = setsockopt(number, SOL_SOCKET, SO_SNDTIMEO, &wait, size)
    unsafe _ = setsockopt(number, SOL_SOCKET, SO_RCVTIMEO, &wait, size)
    let result = unsafe withUnsafeBytes(of: &raw) {
      unsafe connect(number, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(MemoryLayout<Raw>.size))
    }
    guard result == 0 else { throw Errno.last }
    return descriptor
  }

  /// Writes all of the buffer.
  package func send(_ buffer: ByteBuffer) throws(Errno) {
    var sent = 0
    while sent < buffer.count {
      let count = unsafe Glibc.send(
        descriptor.number, buffer.address(at: sent), buffer.count - sent, Int32(MSG_NOSIGNAL))
      if count >= 0 { sent += count } else if Errno.last != .interrupted { throw Errno.last }
    }
  }

  /// Reads available bytes, waiting for the first; 0 means the peer has closed its sending side.
  package func receive(into buffer: ByteBuffer) throws(Errno) -> Int {
    buffer.reserve(1)
    while true {
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
