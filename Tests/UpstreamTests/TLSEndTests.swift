import Bytes
import Foundation
import LoopSupport
import Reactor
import System
import TestValues
import Testing

@testable import Upstream

extension UpstreamTests {
  /// How a TLS connection ends, against Python's `ssl` as a server.
  @Suite(.enabled(if: TestAuthority.shared != nil && ScriptedTLSServer.isThere, "no openssl(1) or no python3"))
  struct TLSEndTests {
    private let authority: TestAuthority

    init() throws { authority = try #require(TestAuthority.shared) }

    private func lease(_ script: ScriptedTLSServer.Script, _ version: String) throws -> (
      UpstreamConnection, PoolRig, ScriptedTLSServer
    ) {
      let server = try ScriptedTLSServer(authority, script, version)
      let folder = authority.folder
      let rig = try PoolRig(port: server.port, isSecure: true) {
        $0.tls.authorityFile = "\(folder)/ca.pem"
        $0.tls.serverName = "core.test"
      }
      return (try rig.lease(Client()), rig, server)
    }

    /// Reads until the connection has ended.
    private func readToTheEnd(_ connection: UpstreamConnection, _ turns: Turns) -> (String, Transfer) {
      let answer = ByteBuffer(capacity: 64 << 10)
      var last = Transfer.wouldBlock
      _ = turns.run {
        while connection.isReadable {
          last = connection.receive(into: answer)
          switch last {
          case .bytes, .wouldBlock: continue
          case .ended, .failed: return true
          }
        }
        return false
      }
      return (answer.text, last)
    }

    @Test(arguments: ["1.2", "1.3"])
    func `close_notify is an end`(version: String) throws {
      let (connection, rig, server) = try lease(.endsWithCloseNotify, version)
      let request = ByteBuffer("GET")
      #expect(connection.send(request, 0..<3) == .bytes(3))
      let (answer, end) = readToTheEnd(connection, rig.turns)
      #expect(answer == ScriptedTLSServer.answer && end == .ended && connection.transferFault == nil)
      withExtendedLifetime(server) {}
    }

    @Test(arguments: ["1.2", "1.3"])
    func `a TCP end without close_notify is a failure`(version: String) throws {
      let (connection, rig, server) = try lease(.endsWithoutCloseNotify, version)
      let request = ByteBuffer("GET")
      #expect(connection.send(request, 0..<3) == .bytes(3))
      let (answer, end) = readToTheEnd(connection, rig.turns)
      guard case .failed = end else { return #expect(Bool(false), "\(end)") }
      #expect(answer == ScriptedTLSServer.answer)
      #expect(connection.transferFault == "TLS ended without close_notify")
      guard case .failed = connection.receive(into: ByteBuffer(capacity: 8)) else {
        return #expect(Bool(false), "it stays a failure")
      }
      withExtendedLifetime(server) {}
    }

    @Test(arguments: [("1.2", true), ("1.2", false), ("1.3", true), ("1.3", false)])
    func `what came before a failed write can still be read`(version: String, declaresEnd: Bool) throws {
      let (connection, rig, server) = try lease(declaresEnd ? .answersEarly : .answersEarlyAndBreaks, version)
      let request = ByteBuffer(String(repeating: "x", count: 64 << 10))
      var failed = false
      #expect(
        rig.turns.run {
          while connection.isWritable, !failed {
            if case .failed = connection.send(request, 0..<request.count) { failed = true }
          }
          return failed
        })
      #expect(connection.isReadable && connection.transferFault != nil)
      let (answer, end) = readToTheEnd(connection, rig.turns)
      #expect(answer == ScriptedTLSServer.answer)
      #expect((end == .ended) == declaresEnd, "\(connection.transferFault ?? "")")
      withExtendedLifetime(server) {}
    }
  }
}

/// A TLS server that takes one connection and does what its script says; it ends with its last holder.
final class ScriptedTLSServer {
  enum Script: String {
    /// Reads the request, answers and ends.
    case endsWithCloseNotify, endsWithoutCloseNotify
    /// Reads the request's first byte, answers and closes: unread bytes make that a reset.
    case answersEarly, answersEarlyAndBreaks
  }

  static let answer = "HTTP/1.1 200 OK\r\n\r\n" + String(repeating: "a", count: 20_000)
  static let isThere = FileManager.default.isExecutableFile(atPath: python)
  private static let python = "/usr/bin/python3"

  let port: UInt16
  private let process = Process()

  private static let program = """
    import socket, ssl, sys, time
    script, version, folder, answer = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder + "/good.pem", folder + "/good.key")
    context.minimum_version = context.maximum_version = {
        "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    incoming = ssl.MemoryBIO()
    outgoing = ssl.MemoryBIO()
    peer = listener.accept()[0]
    # Else Nagle holds the alert back, and the reset drops it.
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tls = context.wrap_bio(incoming, outgoing, server_side=True)
    def attempt(action):
        while True:
            try:
                result = action()
            except ssl.SSLWantReadError:
                peer.sendall(outgoing.read())
                incoming.write(peer.recv(1024))
            else:
                peer.sendall(outgoing.read())
                return result
    attempt(tls.do_handshake)
    attempt(lambda: tls.read(1))
    if script.startswith("answersEarly"):
        time.sleep(0.2)
    attempt(lambda: tls.write(answer.encode()))
    if script in ("endsWithCloseNotify", "answersEarly"):
        try:
            tls.unwrap()
        except ssl.SSLError:
            pass
        peer.sendall(outgoing.read())
    peer.close()
    time.sleep(60)
    """

  init(_ authority: TestAuthority, _ script: Script, _ version: String) throws {
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: Self.python)
    process.arguments = ["-c", Self.program, script.rawValue, version, authority.folder, Self.answer]
    process.standardOutput = output
    process.standardInput = FileHandle.nullDevice
    try process.run()
    var said = ""
    while !said.hasSuffix("\n") {
      let more = output.fileHandleForReading.availableData
      guard !more.isEmpty else { break }
      said += String(decoding: more, as: UTF8.self)
    }
    guard let port = UInt16(said.dropLast()) else {
      kill(process.processIdentifier, SIGKILL)
      throw Errno(ECONNREFUSED)
    }
    self.port = port
  }

  deinit {
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }
}
