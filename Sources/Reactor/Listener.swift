import CLinux
import Glibc
import Synchronization
package import System

/// A socket that accepts connections.
package final class Listener: Sendable {
  package enum Address: Hashable, Sendable {
    /// A numeric IPv4 or IPv6 address.
    case tcp(host: String, port: UInt16)
    case unix(path: String, access: SocketAccess = SocketAccess())
  }

  /// Who else has the socket, and what has to be removed with it.
  private enum Kind {
    case tcp
    case unix(SocketFile)
    /// Another process has it as well, and may accept from it after this one.
    case inherited
  }

  package let descriptor: FileDescriptor
  private let kind: Kind
  /// Whether another process of this program serves it: closing then concerns this process alone.
  private let isElsewhere: Atomic<Bool>

  /// The length of the accept queue.
  package static let backlog: Int32 = 4096

  package init(_ address: Address) throws(Errno) {
    isElsewhere = Atomic(false)
    switch address {
    case .tcp(let host, let port):
      descriptor = try Self.listenTCP(host, port)
      kind = .tcp
    case .unix(let path, let access):
      descriptor = try Self.listenUnix(path, setsModeLater: access.mode != nil)
      // Before listen(2): no one can connect until then.
      let file = SocketFile(path)
      kind = .unix(file)
      try file.grant(access)
    }
    guard listen(descriptor.number, Self.backlog) == 0 else { throw Errno.last }
  }

  /// Accepts from a socket that another process has opened and keeps open, such as the service manager.
  ///
  /// Its queue is never closed, and the file of a Unix socket stays as it is: connections wait there for the next
  /// process that accepts.
  ///
  /// - Parameter isOwn: whether an older process of this program opened it, and serves it until `takeOver`.
  package init(inheriting descriptor: consuming FileDescriptor, isOwn: Bool = false) throws(InheritanceFault) {
    let number = descriptor.number
    let type = option(SO_TYPE, of: number)
    let accepts = option(SO_ACCEPTCONN, of: number)
    self.descriptor = descriptor
    isElsewhere = Atomic(isOwn)
    kind =
      if !isOwn {
        .inherited
      } else if let path = unixPath(of: number) {
        .unix(SocketFile(path))
      } else {
        .tcp
      }
    guard let type else { throw .notSocket }
    guard type == Int32(SOCK_STREAM.rawValue) else { throw .notStream }
    guard accepts == 1 else { throw .notListening }
    let flags = fcntl(number, F_GETFL)
    guard flags >= 0, fcntl(number, F_SETFL, flags | O_NONBLOCK) == 0, fcntl(number, F_SETFD, FD_CLOEXEC) == 0 else {
      throw .failed(.last)
    }
    // Accepted TCP sockets inherit it, as from a socket of this process; other sockets refuse it.
    var one: Int32 = 1
    unsafe _ = setsockopt(number, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
  }

  deinit {
    if case .unix(let file) = kind, !isElsewhere.load(ordering: .relaxed) { file.remove() }
  }

  /// Leaves the socket to another process of this program.
  package func handOver() { isElsewhere.store(true, ordering: .relaxed) }

  /// The other process has left the socket to this one.
  package func takeOver() { isElsewhere.store(false, ordering: .relaxed) }

  /// Whether the socket is this program's, and not the service manager's.
  package var isOwn: Bool {
    switch kind {
    case .tcp, .unix: true
    case .inherited: false
    }
  }

  /// The bound address, with the port that the system chose for port 0.
  package var localAddress: SocketAddress? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = unsafe withUnsafeMutableBytes(of: &storage) {
      unsafe getsockname(descriptor.number, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
    }
    return result == 0 ? SocketAddress(storage) : nil
  }

  /// The path of a Unix socket as it was bound, `@name` in the abstract namespace; nil for an IP address.
  package var localPath: String? { unixPath(of: descriptor.number) }

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
  ///
  /// The queue of an inherited socket stays open: shutdown and filter would apply to all processes that have it.
  package func closeQueue() {
    guard !isElsewhere.load(ordering: .relaxed) else { return }
    switch kind {
    case .tcp: filterNewConnections()
    case .unix(let file):
      file.remove()
      shutdown(descriptor.number, Int32(SHUT_RDWR))
    case .inherited: break
    }
  }

  private func filterNewConnections() {
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
  /// the listener exist. Leaves all of that alone if the socket is inherited.
  package func stop() {
    guard !isElsewhere.load(ordering: .relaxed) else { return }
    switch kind {
    case .tcp: shutdown(descriptor.number, Int32(SHUT_RDWR))
    case .unix(let file):
      file.remove()
      shutdown(descriptor.number, Int32(SHUT_RDWR))
    case .inherited: break
    }
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
    var address = try unixAddress(path)
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

/// Why a descriptor cannot be used as a listener.
package enum InheritanceFault: Error, Equatable, Sendable {
  case notSocket
  /// For example a datagram socket.
  case notStream
  /// For example a connection.
  case notListening
  case failed(Errno)
}

/// The path of a Unix socket as it was bound, `@name` in the abstract namespace; nil for another socket.
private func unixPath(of number: Int32) -> String? {
  var address = sockaddr_un()
  var length = socklen_t(MemoryLayout<sockaddr_un>.size)
  let result = unsafe withUnsafeMutableBytes(of: &address) {
    unsafe getsockname(number, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
  }
  guard result == 0, address.sun_family == sa_family_t(AF_UNIX) else { return nil }
  let count = min(Int(length), MemoryLayout<sockaddr_un>.size) - MemoryLayout<sockaddr_un>.offset(of: \.sun_path)!
  let path = unsafe withUnsafeBytes(of: &address.sun_path) { unsafe Array($0.prefix(max(0, count))) }
  guard path.first == 0 else { return String(decoding: path.prefix { $0 != 0 }, as: UTF8.self) }
  return "@" + String(decoding: path.dropFirst(), as: UTF8.self)
}

/// An integer option of a socket; nil: the descriptor is not a socket.
private func option(_ name: Int32, of descriptor: Int32) -> Int32? {
  var value: Int32 = 0
  var size = socklen_t(MemoryLayout<Int32>.size)
  return unsafe getsockopt(descriptor, SOL_SOCKET, name, &value, &size) == 0 ? value : nil
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

/// The address of a Unix socket with a path of at most 107 bytes.
func unixAddress(_ path: String) throws(Errno) -> sockaddr_un {
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  let fits = unsafe withUnsafeMutableBytes(of: &address.sun_path) { buffer in
    guard path.utf8.count < buffer.count else { return false }
    unsafe buffer.copyBytes(from: path.utf8)
    return true
  }
  guard fits else { throw Errno(ENAMETOOLONG) }
  return address
}
