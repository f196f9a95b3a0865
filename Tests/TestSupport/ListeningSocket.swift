import Glibc
package import System

/// A blocking listener on a free port of 127.0.0.1.
package final class ListeningSocket: Sendable {
  package let port: UInt16
  private let descriptor: FileDescriptor

  /// - Parameter backlog: how many connections wait in the kernel; beyond it further ones get no answer.
  package init(backlog: Int32) throws(Errno) {
    descriptor = try newSocket()
    port = try bindToFreePort(descriptor)
    guard listen(descriptor.number, backlog) == 0 else { throw Errno.last }
  }

  /// The next connection; nil when the listener was stopped.
  package func accept() -> TestSocket? {
    let number = Glibc.accept(descriptor.number, nil, nil)
    return number < 0 ? nil : TestSocket(owning: number)
  }

  package func stop() { shutdown(descriptor.number, Int32(SHUT_RDWR)) }
}

/// A port of 127.0.0.1 where connections are refused, and which nobody else gets meanwhile.
package final class RefusingPort: Sendable {
  package let number: UInt16
  private let descriptor: FileDescriptor

  package init() throws(Errno) {
    descriptor = try newSocket()
    number = try bindToFreePort(descriptor)
  }
}

private func newSocket() throws(Errno) -> FileDescriptor {
  let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
  guard number >= 0 else { throw Errno.last }
  return FileDescriptor(owning: number)
}

private func bindToFreePort(_ descriptor: borrowing FileDescriptor) throws(Errno) -> UInt16 {
  let number = descriptor.number
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
  var size = socklen_t(MemoryLayout<sockaddr_in>.size)
  let result = unsafe withUnsafeMutableBytes(of: &address) {
    let pointer = unsafe $0.baseAddress!.assumingMemoryBound(to: sockaddr.self)
    return unsafe bind(number, pointer, size) | getsockname(number, pointer, &size)
  }
  guard result == 0 else { throw Errno.last }
  return UInt16(bigEndian: address.sin_port)
}
