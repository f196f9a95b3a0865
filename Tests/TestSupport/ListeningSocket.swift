import Glibc
package import Reactor

/// A blocking listener on a free port of 127.0.0.1.
package final class ListeningSocket: Sendable {
  package let port: UInt16
  private let descriptor: FileDescriptor

  /// - Parameter backlog: how many connections wait in the kernel; beyond it further ones get no answer.
  package init(backlog: Int32) throws(Errno) {
    let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { throw Errno.last }
    let descriptor = FileDescriptor(owning: number)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = unsafe withUnsafeMutableBytes(of: &address) {
      let pointer = unsafe $0.baseAddress!.assumingMemoryBound(to: sockaddr.self)
      return unsafe bind(number, pointer, size) | listen(number, backlog) | getsockname(number, pointer, &size)
    }
    guard result == 0 else { throw Errno.last }
    port = UInt16(bigEndian: address.sin_port)
    self.descriptor = descriptor
  }

  /// The next connection; nil when the listener was stopped.
  package func accept() -> TestSocket? {
    let number = Glibc.accept(descriptor.number, nil, nil)
    return number < 0 ? nil : TestSocket(owning: number)
  }

  package func stop() { shutdown(descriptor.number, Int32(SHUT_RDWR)) }
}
