import Foundation
import Synchronization
import TestSupport
import Testing

/// A response sent before the request body is complete reaches the client, whatever the client still sends.
@Suite(.scopedFixtures) struct EarlyResponseTests {
  private static let target = "/proxy/balances?instance_id=one"

  // MARK: Local replies

  @Test func `no early rejection is lost to a reset`() throws {
    let stage = try RejectingStage()
    #expect(stage.lost(rounds: 1) == [])
  }

  // MARK: Responses from Core

  /// Core closes with most of the upload unread, so its kernel sends a reset right after the response.
  @Test func `relays Core's early 413 although Core resets the connection`() throws {
    let core = try RawUpstream { socket in
      _ = try? socket.receive()
      try? socket.send(ScriptedUpstream.json(#"{"error":"too large"}"#, status: "413 Content Too Large"))
    }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], instance: ["breaker": ["failures": 0]])
    let upload = Upload(bodyBytes: 2_000_000).bytes(token: TestPolicyFolder.token)
    var seen: [String: Int] = [:]
    for _ in 0..<60 {
      switch try UploadingClient(port: gateway.port, .readsWhileSending).send(upload) {
      case .response(let message): seen["\(message.status) \(message.member("code") ?? "")", default: 0] += 1
      case .lost(let how): seen["lost: \(how)", default: 0] += 1
      }
    }
    #expect(seen == ["413 ": 60])
    let logged = Dictionary(grouping: try gateway.stopAndReadLog()) { $0["status"] as? Int ?? 0 }.mapValues(\.count)
    #expect(logged == [413: 60])
  }

  // MARK: Closing

  /// RFC 9112 §2.2: some clients send an extra CRLF after a request body. It may arrive after the response.
  @Test(arguments: [TestPolicyFolder.token, nil])
  func `an extra CRLF after the last response meets a clean close, not a reset`(token: String?) throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    var resets = 0
    for _ in 0..<20 {
      let socket = try gateway.connect()
      try socket.send(
        testRequest("POST", Self.target, fields: ["Connection: close"], body: "{}", token: token))
      #expect(socket.waitUntilReadable())
      try? socket.send("\r\n")
      var reader = TestMessageReader(socket)
      #expect(try reader.next()?.status == (token == nil ? 401 : 200))
      #expect(try socket.receive().isEmpty && reader.rest.isEmpty)
      // A reset after FIN shows only in SO_ERROR; no event says that none follows.
      Thread.sleep(forTimeInterval: 0.005)
      if socket.wasReset() { resets += 1 }
    }
    #expect(resets == 0)
  }

  /// Silent, or sending a byte of its body now and then.
  @Test(arguments: [false, true])
  func `closes a client that stays connected after an early response`(dribbles: Bool) throws {
    let gateway = try RunningGateway(upstreams: [("one", 1)], gateway: ["timeouts": ["body_idle_s": 0.5]])
    let socket = try gateway.connect()
    try socket.send(Upload(bodyBytes: 1_000_000).head(token: nil) + [UInt8](repeating: 0x20, count: 20_000))
    var reader = TestMessageReader(socket)
    #expect(try reader.next()?.status == 401)
    let start = ContinuousClock.now
    let isGone = eventually {
      if dribbles { try? socket.send(" ") }
      return gateway.connectionCounts == [0]
    }
    #expect(isGone)
    // Ten times body_idle_s. A dribbled byte must not extend it.
    #expect(ContinuousClock.now - start < .seconds(5))
  }

  @Test func `closes a client that sends more than twice the body limit after an early response`() throws {
    let gateway = try RunningGateway(
      upstreams: [("one", 1)], gateway: ["limits": ["body_bytes": 100_000], "timeouts": ["body_idle_s": 60]])
    let socket = try gateway.connect()
    try socket.send(Upload(bodyBytes: 1_000_000_000).head(token: TestPolicyFolder.token))
    var reader = TestMessageReader(socket)
    #expect(try reader.next()?.status == 413)
    let piece = [UInt8](repeating: 0x20, count: 65_536)
    var sent = 0
    // Kernel buffers hold some of it, too.
    while sent < 64 << 20, (try? socket.send(piece)) != nil { sent += piece.count }
    #expect(sent < 64 << 20)
    #expect(eventually { gateway.connectionCounts == [0] })
  }
}

/// Every combination of rejection, client habit and body size, seven times.
@Suite(.scopedFixtures, .serialized) struct EarlyResponseSlowTests {
  @Test func `none of 420 early rejections is lost to a reset`() throws {
    let stage = try RejectingStage()
    #expect(stage.lost(rounds: 7) == [])
  }
}

/// A POST with a body of spaces.
private struct Upload {
  let bodyBytes: Int

  func head(token: String?) -> [UInt8] {
    let target = "/proxy/balances?instance_id=one"
    return Array(testRequest("POST", target, fields: ["Content-Length: \(bodyBytes)"], token: token).utf8)
  }

  func bytes(token: String?) -> [UInt8] { head(token: token) + [UInt8](repeating: 0x20, count: bodyBytes) }
}

/// Gateways that reject uploads before the body is read, for every possible reason.
private final class RejectingStage {
  private struct EarlyRejection {
    let status: Int
    let token: String?
    var isReadOnly = false
    var sizes = [2_000, 60_000, 300_000, 4_000_000]
  }

  /// More than the default `limits.body_bytes`.
  private static let tooLarge = 5_300_000

  private static let rejections = [
    EarlyRejection(status: 401, token: nil, sizes: [2_000, 60_000, 300_000, 4_000_000, tooLarge]),
    EarlyRejection(
      status: 403, token: TestPolicyFolder.readToken, sizes: [2_000, 60_000, 300_000, 4_000_000, tooLarge]),
    EarlyRejection(status: 429, token: TestPolicyFolder.token),
    EarlyRejection(
      status: 503, token: TestPolicyFolder.directToken, isReadOnly: true,
      sizes: [2_000, 60_000, 300_000, 4_000_000, tooLarge]),
    EarlyRejection(status: 413, token: TestPolicyFolder.directToken, sizes: [tooLarge]),
  ]

  private let core: ScriptedUpstream
  private let gateway: RunningGateway
  private let readOnly: RunningGateway

  init() throws {
    core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    gateway = try RunningGateway(upstreams: [("one", core.port)])
    readOnly = try RunningGateway(upstreams: [("one", core.port)], instance: ["writes": false])
    try gateway.reload(client: ["limits": ["requests_per_second": 0.001, "burst": 1]])
    // Uses up the burst: all later requests of this client are rejected.
    let first = try gateway.ask("GET", "/proxy/balances?instance_id=one")
    #expect(first?.status == 200)
  }

  /// Lost or wrong responses of `rounds` times 60 uploads.
  func lost(rounds: Int) -> [String] {
    var lost: [String] = []
    var count = 0
    for _ in 0..<rounds {
      for rejection in Self.rejections {
        for size in rejection.sizes {
          for habit in UploadingClient.Habit.allCases {
            count += 1
            let outcome = outcome(of: rejection, size, habit)
            if outcome != "\(rejection.status)" {
              lost.append("\(rejection.status), \(size) bytes, \(habit): \(outcome)")
            }
          }
        }
      }
    }
    print("early rejections: \(lost.count) of \(count) lost")
    return lost
  }

  private func outcome(of rejection: EarlyRejection, _ size: Int, _ habit: UploadingClient.Habit) -> String {
    let port = rejection.isReadOnly ? readOnly.port : gateway.port
    do {
      switch try UploadingClient(port: port, habit).send(Upload(bodyBytes: size).bytes(token: rejection.token)) {
      case .response(let message): return "\(message.status)"
      case .lost(let how): return how
      }
    } catch {
      return "\(error)"
    }
  }
}
