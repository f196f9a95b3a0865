import CLinux
import Glibc
import LoopSupport
import Reactor
import System
import Testing

/// Both ends of a connection over the loopback interface.
func connection() throws -> (near: Peer, far: Peer) {
  let listener = try Reactor.Listener(.tcp(host: "127.0.0.1", port: 0))
  let far = try connected("127.0.0.1", try #require(listener.localAddress?.port))
  return (try #require(try waitForOne(listener)), far)
}

/// Waits up to a second for the next connection.
func waitForOne(_ listener: Reactor.Listener) throws -> Peer? {
  for _ in 0..<1_000 {
    if let peer = try listener.next() { return peer }
    usleep(1_000)
  }
  return nil
}

func connected(_ host: String, _ port: UInt16) throws -> Peer {
  let isIPv6 = host.contains(":")
  let descriptor = FileDescriptor(owning: socket(isIPv6 ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue), 0))
  var storage = sockaddr_storage()
  let result = unsafe withUnsafeMutableBytes(of: &storage) { bytes in
    let base = bytes.baseAddress!
    if isIPv6 {
      unsafe base.assumingMemoryBound(to: sockaddr_in6.self).pointee.sin6_family = sa_family_t(AF_INET6)
      unsafe base.assumingMemoryBound(to: sockaddr_in6.self).pointee.sin6_port = port.bigEndian
      unsafe _ = inet_pton(AF_INET6, host, base + 8)
    } else {
      unsafe base.assumingMemoryBound(to: sockaddr_in.self).pointee.sin_family = sa_family_t(AF_INET)
      unsafe base.assumingMemoryBound(to: sockaddr_in.self).pointee.sin_port = port.bigEndian
      unsafe _ = inet_pton(AF_INET, host, base + 4)
    }
    let size = socklen_t(isIPv6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size)
    return unsafe Glibc.connect(descriptor.number, base.assumingMemoryBound(to: sockaddr.self), size)
  }
  guard result == 0 else { throw Errno.last }
  return Peer(Socket(descriptor))
}

extension Peer {
  /// Waits for bytes, the end or an error.
  func waitUntilReadable() -> Bool {
    var entry = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
    return unsafe poll(&entry, 1, 5_000) == 1
  }

  /// Waits until `count` unread bytes have arrived.
  func waitUntilHolding(_ count: Int) -> Bool {
    for _ in 0..<5_000 {
      if LinuxSocketCalls.shared.bytesWaiting(number) ?? 0 >= count { return true }
      usleep(1_000)
    }
    return false
  }
}
