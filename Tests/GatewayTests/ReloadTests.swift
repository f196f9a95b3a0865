import Foundation
import Policies
import Synchronization
import TestSupport
import Testing

/// Reloads and limits, as clients see them.
@Suite(.scopedFixtures) struct ReloadTests {
  static let target = "/proxy/balances?instance_id=one"

  @Test func `a revoked token is rejected on the next request of an open connection`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let socket = try gateway.connect()
    var reader = TestMessageReader(socket)
    try socket.send(testRequest("GET", Self.target))
    #expect(try reader.next()?.status == 200)
    #expect(try gateway.reload(client: ["revoked": true]) == 2)
    try socket.send(testRequest("GET", Self.target))
    #expect(try reader.next()?.member("code") == "GATEWAY_TOKEN_REVOKED")
    #expect(try gateway.reload() == 3)
    try socket.send(testRequest("GET", Self.target))
    #expect(try reader.next()?.status == 200)
    // The instance has not changed, so its connection is reused.
    #expect(core.connectionCount == 1)
  }

  @Test func `an exchange in progress completes under the policy that admitted it`() throws {
    let mayAnswer = Flag()
    let core = try ScriptedUpstream { _ in
      _ = eventually { mayAnswer.isSet }
      return .bytes(ScriptedUpstream.json("{}"))
    }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let socket = try gateway.connect()
    try socket.send(testRequest("POST", Self.target, body: "{}"))
    #expect(eventually { !core.requests.isEmpty })
    try gateway.reload(client: ["instances": [String]()])
    mayAnswer.set()
    var reader = TestMessageReader(socket)
    #expect(try reader.next()?.status == 200)
    try socket.send(testRequest("POST", Self.target, body: "{}"))
    #expect(try reader.next()?.member("code") == "GATEWAY_INSTANCE_FORBIDDEN")
  }

  @Test func `limits keep their state over a reload`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let limits: [String: any Sendable] = ["limits": ["requests_per_second": 0.01, "burst": 3]]
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    try gateway.reload(client: limits)
    for _ in 0..<3 { #expect(try gateway.ask("GET", Self.target)?.status == 200) }
    try gateway.reload(client: limits)
    let answer = try #require(try gateway.ask("GET", Self.target))
    #expect(answer.status == 429 && answer.member("code") == "GATEWAY_RATE_LIMITED")
    #expect(answer["Retry-After"] == "100" && answer["RateLimit"] == "\"all\";r=0;t=100")
    #expect(answer["RateLimit-Policy"] == "\"all\";q=3;w=300")
    #expect(core.requests.count == 3)
  }

  @Test func `a raised rate takes effect at once`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    try gateway.reload(client: ["limits": ["requests_per_second": 0.001, "burst": 1]])
    #expect(try gateway.ask("GET", Self.target)?.status == 200)
    #expect(try gateway.ask("GET", Self.target)?.status == 429)
    try gateway.reload(client: ["limits": ["requests_per_second": 1_000, "burst": 1_000]])
    for _ in 0..<5 { #expect(try gateway.ask("GET", Self.target)?.status == 200) }
  }

  @Test func `a raised concurrency limit counts requests in progress and admits the rest`() throws {
    let core = try ScriptedUpstream { request in
      request.message.startLine.contains("hold") ? .stall([]) : .bytes(ScriptedUpstream.json("{}"))
    }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    try gateway.reload(client: ["limits": ["concurrent": 1]])
    let holder = try gateway.connect()
    try holder.send(testRequest("GET", "/proxy/balances/hold?instance_id=one"))
    #expect(eventually { core.requests.count == 1 })
    try gateway.reload(client: ["limits": ["concurrent": 1, "burst": 9, "requests_per_second": 9]])
    #expect(try gateway.ask("GET", Self.target)?.member("code") == "GATEWAY_CONCURRENCY_LIMITED")
    try gateway.reload(client: ["limits": ["concurrent": 2]])
    #expect(try gateway.ask("GET", Self.target)?.status == 200)
    core.stop()
  }

  @Test func `reads and writes have separate limits, shared by all loops`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], loops: 3)
    try gateway.reload(client: [
      "limits": [
        "read": ["requests_per_second": 0.01, "burst": 7], "write": ["requests_per_second": 0.01, "burst": 4],
      ]
    ])
    let reads = try (0..<20).count { _ in try gateway.ask("GET", Self.target)?.status == 200 }
    let writes = try (0..<20).count { _ in try gateway.ask("POST", Self.target, body: "{}")?.status == 200 }
    #expect(reads == 7 && writes == 4)
  }

  @Test func `a client's concurrent requests are limited`() throws {
    let core = try ScriptedUpstream { request in
      request.message.startLine.contains("hold") ? .stall([]) : .bytes(ScriptedUpstream.json("{}"))
    }
    let gateway = try RunningGateway(
      upstreams: [("one", core.port)], loops: 2, instance: ["timeouts": ["first_byte_s": 0.4]])
    try gateway.reload(client: ["limits": ["concurrent": 2]])
    let holders = try (0..<2).map { _ in try gateway.connect() }
    for holder in holders { try holder.send(testRequest("GET", "/proxy/balances/hold?instance_id=one")) }
    #expect(eventually { core.requests.count == 2 })
    let rejected = try gateway.ask("GET", Self.target)
    #expect(rejected?.status == 429 && rejected?.member("code") == "GATEWAY_CONCURRENCY_LIMITED")
    #expect(rejected?["Retry-After"] == "1")
    for holder in holders {
      var reader = TestMessageReader(holder)
      #expect(try reader.next()?.status == 504)
    }
    #expect(try gateway.ask("GET", Self.target)?.status == 200)
  }

  @Test func `1,000 reloads under load fail no request`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], loops: 2)
    let results = DispatchGroup()
    let failures = Mutex<[String]>([])
    let answered = Counter()
    let isOver = Flag()
    for _ in 0..<8 {
      results.enter()
      Thread {
        defer { results.leave() }
        do {
          let socket = try gateway.connect()
          var reader = TestMessageReader(socket)
          while !isOver.isSet {
            try socket.send(testRequest("GET", Self.target))
            let answer = try reader.next()
            guard answer?.status == 200 else {
              return failures.withLock { $0.append("\(answer, default: "no answer")") }
            }
            answered.add()
          }
        } catch {
          failures.withLock { $0.append("\(error)") }
        }
      }.start()
    }
    var last = 1
    for _ in 0..<1_000 { last = try gateway.reload() }
    isOver.set()
    #expect(results.wait(timeout: .now() + 20) == .success)
    #expect(failures.withLock(\.self) == [])
    #expect(answered.value > 100 && last == 1_001)
  }
}
