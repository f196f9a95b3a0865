package import Glibc
package import System

/// A blocking loopback connection for tests: every call ends within `patience`.
package final class TestSocket: Sendable {
  /// How long a test waits (seconds). Under ThreadSanitizer a Core of the tests takes ten for 4 MiB.
  package static let patience = 30

  private let descriptor: FileDescriptor

  package init(owning number: Int32) {
    descriptor = FileDescriptor(owning: number)
    var time = timeval(tv_sec: Self.patience, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    unsafe _ = setsockopt(number, SOL_SOCKET, SO_RCVTIMEO, &time, size)
    unsafe _ = setsockopt(number, SOL_SOCKET, SO_SNDTIMEO, &time, size)
    setOption(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
  }

  /// Connects to a port of 127.0.0.1, or of another address of this machine.
  package convenience init(
    port: UInt16, of loopback: LoopbackAddress = .usual, receiveBuffer: Int32? = nil
  ) throws(Errno) {
    let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { throw Errno.last }
    if var receiveBuffer {
      unsafe _ = setsockopt(number, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
    }
    self.init(owning: number)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = loopback.number.bigEndian
    let result = unsafe withUnsafeBytes(of: &address) {
      unsafe connect(
        number, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(MemoryLayout<sockaddr_in>.size))
    }
    guard result == 0 else { throw Errno.last }
  }

  /// Connects to a Unix socket.
  ///
  /// - Parameter path: `@name` in the abstract namespace.
  package convenience init(unixPath path: String, type: __socket_type = SOCK_STREAM) throws(Errno) {
    let number = socket(AF_UNIX, Int32(type.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { throw Errno.last }
    self.init(owning: number)
    let result = unsafe withUnixAddress(path) { unsafe connect(number, $0, $1) }
    guard result == 0 else { throw Errno.last }
  }

  private func setOption(_ level: Int32, _ name: Int32, _ value: Int32) {
    var value = value
    unsafe _ = setsockopt(descriptor.number, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
  }

  package func send(_ bytes: [UInt8]) throws(Errno) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes {
        unsafe Glibc.send(descriptor.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw Errno.last }
      rest = rest.dropFirst(count)
    }
  }

  package func send(_ text: String) throws(Errno) { try send(Array(text.utf8)) }

  /// The next bytes; empty at the end of the stream.
  package func receive(atMost count: Int = 65_536) throws(Errno) -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: count)
    let received = unsafe buffer.withUnsafeMutableBytes {
      unsafe recv(descriptor.number, $0.baseAddress, $0.count, 0)
    }
    guard received >= 0 else { throw Errno.last }
    return Array(buffer[..<received])
  }

  /// All bytes to the end of the stream.
  package func receiveToEnd() throws(Errno) -> [UInt8] {
    var all: [UInt8] = []
    while true {
      let more = try receive()
      if more.isEmpty { return all }
      all += more
    }
  }

  /// Whether an error thrown by this type is ECONNRESET.
  package static func isReset(_ error: any Error) -> Bool { error as? Errno == Errno(ECONNRESET) }

  /// Whether the peer reset the connection, even after its FIN. Clears the socket's pending error.
  package func wasReset() -> Bool {
    var error: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    let result = unsafe getsockopt(descriptor.number, SOL_SOCKET, SO_ERROR, &error, &size)
    return result == 0 && (error == ECONNRESET || error == EPIPE)
  }

  /// Whether nothing arrives within that many milliseconds, not even the end.
  package func isQuiet(milliseconds: Int32) -> Bool {
    var entry = pollfd(fd: descriptor.number, events: Int16(POLLIN), revents: 0)
    return unsafe poll(&entry, 1, milliseconds) == 0
  }

  /// Waits for bytes or the end of the stream; false if neither arrives.
  package func waitUntilReadable() -> Bool { !isQuiet(milliseconds: Int32(Self.patience * 1_000)) }

  package func endOutput() { shutdown(descriptor.number, Int32(SHUT_WR)) }

  /// Makes closing send a reset instead of a FIN.
  package func resetOnClose() {
    var linger = linger(l_onoff: 1, l_linger: 0)
    unsafe _ = setsockopt(
      descriptor.number, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
  }

  /// Ends both directions immediately, for all holders of the socket.
  package func end() { shutdown(descriptor.number, Int32(SHUT_RDWR)) }
}

/// Passes the address of a Unix socket to `body`.
///
/// - Parameter path: `@name` in the abstract namespace.
func withUnixAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  unsafe withUnsafeMutableBytes(of: &address.sun_path) { bytes in
    unsafe bytes.copyBytes(from: path.utf8)
    if path.hasPrefix("@") { unsafe bytes[0] = 0 }
  }
  let length = socklen_t(MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + path.utf8.count)
  return unsafe withUnsafeBytes(of: &address) {
    unsafe body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), length)
  }
}
