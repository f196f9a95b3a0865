import CLinux
import Foundation
import Glibc
import LoopSupport
import Reactor
import System
import TestFolders
import Testing

/// Listeners that another process, here the test itself, has as well.
@Suite struct InheritedListenerTests {
  /// The second descriptor of the same socket, as a child process has it.
  private func inherit(_ original: borrowing FileDescriptor) throws -> Reactor.Listener {
    try Reactor.Listener(inheriting: FileDescriptor(owning: dup(original.number)))
  }

  @Test(arguments: ["127.0.0.1", "::1"])
  func `accepts as from its own socket`(host: String) throws {
    let original = try Reactor.Listener(.tcp(host: host, port: 0))
    let port = try #require(original.localAddress?.port)
    // systemd passes blocking sockets without TCP_NODELAY, which do not close at exec.
    _ = fcntl(original.descriptor.number, F_SETFL, 0)
    var zero: Int32 = 0
    let size = socklen_t(MemoryLayout<Int32>.size)
    unsafe _ = setsockopt(original.descriptor.number, Int32(IPPROTO_TCP), TCP_NODELAY, &zero, size)
    let listener = try inherit(original.descriptor)
    #expect(fcntl(listener.descriptor.number, F_GETFD) & FD_CLOEXEC != 0)
    #expect(listener.localAddress == original.localAddress && listener.localPath == nil)
    #expect(try listener.next() == nil)
    let client = try connected(host, port)
    let accepted = try #require(try waitForOne(listener))
    var noDelay: Int32 = 0
    var length = size
    unsafe _ = getsockopt(accepted.number, Int32(IPPROTO_TCP), TCP_NODELAY, &noDelay, &length)
    #expect(noDelay != 0)
    _ = client
  }

  @Test func `connections wait for the next process when it stops`() throws {
    let original = try Reactor.Listener(.tcp(host: "127.0.0.1", port: 0))
    let port = try #require(original.localAddress?.port)
    do {
      let listener = try inherit(original.descriptor)
      let early = try connected("127.0.0.1", port)
      listener.closeQueue()
      #expect(try waitForOne(listener) != nil)
      listener.stop()
      _ = early
    }
    let late = try connected("127.0.0.1", port)
    #expect(try waitForOne(original) != nil)
    _ = late
  }

  @Test func `the file of a Unix socket keeps its mode, and is not removed`() throws {
    try withTemporaryFolder { folder in
      let path = folder.path("gateway.sock")
      let original = try Reactor.Listener(.unix(path: path, access: SocketAccess(mode: 0o640)))
      do {
        let listener = try inherit(original.descriptor)
        #expect(listener.localPath == path)
        listener.closeQueue()
        listener.stop()
      }
      var status = stat()
      #expect(unsafe stat(path, &status) == 0 && status.st_mode & 0o777 == 0o640)
      let client = FileDescriptor(owning: socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0))
      #expect(connect(client, to: path) == 0)
      #expect(try original.next() != nil)
    }
  }

  @Test func `knows the name of an abstract socket`() throws {
    let name = "@blnk-gateway-\(UInt64.random(in: 0 ..< .max))"
    let descriptor = FileDescriptor(owning: socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0))
    let number = descriptor.number
    let result = unsafe withAddress(name) { unsafe bind(number, $0, $1) }
    #expect(result == 0)
    #expect(listen(descriptor.number, 1) == 0)
    #expect(try inherit(descriptor).localPath == name)
  }

  @Test func `refuses what is not a listening stream socket`() throws {
    let file = FileDescriptor(owning: unsafe open("/dev/null", O_RDONLY))
    #expect(throws: InheritanceFault.notSocket) { _ = try inherit(file) }
    let datagram = FileDescriptor(owning: socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0))
    #expect(throws: InheritanceFault.notStream) { _ = try inherit(datagram) }
    let packets = FileDescriptor(owning: socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0))
    #expect(throws: InheritanceFault.notStream) { _ = try inherit(packets) }
    let idle = FileDescriptor(owning: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
    #expect(throws: InheritanceFault.notListening) { _ = try inherit(idle) }
    let (near, far) = try connection()
    #expect(throws: InheritanceFault.notListening) {
      _ = try Reactor.Listener(inheriting: FileDescriptor(owning: dup(near.number)))
    }
    _ = far
  }

  private func connect(_ client: borrowing FileDescriptor, to path: String) -> Int32 {
    let number = client.number
    return unsafe withAddress(path) { unsafe Glibc.connect(number, $0, $1) }
  }

  /// Passes the address of a Unix socket to `body`, with the length that it has as an abstract name.
  private func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
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
}
