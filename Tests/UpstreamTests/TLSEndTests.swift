import Bytes
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
        $0.tls.caBundle = contents("\(folder)/ca.pem")
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
