import Foundation
import Synchronization
import TestSupport
import Testing

/// A drain lets each connection finish a last request. SIGTERM starts one; here the tests call it directly.
@Suite(.scopedFixtures) struct DrainTests {
  static let target = "/proxy/balances?instance_id=one"

  /// A drain on a separate thread.
  private final class Drain: Sendable {
    private let result = Mutex<Bool?>(nil)
    private let ended = DispatchSemaphore(value: 0)

    /// Returns when the listeners are closed.
    init(_ gateway: RunningGateway) {
      Thread { [self] in
        let isOver = gateway.stop()
        result.withLock { $0 = isOver }
        ended.signal()
      }.start()
      #expect(eventually { (try? gateway.connect()) == nil })
    }

    /// Waits until it ends; whether every exchange completed.
    func wait() -> Bool {
      ended.wait(timeout: .now() + .seconds(TestSocket.patience)) == .success && result.withLock { $0 } == true
    }
  }

  /// A Core that answers when `release` is signalled.
  private func heldCore(_ release: DispatchSemaphore) throws -> ScriptedUpstream {
    try ScriptedUpstream { _ in
      _ = release.wait(timeout: .now() + .seconds(TestSocket.patience))
      return .bytes(ScriptedUpstream.json("late"))
    }
  }

  private func quickCore() throws -> ScriptedUpstream {
    try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
  }

  /// The last response on `socket`: its status, and whether it says `Connection: close`.
  private func lastResponse(_ socket: TestSocket) throws -> (status: Int, saysClose: Bool) {
    var reader = TestMessageReader(socket)
    let response = try #require(try reader.next())
    #expect(try reader.next() == nil && reader.rest.isEmpty && !socket.wasReset())
    return (response.status, response.values("Connection") == ["close"])
  }

  @Test(arguments: [1, 2]) func `exchanges in progress complete, and idle connections may send a last request`(
    loops: Int
  ) throws {
    let release = DispatchSemaphore(value: 0)
    let core = try heldCore(release)
    let gateway = try RunningGateway(
      upstreams: [("one", core.port)], loops: loops, gateway: ["timeouts": ["drain_idle_s": 60]])
    let idle = try (0..<4).map { _ in try gateway.connect() }
    let busy = try gateway.connect()
    try busy.send(testRequest("POST", Self.target, body: "{}"))
    #expect(eventually { !core.requests.isEmpty })
    let drain = Drain(gateway)
    for socket in idle { try socket.send(testRequest("POST", Self.target, body: "{}")) }
    #expect(eventually { core.requests.count == 5 })
    for _ in 0..<5 { release.signal() }
    for socket in idle + [busy] { #expect(try lastResponse(socket) == (200, true)) }
    #expect(drain.wait())
  }

  @Test func `closing an idle connection does not reset a request that arrives at the same time`() throws {
    let core = try quickCore()
    // The gateway waits for a second; a busy machine may take longer, so one run of three must pass.
    let isClean = try (0..<3).contains { _ in
      let gateway = try RunningGateway(upstreams: [("one", core.port)], gateway: ["timeouts": ["drain_idle_s": 1]])
      let idle = try gateway.connect()
      let drain = Drain(gateway)
      #expect(try idle.receive().isEmpty)
      try idle.send(testRequest("POST", Self.target, body: "{}"))
      idle.endOutput()
      #expect(drain.wait())
      return !idle.wasReset()
    }
    #expect(isClean && core.requests.isEmpty)
  }

  @Test(arguments: ["HTTP/1.1", "HTTP/1.0"]) func `a request with a partly read head is served`(version: String) throws
  {
    let core = try quickCore()
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let socket = try gateway.connect()
    let bytes = Array(
      testRequest("POST", Self.target, fields: ["Connection: keep-alive"], body: "{}")
        .replacing("HTTP/1.1", with: version).utf8)
    try socket.send(Array(bytes[..<40]))
    // The one loop answers this after it has read the first half.
    #expect(try gateway.ask("GET", "/nowhere")?.status == 404)
    let drain = Drain(gateway)
    try socket.send(Array(bytes[40...]))
    #expect(try lastResponse(socket) == (200, true))
    #expect(drain.wait())
  }

  @Test func `a request pipelined after the last one is not executed, and does not harm the last response`() throws {
    let release = DispatchSemaphore(value: 0)
    let core = try heldCore(release)
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let socket = try gateway.connect()
    let request = testRequest("POST", Self.target, body: "{}")
    try socket.send(request + request)
    #expect(eventually { !core.requests.isEmpty })
    let drain = Drain(gateway)
    try socket.send(request)
    release.signal()
    #expect(try lastResponse(socket) == (200, true))
    socket.endOutput()
    #expect(drain.wait() && core.requests.count == 1)
  }

  @Test func `an exchange that exceeds drain_s is cut and recorded`() throws {
    let core = try ScriptedUpstream { _ in .stall([]) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], gateway: ["timeouts": ["drain_s": 0.2]])
    let busy = try gateway.connect()
    try busy.send(testRequest("POST", Self.target, body: "{}"))
    #expect(eventually { !core.requests.isEmpty })
    let records = try gateway.stopAndReadLog()
    #expect(records.map { $0["outcome"] as? String } == ["unknown"])
  }

  @Test func `an incomplete head is rejected at drain_s, and an idle connection is not a cut exchange`() throws {
    let core = try quickCore()
    let gateway = try RunningGateway(
      upstreams: [("one", core.port)], gateway: ["timeouts": ["drain_s": 0.5, "drain_idle_s": 60]])
    let idle = try gateway.connect()
    let half = try gateway.connect()
    try half.send("POST \(Self.target) HTTP/1.1\r\nHost: ")
    #expect(gateway.stop())
    var reader = TestMessageReader(half)
    let response = try #require(try reader.next())
    #expect(response.status == 503 && response.bodyText.contains("GATEWAY_DRAINING"))
    #expect(response["Connection"] == "close")
    #expect(try reader.next() == nil && idle.receive().isEmpty)
  }
}
