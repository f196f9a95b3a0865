import Foundation
import TestSupport
import Testing

/// Each kind of waiting has a deadline with its own reply.
@Suite(.scopedFixtures) struct DeadlineTests {
  static let target = "/proxy/balances?instance_id=one"

  @Test func `an instance that does not answer is 504 with an unknown outcome`() throws {
    let core = try ScriptedUpstream { _ in .stall([]) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], instance: ["timeouts": ["first_byte_s": 0.1]])
    let answer = try gateway.ask("POST", Self.target, body: "{}")
    #expect(answer?.status == 504 && answer?.member("code") == "GATEWAY_UPSTREAM_TIMEOUT")
    #expect(answer?.member("outcome") == "unknown")
    #expect(try gateway.stopAndReadLog().first?["outcome"] as? String == "unknown")
  }

  private static func routes(_ times: [String: any Sendable]) -> [String: any Sendable] {
    let route: [String: any Sendable] = ["scope": "proxy:read", "operation": "balances.list"]
    return ["/proxy/balances": ["GET": route.merging(times) { $1 }], "/proxy/ledgers": ["GET": route]]
  }

  @Test func `a route may give its instance less time`() throws {
    let core = try ScriptedUpstream { _ in .stall([]) }
    for times in [["first_byte_s": 0.1], ["total_s": 0.1], ["first_byte_s": 0.1, "total_s": 20]] {
      // The test times out first if these apply.
      let hour: [String: any Sendable] = ["timeouts": ["first_byte_s": 3_600, "total_s": 3_600]]
      let gateway = try RunningGateway(upstreams: [("one", core.port)], instance: hour, routes: Self.routes(times))
      let answer = try gateway.ask("GET", Self.target)
      #expect(answer?.status == 504 && answer?.member("code") == "GATEWAY_UPSTREAM_TIMEOUT")
    }
  }

  @Test func `a route may give its instance more time`() throws {
    let core = try ScriptedUpstream { _ in
      // Longer than the instance's 0.2 s, which the route extends.
      Thread.sleep(forTimeInterval: 0.6)
      return .bytes(ScriptedUpstream.json("{}"))
    }
    for (timeouts, times) in [
      (["first_byte_s": 0.2], ["first_byte_s": 20]), (["total_s": 0.2], ["total_s": 20]),
      (["first_byte_s": 0.2, "total_s": 0.2], ["first_byte_s": 20, "total_s": 20]),
    ] {
      let gateway = try RunningGateway(
        upstreams: [("one", core.port)], instance: ["timeouts": timeouts], routes: Self.routes(times))
      #expect(try gateway.ask("GET", Self.target)?.status == 200)
      #expect(try gateway.ask("GET", "/proxy/ledgers?instance_id=one")?.status == 504)
    }
  }

  @Test func `a response that stalls after its head is cut`() throws {
    let core = try ScriptedUpstream { _ in .stall(Array("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".utf8)) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], instance: ["timeouts": ["between_bytes_s": 0.1]])
    let socket = try gateway.connect()
    try socket.send(testRequest("GET", Self.target))
    #expect(String(decoding: try socket.receiveToEnd(), as: UTF8.self).hasSuffix("\r\n\r\nhalf"))
  }

  @Test func `a response that drips is cut after total_s`() throws {
    let core = try RawUpstream { socket in
      _ = try? socket.receive()
      try? socket.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
      for _ in 0..<100 {
        // Well within between_bytes_s.
        Thread.sleep(forTimeInterval: 0.03)
        if (try? socket.send("x")) == nil { return }
      }
    }
    let gateway = try RunningGateway(
      upstreams: [("one", core.port)], instance: ["timeouts": ["between_bytes_s": 0.2, "total_s": 0.4]])
    let socket = try gateway.connect()
    try socket.send(testRequest("GET", Self.target))
    let bytes = try socket.receiveToEnd()
    #expect(bytes.count(where: { $0 == UInt8(ascii: "x") }) < 60)
  }

  static let slowHeads = ["GET /proxy/bal", "GET /proxy/balances HTTP/1.1\r\nHost: x\r\n"]

  @Test(arguments: slowHeads)
  func `an incomplete head is 408 and recorded`(sent: String) throws {
    let core = try ScriptedUpstream(answer: "")
    let gateway = try RunningGateway(upstreams: [("one", core.port)], gateway: ["timeouts": ["head_s": 0.1]])
    let socket = try gateway.connect()
    try socket.send(sent)
    let text = String(decoding: try socket.receiveToEnd(), as: UTF8.self)
    #expect(text.hasPrefix("HTTP/1.1 408 ") && text.contains("GATEWAY_REQUEST_TIMEOUT"))
    #expect(try gateway.stopAndReadLog().first?["status"] as? Int == 408)
  }

  @Test func `a head that drips meets the same deadline`() throws {
    let core = try ScriptedUpstream(answer: "")
    let gateway = try RunningGateway(upstreams: [("one", core.port)], gateway: ["timeouts": ["head_s": 0.3]])
    let socket = try gateway.connect()
    let start = ContinuousClock.now
    try socket.send("GET /proxy/balances HTTP/1.1\r\n")
    while socket.isQuiet(milliseconds: 50), ContinuousClock.now - start < .seconds(5) {
      try socket.send("X: y\r\n")
    }
    #expect(ContinuousClock.now - start < .seconds(2))
    #expect(String(decoding: try socket.receive(), as: UTF8.self).hasPrefix("HTTP/1.1 408 "))
  }

  @Test(arguments: [("Content-Length: 10", "half"), ("Transfer-Encoding: chunked", "5\r\nhe")])
  func `an incomplete body is 408`(field: String, sent: String) throws {
    let core = try ScriptedUpstream(answer: "")
    let gateway = try RunningGateway(upstreams: [("one", core.port)], gateway: ["timeouts": ["body_idle_s": 0.1]])
    let socket = try gateway.connect()
    try socket.send(testRequest("POST", Self.target, fields: [field]) + sent)
    let text = String(decoding: try socket.receiveToEnd(), as: UTF8.self)
    #expect(text.hasPrefix("HTTP/1.1 408 ") && text.contains("GATEWAY_REQUEST_TIMEOUT"))
    #expect(core.requests.isEmpty)
  }

  @Test func `a body that drips below the minimum rate is 408`() throws {
    let core = try ScriptedUpstream(answer: "")
    let gateway = try RunningGateway(
      upstreams: [("one", core.port)],
      gateway: ["timeouts": ["body_idle_s": 0.3], "limits": ["body_bytes_per_second_min": 100_000]])
    let socket = try gateway.connect()
    let start = ContinuousClock.now
    try socket.send(testRequest("POST", Self.target, fields: ["Content-Length: 1000"]))
    while socket.isQuiet(milliseconds: 50), ContinuousClock.now - start < .seconds(5) { try socket.send("x") }
    #expect(String(decoding: try socket.receive(), as: UTF8.self).hasPrefix("HTTP/1.1 408 "))
    #expect(ContinuousClock.now - start < .seconds(2))
  }

  @Test func `an idle connection is closed without a response`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], gateway: ["timeouts": ["idle_s": 0.2]])
    let fresh = try gateway.connect()
    #expect(try fresh.receiveToEnd().isEmpty)
    let used = try gateway.connect()
    try used.send(testRequest("GET", Self.target))
    var reader = TestMessageReader(used)
    #expect(try reader.next()?.status == 200)
    #expect(try used.receiveToEnd().isEmpty)
    #expect(try gateway.stopAndReadLog().count == 1)
  }

  @Test func `closing an idle connection does not reset a request that arrives at the same time`() throws {
    // The gateway waits as long again before it closes; a busy machine may take longer, so one run of three must pass.
    let gateway = try RunningGateway(upstreams: [("one", 1)], gateway: ["timeouts": ["idle_s": 1]])
    let isClean = try (0..<3).contains { _ in
      let idle = try gateway.connect()
      #expect(try idle.receive().isEmpty)
      try idle.send(testRequest("GET", Self.target))
      // On the loopback interface a reset arrives before `send` returns.
      return !idle.wasReset()
    }
    #expect(isClean)
  }

  @Test func `a client that does not read its response is cut, and Core's connection is released`() throws {
    let large = String(repeating: "x", count: 8 << 20)
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json(large)) }
    let gateway = try RunningGateway(
      upstreams: [("one", core.port)], instance: ["limits": ["connections": 1]],
      gateway: ["timeouts": ["body_idle_s": 0.3]])
    let slow = try gateway.connect(receiveBuffer: 4_096)
    try slow.send(testRequest("GET", Self.target))
    let quick = try gateway.ask("GET", Self.target)
    #expect(quick?.body.count == large.utf8.count)
    let codes = try gateway.stopAndReadLog().map { $0["code"] as? String }
    #expect(codes.contains("GATEWAY_ANSWER_CUT"))
  }
}
