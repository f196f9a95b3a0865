import Bytes
import Foundation
import LoopSupport
import Reactor
import System
import TestValues
import Testing

@testable import Upstream

extension UpstreamTests {
  /// Against openssl(1) as a server, with a small CA made for the test.
  @Suite(.enabled(if: TestAuthority.shared != nil, "openssl(1) is not installed, or makes no certificates"))
  struct TLSTests {
    private let authority: TestAuthority

    init() throws { authority = try #require(TestAuthority.shared) }

    private func rig(
      _ server: TLSServer, name: String = "core.test", trusting: String = "ca", client: String? = nil
    ) throws -> PoolRig {
      let folder = authority.folder
      return try PoolRig(port: server.port, isSecure: true) {
        $0.tls.caBundle = contents("\(folder)/\(trusting).pem")
        $0.tls.serverName = name
        $0.tls.certificate = client.flatMap { contents("\(folder)/\($0).pem") }
        $0.tls.key = client.flatMap { contents("\(folder)/\($0).key") }
      }
    }

    /// The server's response: it sends each line back in reverse.
    private func answer(to line: String, on connection: UpstreamConnection, _ turns: Turns) -> String {
      let (request, answer) = (ByteBuffer(line + "\n"), ByteBuffer(capacity: 256))
      guard connection.send(request, 0..<request.count) == .bytes(request.count) else { return "not sent" }
      var last = Transfer.wouldBlock
      let hasCome = turns.run {
        while connection.isReadable, last == .wouldBlock || last == .bytes(0) {
          last = connection.receive(into: answer)
        }
        return last != .wouldBlock
      }
      return hasCome ? answer.text : "nothing"
    }

    @Test func `a connection with a trusted name is reused although it has unread session tickets`() throws {
      let server = try TLSServer(authority, certificate: "good")
      let rig = try rig(server)
      let client = Client()
      let connection = try rig.lease(client)
      rig.turns.run(for: 50)
      client.giveBack(to: rig.pool)
      rig.turns.run(for: 50)
      #expect(connection.phase == .idle)
      client.ask(rig.pool, isWrite: true)
      #expect(client.connection === connection && connection.faultBeforeFirstByte() == nil)
      #expect(answer(to: "abc", on: connection, rig.turns) == "cba\n")
      client.giveBack(to: rig.pool)
      #expect(connection.phase == .idle)
      rig.pool.closeIdle()
    }

    @Test(arguments: [("abc\n", 1), ("abc\ndef\n", 2)])
    func `a second response after the first discards the connection`(lines: String, count: Int) throws {
      let server = try TLSServer(authority, certificate: "good")
      let rig = try rig(server)
      let client = Client()
      let connection = try rig.lease(client)
      let (request, answer) = (ByteBuffer(lines), ByteBuffer(capacity: 256))
      #expect(connection.send(request, 0..<request.count) == .bytes(request.count))
      rig.turns.run(for: 200)
      var last = Transfer.wouldBlock
      while last == .wouldBlock { last = connection.receive(into: answer) }
      #expect(last == .bytes(4) && answer.text == "cba\n")
      client.giveBack(to: rig.pool)
      #expect(connection.phase == (count == 1 ? .idle : .closed))
      rig.pool.closeIdle()
    }

    @Test func `an idle connection ends with close_notify`() throws {
      let server = try TLSServer(authority, certificate: "good")
      let rig = try rig(server)
      let client = Client()
      let connection = try rig.lease(client)
      let command = ByteBuffer("CLOSE\n")
      client.giveBack(to: rig.pool)
      #expect(connection.phase == .idle)
      #expect(connection.send(command, 0..<command.count) == .bytes(command.count))
      #expect(rig.turns.run { connection.phase == .closed })
      #expect(rig.pool.count == 0)
    }

    @Test func `bytes that precede a request are distinguished from session tickets`() throws {
      let server = try TLSServer(authority, certificate: "good")
      let rig = try rig(server)
      let client = Client()
      let connection = try rig.lease(client)
      rig.turns.run(for: 50)
      #expect(connection.isReadable && connection.faultBeforeFirstByte() == nil && !connection.isReadable)
      let line = ByteBuffer("abc\n")
      #expect(connection.send(line, 0..<line.count) == .bytes(line.count))
      #expect(rig.turns.run { connection.isReadable })
      #expect(connection.faultBeforeFirstByte() != nil)
      client.giveBack(to: rig.pool, isReusable: false)
    }

    @Test func `bytes on an idle connection discard it`() throws {
      let server = try TLSServer(authority, certificate: "good")
      let rig = try rig(server)
      let client = Client()
      let connection = try rig.lease(client)
      let line = ByteBuffer("abc\n")
      client.giveBack(to: rig.pool)
      #expect(connection.phase == .idle)
      #expect(connection.send(line, 0..<line.count) == .bytes(line.count))
      #expect(rig.turns.run { connection.phase == .closed })
    }

    @Test(arguments: [
      ("good", "other.test", "ca", "other.test"), ("good", "core.test", "other-ca", "issuer certificate"),
      ("expired", "core.test", "ca", "expired"),
    ])
    func `a server that cannot be trusted fails with its reason`(
      certificate: String, name: String, trusting: String, reason: String
    ) throws {
      let server = try TLSServer(authority, certificate: certificate)
      let rig = try rig(server, name: name, trusting: trusting)
      let client = Client()
      client.ask(rig.pool)
      #expect(rig.turns.run { client.fault != nil })
      #expect(client.connection == nil && client.fault?.kind == .tlsFailed)
      #expect(client.fault?.detail.contains(reason) == true, "\(client.fault?.detail ?? "")")
      #expect(rig.pool.count == 0)
    }

    @Test func `a private authority is not in the system's trust store`() throws {
      let server = try TLSServer(authority, certificate: "good")
      let rig = try PoolRig(port: server.port, isSecure: true) { $0.tls.serverName = "core.test" }
      let client = Client()
      client.ask(rig.pool)
      #expect(rig.turns.run { client.fault?.kind == .tlsFailed })
    }

    @Test func `a server without TLS is reported as such`() throws {
      let rig = try PoolRig(isSecure: true)
      let client = Client()
      client.ask(rig.pool)
      let core = try rig.accept()
      #expect(core.send("HTTP/1.1 400 Bad Request\r\n\r\n"))
      #expect(rig.turns.run { client.fault?.kind == .tlsFailed })
    }

    @Test(arguments: [("client", true), (nil, false)] as [(String?, Bool)])
    func `shows its own certificate to a server that asks for it`(certificate: String?, isServed: Bool) throws {
      let server = try TLSServer(authority, certificate: "good", asksForClients: true)
      let rig = try rig(server, client: certificate)
      let client = Client()
      // In TLS 1.3 the server refuses after the client's handshake is over.
      guard let connection = try? rig.lease(client) else { return #expect(!isServed) }
      #expect((answer(to: "abc", on: connection, rig.turns) == "cba\n") == isServed)
      client.giveBack(to: rig.pool, isReusable: false)
    }
  }
}

/// `openssl s_server`, which sends each line back in reverse; it ends with its last holder.
final class TLSServer {

  let port: UInt16
  private let process = Process()

  init(_ authority: TestAuthority, certificate: String, asksForClients: Bool = false) throws {
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: TestAuthority.openssl)
    process.arguments =
      [
        "s_server", "-accept", "127.0.0.1:0", "-rev", "-cert", "\(authority.folder)/\(certificate).pem",
        "-key", "\(authority.folder)/\(certificate).key",
      ] + (asksForClients ? ["-Verify", "1", "-verify_return_error", "-CAfile", "\(authority.folder)/ca.pem"] : [])
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    process.standardInput = FileHandle.nullDevice
    try process.run()
    // It says "ACCEPT 127.0.0.1:<port>" once it listens.
    var said = ""
    while !said.contains("ACCEPT") || !said.hasSuffix("\n") {
      let more = output.fileHandleForReading.availableData
      guard !more.isEmpty else { break }
      said += String(decoding: more, as: UTF8.self)
    }
    let line = said.split(separator: "\n").first { $0.hasPrefix("ACCEPT") }
    guard let port = line?.split(separator: ":").last.flatMap({ UInt16($0) }) else {
      kill(process.processIdentifier, SIGKILL)
      throw Errno(ECONNREFUSED)
    }
    self.port = port
  }

  deinit {
    // A process started from a Dispatch thread inherits its mask, which blocks SIGTERM.
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }
}
