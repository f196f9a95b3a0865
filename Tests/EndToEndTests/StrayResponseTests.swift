import Foundation
import Synchronization
import TestSupport
import Testing

/// Core sends more, or closes, after the gateway has read a response and before it sends the next queued request on that
/// connection. Every read of the gateway takes effect immediately and returns late, which makes this order certain.
@Suite(.scopedFixtures, .serialized) struct StrayResponseTests {
  private static let readMicroseconds = 300_000
  private static let stray = "HTTP/1.1 200 OK\r\nX-Stray: 1\r\nContent-Length: 5\r\n\r\nstray"

  enum Surprise: Sendable, CaseIterable {
    case stray, end

    func play(on connection: TestSocket) throws {
      switch self {
      case .stray: try connection.send(StrayResponseTests.stray)
      case .end: connection.end()
      }
    }
  }

  @Test(arguments: Surprise.allCases, ["GET", "POST"])
  func `a queued request is not sent on a connection that became readable`(
    surprise: Surprise, method: String
  ) throws {
    let core = try HoldingCore()
    let folder = try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:\(core.port)")], instance: ["limits": ["connections": 1]],
      gateway: ["admin": "127.0.0.1:0"])
    let gateway = try GatewayProcess(
      folder,
      wrapper: ["/usr/bin/strace", "-D", "-f", "-o", "/dev/null", "-e", "trace=recvfrom"]
        + ["-e", "inject=recvfrom:delay_exit=\(Self.readMicroseconds)"])
    let adminPort = try #require(gateway.adminPort)
    let first = try TestSocket(port: gateway.port)
    try first.send(testRequest("GET", "/proxy/balances/first?instance_id=one"))
    #expect(core.waitForFirst())
    let second = try TestSocket(port: gateway.port)
    try second.send(
      testRequest(method, "/proxy/balances?instance_id=one", body: method == "POST" ? "{}" : nil))
    #expect(
      try eventually { try TestMessage.asking(port: adminPort, "/metrics")?.queued(for: "one") == 1 })
    core.answerFirst()
    // The gateway has read the response by now, and its read returns after the surprise has arrived.
    Thread.sleep(forTimeInterval: Double(Self.readMicroseconds) / 3e6)
    try surprise.play(on: try #require(core.firstConnection))
    var reader = TestMessageReader(first)
    #expect(try reader.next()?.bodyText == "first")
    reader = TestMessageReader(second)
    let answer = try reader.next()
    #expect(answer?.values("X-Stray") == [] && answer?.bodyText == "own", "\(answer?.bodyText ?? "no answer")")
    #expect(core.others == 1)
  }
}

/// A Core that answers the first request on demand, and all others immediately.
private final class HoldingCore: Sendable {
  private final class State: Sendable {
    let hasFirst = DispatchSemaphore(value: 0)
    let mayAnswer = DispatchSemaphore(value: 0)
    let first = Mutex<TestSocket?>(nil)
    /// Requests other than the first.
    let others = Mutex(0)
  }

  private let upstream: RawUpstream
  private let state: State
  var port: UInt16 { upstream.port }
  var firstConnection: TestSocket? { state.first.withLock { $0 } }
  var others: Int { state.others.withLock { $0 } }

  init() throws {
    let state = State()
    self.state = state
    upstream = try RawUpstream { socket, number in
      var reader = TestMessageReader(socket)
      if number == 0 {
        guard (try? reader.next()) != nil else { return }
        state.first.withLock { $0 = socket }
        state.hasFirst.signal()
        state.mayAnswer.wait()
        try? socket.send("HTTP/1.1 200 OK\r\nX-Hold: 1\r\nContent-Length: 5\r\n\r\nfirst")
      }
      while (try? reader.next()) != nil {
        state.others.withLock { $0 += 1 }
        try? socket.send(ScriptedUpstream.json("own"))
      }
    }
    // A test that fails early has not called it.
    try Fixtures.ofTest().add(stop: answerFirst)
  }

  func waitForFirst() -> Bool { state.hasFirst.wait(timeout: .now() + .seconds(TestSocket.patience)) == .success }

  @Sendable func answerFirst() { state.mayAnswer.signal() }
}
