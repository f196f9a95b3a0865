import Glibc
package import System

/// An IPv4 loopback address as a number.
package struct LoopbackAddress: Sendable, CustomStringConvertible {
  package static let usual = LoopbackAddress(number: 0x7F00_0001)
  package let number: UInt32

  /// A random one of a million, which other processes are unlikely to use.
  package static func random() -> LoopbackAddress {
    LoopbackAddress(number: 0x7F40_0002 | UInt32.random(in: 0..<1 << 20) << 2)
  }

  package var description: String { [24, 16, 8, 0].map { "\(number >> $0 & 0xFF)" }.joined(separator: ".") }
}

/// A blocking listener, by default on a free port of 127.0.0.1.
package final class ListeningSocket: Sendable {
  package let port: UInt16
  private let descriptor: FileDescriptor

  /// - Parameters:
  ///   - backlog: the length of the kernel's queue; further connections get no answer.
  ///   - port: 0 for a free one.
  package init(backlog: Int32, at address: LoopbackAddress = .usual, port: UInt16 = 0) throws(Errno) {
    descriptor = try newSocket()
    self.port = try bindToPort(descriptor, address, port)
    guard listen(descriptor.number, backlog) == 0 else { throw Errno.last }
  }

  /// The next connection; nil when the listener has stopped.
  package func accept() -> TestSocket? {
    let number = Glibc.accept(descriptor.number, nil, nil)
    return number < 0 ? nil : TestSocket(owning: number)
  }

  package func stop() { shutdown(descriptor.number, Int32(SHUT_RDWR)) }
}

/// A port where connections neither succeed nor fail until the test ends: the queue of its listener is full, so the kernel
/// drops further SYNs.
package final class FullBacklog: Sendable {
  package var port: UInt16 { listener.port }
  private let listener: ListeningSocket
  /// A backlog of 0 still accepts one connection.
  private let filler: TestSocket

  package init(at address: LoopbackAddress = .usual, port: UInt16 = 0) throws {
    let fixtures = try Fixtures.ofTest()
    listener = try ListeningSocket(backlog: 0, at: address, port: port)
    filler = try TestSocket(port: listener.port, of: address)
    fixtures.keep(self)
  }
}

/// A port of 127.0.0.1 that refuses connections, and that no other process gets until the test ends.
package final class RefusingPort: Sendable {
  package let number: UInt16
  private let descriptor: FileDescriptor

  package init() throws {
    let fixtures = try Fixtures.ofTest()
    descriptor = try newSocket()
    number = try bindToPort(descriptor, .usual, 0)
    fixtures.keep(self)
  }
}

private func newSocket() throws(Errno) -> FileDescriptor {
  let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
  guard number >= 0 else { throw Errno.last }
  return FileDescriptor(owning: number)
}

private func bindToPort(
  _ descriptor: borrowing FileDescriptor, _ loopback: LoopbackAddress, _ port: UInt16
) throws(Errno) -> UInt16 {
  let number = descriptor.number
  var one: Int32 = 1
  if port != 0 { unsafe _ = setsockopt(number, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size)) }
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = loopback.number.bigEndian
  address.sin_port = port.bigEndian
  var size = socklen_t(MemoryLayout<sockaddr_in>.size)
  let result = unsafe withUnsafeMutableBytes(of: &address) {
    let pointer = unsafe $0.baseAddress!.assumingMemoryBound(to: sockaddr.self)
    return unsafe bind(number, pointer, size) | getsockname(number, pointer, &size)
  }
  guard result == 0 else { throw Errno.last }
  return UInt16(bigEndian: address.sin_port)
}

/// A port on which nothing listens at the moment, for gateways that need a fixed one.
package func freePort() throws -> UInt16 {
  let socket = try ListeningSocket(backlog: 1)
  defer { socket.stop() }
  return socket.port
}
