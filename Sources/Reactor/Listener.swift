import CLinux
import Glibc
package import System

/// A socket that accepts connections.
package final class Listener: Sendable {
  package enum Address: Hashable, Sendable {
    /// A numeric IPv4 or IPv6 address.
    case tcp(host: String, port: UInt16)
    case unix(path: String, access: SocketAccess = SocketAccess())
  }

  package let descriptor: FileDescriptor
  private let file: SocketFile?

  /// The length of the accept queue.
  package static let backlog: Int32 = 4096

  package init(_ address: Address) throws(Errno) {
    switch address {
    case .tcp(let host, let port):
      descriptor = try Self.listenTCP(host, port)
      file = nil
    case .unix(let path, let access):
      descriptor = try Self.listenUnix(path, setsModeLater: access.mode != nil)
      // Before listen(2): no one can connect until then.
      let file = SocketFile(path)
      self.file = file
      try file.grant(access)
    }
    guard listen(descriptor.number, Self.backlog) == 0 else { throw Errno.last }
  }

  deinit { file?.remove() }

  /// The bound address, with the port that the system chose for port 0.
  package var localAddress: SocketAddress? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = unsafe withUnsafeMutableBytes(of: &storage) {
      unsafe getsockname(descriptor.number, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
    }
    return result == 0 ? SocketAddress(storage) : nil
  }

  /// Accepts the next connection, non-blocking and close-on-exec; nil if none is waiting.
  ///
  /// - Parameter peer: set to the peer's address.
  package func accept(from peer: inout SocketAddress?) throws(Errno) -> FileDescriptor? {
    let flags = Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    while true {
      var storage = sockaddr_storage()
      var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
      let accepted = unsafe withUnsafeMutableBytes(of: &storage) {
        unsafe accept4(descriptor.number, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length, flags)
      }
      if accepted >= 0 {
        peer = SocketAddress(storage)
        return FileDescriptor(owning: accepted)
      }
      let error = Errno.last
      switch error.number {
      // A Unix socket returns EINVAL once `closeQueue` has shut it down and its queue is empty.
      case EAGAIN, EINVAL: return nil
      // This connection failed before it was accepted (accept(2), "Error handling"); others may wait behind it.
      case EINTR, ECONNABORTED, EPROTO, ENETDOWN, ENETUNREACH, EHOSTUNREACH: continue
      default: throw error
      }
    }
  }

  /// Closes the accept queue to new connections, so that accepting the waiting ones comes to an end.
  ///
  /// Otherwise the kernel would complete further connections between the last `accept` and `stop`, and `stop` would reset
  /// them. TCP has no call for this: a socket filter drops SYN segments. Such a peer retries after a second and is refused
  /// then. If the filter cannot be attached, that window remains.
  package func closeQueue() {
    guard file == nil else {
      file?.remove()
      shutdown(descriptor.number, Int32(SHUT_RDWR))
      return
    }
    // The flags of a TCP header are its byte 13 (RFC 9293 §3.1): SYN without ACK.
    var program = [
      sock_filter(code: UInt16(BPF_LD | BPF_B | BPF_ABS), jt: 0, jf: 0, k: 13),
      sock_filter(code: UInt16(BPF_ALU | BPF_AND | BPF_K), jt: 0, jf: 0, k: 0x12),
      sock_filter(code: UInt16(BPF_JMP | BPF_JEQ | BPF_K), jt: 1, jf: 0, k: 0x02),
      sock_filter(code: UInt16(BPF_RET | BPF_K), jt: 0, jf: 0, k: .max),
      sock_filter(code: UInt16(BPF_RET | BPF_K), jt: 0, jf: 0, k: 0),
    ]
    unsafe program.withUnsafeMutableBufferPointer { instructions in
      var filter = unsafe sock_fprog(len: UInt16(instructions.count), filter: instructions.baseAddress)
      unsafe _ = setsockopt(
        descriptor.number, SOL_SOCKET, SO_ATTACH_FILTER, &filter, socklen_t(MemoryLayout<sock_fprog>.size))
    }
  }

  /// Refuses new connections, resets those not yet accepted, and removes the socket file, even while other references to
  /// the listener exist.
  package func stop() {
    file?.remove()
    shutdown(descriptor.number, Int32(SHUT_RDWR))
  }

  private static func listenTCP(_ host: String, _ port: UInt16) throws(Errno) -> FileDescriptor {
    var ipv4 = sockaddr_in()
    ipv4.sin_family = sa_family_t(AF_INET)
    ipv4.sin_port = port.bigEndian
    if unsafe inet_pton(AF_INET, host, &ipv4.sin_addr) == 1 {
      return try bound(AF_INET, &ipv4)
    }
    var ipv6 = sockaddr_in6()
    ipv6.sin6_family = sa_family_t(AF_INET6)
    ipv6.sin6_port = port.bigEndian
    guard unsafe inet_pton(AF_INET6, host, &ipv6.sin6_addr) == 1 else { throw Errno(EADDRNOTAVAIL) }
    return try bound(AF_INET6, &ipv6)
  }

  /// Replaces a stale socket file; a socket that accepts connections, or any other file, is in use.
  ///
  /// - Parameter setsModeLater: whether `SocketFile.grant` will set the mode; until then no one may connect.
  private static func listenUnix(_ path: String, setsModeLater: Bool) throws(Errno) -> FileDescriptor {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let fits = unsafe withUnsafeMutableBytes(of: &address.sun_path) { buffer in
      guard path.utf8.count < buffer.count else { return false }
      unsafe buffer.copyBytes(from: path.utf8)
      return true
    }
    guard fits else { throw Errno(ENAMETOOLONG) }
    // An empty path would bind an abstract address, which has no file (unix(7), "Address format").
    guard !path.isEmpty else { throw Errno(EADDRNOTAVAIL) }
    if try isStale(path, &address) { unsafe _ = unlink(path) }
    return try bound(AF_UNIX, &address, withoutPermissions: setsModeLater)
  }

  /// Whether `path` is a socket without a listener. Only sockets are probed: connect(2) refuses a plain file with the same
  /// errno.
  private static func isStale(_ path: String, _ address: inout sockaddr_un) throws(Errno) -> Bool {
    var status = stat()
    guard unsafe lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return false }
    // Non-blocking: a listener whose queue is full must not hold up the start.
    let number = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { throw Errno.last }
    let probe = FileDescriptor(owning: number)
    let answer = unsafe withSocketAddress(&address) { unsafe connect(probe.number, $0, $1) }
    return answer != 0 && errno == ECONNREFUSED
  }

  /// - Parameter withoutPermissions: creates a socket file that no one may connect to.
  private static func bound<Raw>(
    _ family: Int32, _ address: inout Raw, withoutPermissions: Bool = false
  ) throws(Errno) -> FileDescriptor {
    let flags = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let number = socket(family, flags, 0)
    guard number >= 0 else { throw Errno.last }
    let descriptor = FileDescriptor(owning: number)
    var one: Int32 = 1
    let size = socklen_t(MemoryLayout<Int32>.size)
    if family != AF_UNIX {
      unsafe _ = setsockopt(number, SOL_SOCKET, SO_REUSEADDR, &one, size)
      // Accepted sockets inherit it: small writes are sent at once.
      unsafe _ = setsockopt(number, Int32(IPPROTO_TCP), TCP_NODELAY, &one, size)
    }
    // Linux gives the file the socket's mode, masked by the umask (net/unix/af_unix.c, unix_bind_bsd).
    if withoutPermissions { _ = fchmod(number, 0) }
    // An IPv6 listener does not accept IPv4: the operator lists each address.
    if family == AF_INET6 { unsafe _ = setsockopt(number, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &one, size) }
    guard unsafe withSocketAddress(&address, { unsafe bind(number, $0, $1) }) == 0 else { throw Errno.last }
    return descriptor
  }

  private static func withSocketAddress<Raw>(
    _ address: inout Raw, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> Int32 {
    let size = socklen_t(MemoryLayout<Raw>.size)
    return unsafe withUnsafeBytes(of: &address) {
      unsafe body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), size)
    }
  }
}

/// The address of the peer of a connected socket.
package func peerAddress(of descriptor: Int32) -> SocketAddress? {
  var storage = sockaddr_storage()
  var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
  let result = unsafe withUnsafeMutableBytes(of: &storage) {
    unsafe getpeername(descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
  }
  return result == 0 ? SocketAddress(storage) : nil
}
