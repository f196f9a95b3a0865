import Foundation
import TestSupport
import Testing

/// Upstream faults: the reply, the outcome, and that nothing is sent twice.
@Suite(.scopedFixtures) struct FaultTests {
  static let target = "/proxy/balances?instance_id=one"

  @Test(arguments: ["GET", "POST"])
  func `a refused connection is 502, and nothing was sent`(method: String) throws {
    let refusing = try RefusingPort()
    let gateway = try RunningGateway(upstreams: [("one", refusing.number)])
    let answer = try gateway.ask(method, Self.target, body: method == "POST" ? "{}" : nil)
    #expect(answer?.status == 502 && answer?.member("code") == "GATEWAY_UPSTREAM_REFUSED")
    #expect(answer?.member("outcome") == "not_sent")
    let record = try #require(try gateway.stopAndReadLog().first)
    #expect(record["outcome"] as? String == "not_sent" && record["code"] as? String == "GATEWAY_UPSTREAM_REFUSED")
  }

  @Test(arguments: ["", "HTTP/1.1 200 OK\r\nContent-Le"])
  func `a write whose connection ends without an answer is unknown and sent once`(begun: String) throws {
    let core = try ScriptedUpstream { _ in .last(Array(begun.utf8)) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let answer = try gateway.ask("POST", Self.target, body: "{}")
    #expect(answer?.status == 502 && answer?.member("code") == "GATEWAY_UPSTREAM_BROKEN")
    #expect(answer?.member("outcome") == "unknown")
    #expect(try gateway.stopAndReadLog().count == 1)
    #expect(core.requests.count == 1)
  }

  /// The first request of each connection is answered; the second finds the connection reset or ended.
  private static func dyingCore(afterReset: Bool) throws -> ScriptedUpstream {
    try ScriptedUpstream { request in
      if request.number == 0 { return .bytes(ScriptedUpstream.json("{}")) }
      return afterReset ? .reset([]) : .last([])
    }
  }

  @Test(arguments: [true, false])
  func `a read that met a dead pooled connection is retried once, on a new one`(afterReset: Bool) throws {
    let core = try Self.dyingCore(afterReset: afterReset)
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    #expect(try gateway.ask("GET", Self.target)?.status == 200)
    #expect(try gateway.ask("GET", Self.target)?.status == 200)
    #expect(core.connectionCount == 2 && core.requests.map(\.connection) == [0, 0, 1])
    #expect(try gateway.stopAndReadLog().map { $0["tries"] as? Int } == [1, 2])
  }

  @Test(arguments: [true, false])
  func `a write that met a dead pooled connection is not sent again`(afterReset: Bool) throws {
    let core = try Self.dyingCore(afterReset: afterReset)
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    #expect(try gateway.ask("POST", Self.target, body: "1")?.status == 200)
    let answer = try gateway.ask("POST", Self.target, body: "2")
    #expect(answer?.status == 502 && answer?.member("outcome") == "unknown")
    #expect(core.requests.map(\.message.bodyText) == ["1", "2"] && core.connectionCount == 1)
  }

  @Test func `a write does not use a pooled connection that Core has closed`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], gateway: ["admin": "127.0.0.1:0"])
    #expect(try gateway.ask("POST", Self.target, body: "1")?.status == 200)
    #expect(try isPooled(1, by: gateway))
    core.endConnections()
    #expect(try isPooled(0, by: gateway))
    #expect(try gateway.ask("POST", Self.target, body: "2")?.status == 200)
    #expect(core.requests.map(\.connection) == [0, 1])
  }

  static let malformed = [
    "nonsense", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 2\r\n\r\n{}",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
  ]

  @Test(arguments: malformed)
  func `a response that is not valid HTTP never reaches the client as a complete one`(bytes: String) throws {
    let core = try ScriptedUpstream { request in
      request.connection == 0 ? .bytes(Array(bytes.utf8)) : .bytes(ScriptedUpstream.json("{}"))
    }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let answer = try gateway.ask("POST", Self.target, body: "{}")
    let isCut = bytes.contains("zz")
    #expect(isCut ? answer == nil : answer?.status == 502 && answer?.member("code") == "GATEWAY_UPSTREAM_MALFORMED")
    #expect(try gateway.ask("GET", Self.target)?.status == 200)
    #expect(core.requests.map(\.connection) == [0, 1])
  }

  @Test func `a connection with bytes after a complete response is discarded`() throws {
    let core = try ScriptedUpstream { request in
      request.connection == 0
        ? .bytes(ScriptedUpstream.json("{}") + ScriptedUpstream.json("another's"))
        : .bytes(ScriptedUpstream.json("own"))
    }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    #expect(try gateway.ask("GET", Self.target)?.bodyText == "{}")
    #expect(try gateway.ask("GET", Self.target)?.bodyText == "own")
  }

  @Test func `a late second answer is never given to the next request`() throws {
    let core = try ScriptedUpstream { request in
      request.connection == 0 ? .bytes(ScriptedUpstream.json("{}")) : .bytes(ScriptedUpstream.json("own"))
    }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], gateway: ["admin": "127.0.0.1:0"])
    #expect(try gateway.ask("GET", Self.target)?.bodyText == "{}")
    #expect(try isPooled(1, by: gateway))
    try core.send(ScriptedUpstream.json("stray"))
    #expect(try isPooled(0, by: gateway))
    #expect(try gateway.ask("GET", Self.target)?.bodyText == "own")
  }

  /// Waits until `count` connections to Core are idle.
  private func isPooled(_ count: Double, by gateway: RunningGateway) throws -> Bool {
    let name = #"blnk_gateway_upstream_connections{instance_id="one",state="idle"}"#
    return try eventually { try gateway.askAdmin("/metrics")?.samples[name] == count }
  }

  static let broken = [
    "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
  ]

  @Test(arguments: broken)
  func `a response that breaks after its head is cut, never ended as if complete`(bytes: String) throws {
    let core = try ScriptedUpstream { _ in .last(Array(bytes.utf8)) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let socket = try gateway.connect()
    try socket.send(testRequest("GET", Self.target))
    let text = String(decoding: try socket.receiveToEnd(), as: UTF8.self)
    #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n") && !text.hasSuffix("0\r\n\r\n"))
    #expect(try gateway.stopAndReadLog().first?["code"] as? String == "GATEWAY_ANSWER_CUT")
  }

  @Test func `a cut response without framing ends with a reset`() throws {
    let core = try ScriptedUpstream { _ in
      .last(Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".utf8))
    }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let socket = try gateway.connect()
    try socket.send(testRequest("GET", Self.target).replacing("HTTP/1.1", with: "HTTP/1.0"))
    #expect(throws: (any Error).self) { try socket.receiveToEnd() }
  }

  @Test func `a response that precedes the complete request is relayed, and both connections close`() throws {
    let core = try EarlyUpstream()
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let socket = try gateway.connect()
    // More than the gateway buffers before it acquires an upstream connection.
    let some = String(repeating: "x", count: 30_000)
    try socket.send(testRequest("POST", Self.target, fields: ["Content-Length: 1000000"]) + some)
    let text = String(decoding: try socket.receiveToEnd(), as: UTF8.self)
    #expect(text.hasPrefix("HTTP/1.1 400 Early\r\n") && text.hasSuffix("\r\n\r\nearly"))
    #expect(core.sawEnd())
  }

  @Test func `a full queue is 503 with Retry-After, and nothing was sent`() throws {
    let core = try ScriptedUpstream { request in
      request.message.startLine.contains("hold") ? .stall([]) : .bytes(ScriptedUpstream.json("{}"))
    }
    let gateway = try RunningGateway(
      upstreams: [("one", core.port)],
      instance: ["limits": ["connections": 1, "queue": 1], "timeouts": ["queue_s": 1, "first_byte_s": 9]],
      gateway: ["admin": "127.0.0.1:0"])
    let holder = try gateway.connect()
    try holder.send(testRequest("GET", "/proxy/balances/hold?instance_id=one"))
    #expect(eventually { !core.requests.isEmpty })
    let waiter = try gateway.connect()
    try waiter.send(testRequest("POST", Self.target, body: "{}"))
    #expect(try eventually { try gateway.askAdmin("/metrics")?.queued(for: "one") == 1 })
    let full = try gateway.ask("GET", Self.target)
    #expect(full?.status == 503 && full?.member("code") == "GATEWAY_UPSTREAM_BUSY" && full?["Retry-After"] == "1")
    var reader = TestMessageReader(waiter)
    let waited = try reader.next()
    #expect(waited?.member("code") == "GATEWAY_UPSTREAM_BUSY" && waited?.member("outcome") == "not_sent")
    #expect(core.requests.count == 1)
  }

  @Test func `a queued request whose connect hangs gets the connect timeout`() throws {
    let hole = try FullBacklog()
    let gateway = try RunningGateway(
      upstreams: [("one", hole.port)],
      instance: ["limits": ["connections": 1], "timeouts": ["queue_s": 1.2, "connect_s": 0.8]])
    let sockets = try (0..<2).map { _ in
      let socket = try gateway.connect()
      try socket.send(testRequest("GET", Self.target))
      return socket
    }
    for socket in sockets {
      var reader = TestMessageReader(socket)
      let answer = try reader.next()
      #expect(answer?.status == 504 && answer?.member("code") == "GATEWAY_UPSTREAM_CONNECT_TIMEOUT")
      #expect(answer?.member("outcome") == "not_sent")
    }
  }

  @Test func `a queued request is served when a connection becomes free`() throws {
    let mayAnswer = Flag()
    let core = try ScriptedUpstream { request in
      _ = eventually { mayAnswer.isSet }
      return .bytes(ScriptedUpstream.json(request.message.startLine))
    }
    let gateway = try RunningGateway(
      upstreams: [("one", core.port)], instance: ["limits": ["connections": 1, "queue": 8]],
      gateway: ["admin": "127.0.0.1:0"])
    var sockets: [TestSocket] = []
    for number in 0..<6 {
      let socket = try gateway.connect()
      try socket.send(testRequest("GET", "/proxy/balances/\(number)?instance_id=one"))
      sockets.append(socket)
    }
    #expect(try eventually { try gateway.askAdmin("/metrics")?.queued(for: "one") == 5 })
    mayAnswer.set()
    for (number, socket) in sockets.enumerated() {
      var reader = TestMessageReader(socket)
      #expect(try reader.next()?.bodyText == "GET /balances/\(number) HTTP/1.1")
    }
    #expect(core.connectionCount == 1)
  }
}

/// Answers before it has read the request, then reads to the end.
final class EarlyUpstream: Sendable {
  let port: UInt16
  private let upstream: RawUpstream

  init() throws {
    upstream = try RawUpstream { socket in
      _ = try? socket.receive(atMost: 100)
      try? socket.send("HTTP/1.1 400 Early\r\nContent-Length: 5\r\n\r\nearly")
      while let bytes = try? socket.receive(), !bytes.isEmpty {}
    }
    port = upstream.port
  }

  /// Whether the gateway has closed the connection.
  func sawEnd() -> Bool { upstream.waitUntilServed() }
}
