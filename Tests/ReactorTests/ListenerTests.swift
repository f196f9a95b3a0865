import CLinux
import Foundation
import Glibc
import LoopSupport
import Reactor
import System
import TestFolders
import Testing

@Suite struct ListenerTests {
  @Test(arguments: ["127.0.0.1", "::1"])
  func `accepts on a numeric address`(host: String) throws {
    let listener = try Reactor.Listener(.tcp(host: host, port: 0))
    let port = try #require(listener.localAddress?.port)
    #expect(try listener.next() == nil)
    let client = try connected(host, port)
    let accepted = try #require(try waitForOne(listener))
    #expect(fcntl(accepted.number, F_GETFL) & O_NONBLOCK != 0)
    #expect(fcntl(accepted.number, F_GETFD) & FD_CLOEXEC != 0)
    switch peerAddress(of: accepted.number) {
    case .ipv4(let address, _): #expect(host == "127.0.0.1" && address == 0x7F00_0001)
    case .ipv6(let high, let low, _): #expect(host == "::1" && high == 0 && low == 1)
    case .unix, nil: Issue.record("no address")
    }
    _ = client
  }

  @Test func `reports a port that is in use`() throws {
    let listener = try Reactor.Listener(.tcp(host: "127.0.0.1", port: 0))
    let port = try #require(listener.localAddress?.port)
    #expect(throws: Errno.addressInUse) { try Reactor.Listener(.tcp(host: "127.0.0.1", port: port)) }
  }

  @Test(arguments: ["localhost", "", "256.1.1.1", "1.2.3.4.5"])
  func `rejects anything but a numeric address`(host: String) {
    #expect(throws: Errno(EADDRNOTAVAIL)) { try Reactor.Listener(.tcp(host: host, port: 0)) }
  }

  @Test func `replaces a stale socket file, but not one in use`() throws {
    try withFolder { folder in
      let path = folder + "/gateway.sock"
      do {
        let first = try Reactor.Listener(.unix(path: path))
        #expect(throws: Errno.addressInUse) { try Reactor.Listener(.unix(path: path)) }
        #expect(first.localAddress == .unix(path: ""))
        // Moved away, the file is not removed with the listener: it stays, as after a killed process.
        try FileManager.default.moveItem(atPath: path, toPath: path + ".moved")
      }
      try FileManager.default.moveItem(atPath: path + ".moved", toPath: path)
      let second = try Reactor.Listener(.unix(path: path))
      #expect(second.localAddress == .unix(path: ""))
    }
  }

  @Test(arguments: [0o600, 0o660, 0o777, 0o000] as [UInt32]) func `gives a socket file its mode and group`(
    mode: UInt32
  ) throws {
    try withFolder { folder in
      let path = folder + "/gateway.sock"
      let group = getegid()
      let listener = try Reactor.Listener(.unix(path: path, access: SocketAccess(mode: mode, group: group)))
      var status = stat()
      #expect(unsafe stat(path, &status) == 0)
      #expect(status.st_mode & 0o7777 == mode && status.st_gid == group)
      #expect(FileManager.default.fileExists(atPath: path))
      withExtendedLifetime(listener) {}
    }
  }

  @Test func `a closed queue takes no new connections, and hands out the waiting ones`() throws {
    let listener = try Reactor.Listener(.tcp(host: "127.0.0.1", port: 0))
    let port = try #require(listener.localAddress?.port)
    let early = try (0..<3).map { _ in try connected("127.0.0.1", port) }
    listener.closeQueue()
    let late = FileDescriptor(owning: socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    _ = unsafe withUnsafeBytes(of: &address) {
      unsafe connect(
        late.number, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(MemoryLayout<sockaddr_in>.size))
    }
    for _ in early { #expect(try listener.next() != nil) }
    #expect(try listener.next() == nil)
    listener.stop()
    for peer in early { withExtendedLifetime(peer) {} }
  }

  @Test func `the closed queue of a socket file takes no new connections`() throws {
    try withFolder { folder in
      let path = folder + "/gateway.sock"
      let listener = try Reactor.Listener(.unix(path: path))
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
      let early = FileDescriptor(owning: socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0))
      let connected = unsafe withUnsafeBytes(of: &address) {
        unsafe connect(
          early.number, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self),
          socklen_t(MemoryLayout<sockaddr_un>.size))
      }
      #expect(connected == 0)
      listener.closeQueue()
      #expect(!FileManager.default.fileExists(atPath: path))
      #expect(try listener.next() != nil)
      #expect(try listener.next() == nil)
      withExtendedLifetime(early) {}
    }
  }

  @Test func `removes its socket file when it stops, and no other`() throws {
    try withFolder { folder in
      let path = folder + "/gateway.sock"
      let first = try Reactor.Listener(.unix(path: path))
      first.stop()
      #expect(!FileManager.default.fileExists(atPath: path))
      let second = try Reactor.Listener(.unix(path: path))
      first.stop()
      #expect(FileManager.default.fileExists(atPath: path))
      // The file of another process, which found the first one gone.
      try FileManager.default.removeItem(atPath: path)
      try "another".write(toFile: path, atomically: true, encoding: .utf8)
      second.stop()
      #expect(FileManager.default.fileExists(atPath: path))
    }
  }

  @Test func `removes its socket file when it is freed`() throws {
    try withFolder { folder in
      let path = folder + "/gateway.sock"
      do { _ = try Reactor.Listener(.unix(path: path)) }
      #expect(!FileManager.default.fileExists(atPath: path))
    }
  }

  @Test func `leaves any other file alone`() throws {
    try withFolder { folder in
      let path = folder + "/ledger.db"
      try "precious".write(toFile: path, atomically: true, encoding: .utf8)
      #expect(throws: Errno.addressInUse) { try Reactor.Listener(.unix(path: path)) }
      #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious")
    }
  }

  @Test(arguments: [("", EADDRNOTAVAIL), (String(repeating: "x", count: 200), ENAMETOOLONG), ("/no/such/x", ENOENT)])
  func `rejects a path that cannot be bound`(path: String, number: Int32) {
    #expect(throws: Errno(number)) { try Reactor.Listener(.unix(path: path)) }
  }

  private func withFolder(_ body: (String) throws -> Void) throws {
    try withTemporaryFolder { folder in try body(folder.path) }
  }
}
