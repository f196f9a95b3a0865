import Foundation
import Synchronization
import TestSupport
import Testing

/// Keys, redirects, breaker, health and concurrency of one instance.
@Suite(.scopedFixtures) struct InstanceTests {
  static let target = "/proxy/balances?instance_id=one"
  static let twoKeys: [String: any Sendable] = ["key": [["env": "TEST_KEY"], ["env": "TEST_KEY_2"]]]

  private static func refusal(_ code: String) -> [UInt8] {
    ScriptedUpstream.json(
      #"{"error":"Invalid API key","error_detail":{"code":"\#(code)","message":"Invalid API key"}}"#,
      status: "401 Unauthorized")
  }

  /// A Core that accepts one key.
  private static func core(takes key: String) throws -> ScriptedUpstream {
    try ScriptedUpstream { request in
      .bytes(request.message["X-Blnk-Key"] == key ? ScriptedUpstream.json("{}") : refusal("AUTH_INVALID_API_KEY"))
    }
  }

  @Test(arguments: ["AUTH_INVALID_API_KEY", "AUTH_MISSING_API_KEY"], ["GET", "POST"])
  func `a refused instance key does not look like a refused client token`(code: String, method: String) throws {
    let core = try ScriptedUpstream { _ in .bytes(Self.refusal(code)) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let answer = try gateway.ask(method, Self.target, body: method == "POST" ? "{}" : nil)
    #expect(answer?.status == 502 && answer?.member("code") == "GATEWAY_UPSTREAM_KEY_REJECTED")
    #expect(answer?.member("outcome") == "not_sent" && answer?.values("WWW-Authenticate") == [])
    #expect(core.requests.count == 1)
    #expect(try gateway.stopAndReadLog().first?["outcome"] as? String == "not_sent")
  }

  @Test func `a read whose key was refused is retried with the next key`() throws {
    let core = try Self.core(takes: TestPolicyFolder.secondKey)
    let gateway = try RunningGateway(upstreams: [("one", core.port)], instance: Self.twoKeys)
    #expect(try gateway.ask("GET", Self.target)?.status == 200)
    #expect(core.requests.map { $0.message["X-Blnk-Key"] } == [TestPolicyFolder.key, TestPolicyFolder.secondKey])
    #expect(try gateway.ask("POST", Self.target, body: "{}")?.status == 200)
  }

  /// The body is no longer available for a second try.
  @Test func `a read with a body is not retried after a refused key`() throws {
    let core = try Self.core(takes: TestPolicyFolder.secondKey)
    let gateway = try RunningGateway(upstreams: [("one", core.port)], instance: Self.twoKeys)
    let answer = try gateway.ask("GET", Self.target, body: "1")
    #expect(answer?.status == 502 && answer?.member("outcome") == "not_sent")
    #expect(try gateway.ask("GET", Self.target, body: "2")?.status == 200)
    #expect(core.requests.map(\.message.bodyText) == ["1", "2"])
  }

  @Test func `a write is not retried after a refused key; the next write has the next key`() throws {
    let core = try Self.core(takes: TestPolicyFolder.secondKey)
    let gateway = try RunningGateway(upstreams: [("one", core.port)], instance: Self.twoKeys)
    #expect(try gateway.ask("POST", Self.target, body: "1")?.status == 502)
    #expect(try gateway.ask("POST", Self.target, body: "2")?.status == 200)
    #expect(core.requests.map(\.message.bodyText) == ["1", "2"])
  }

  @Test func `keys do not alternate while Core refuses them all`() throws {
    let core = try Self.core(takes: "neither")
    let gateway = try RunningGateway(upstreams: [("one", core.port)], instance: Self.twoKeys)
    for _ in 0..<3 { #expect(try gateway.ask("GET", Self.target)?.status == 502) }
    let keys = core.requests.map { $0.message["X-Blnk-Key"] }
    #expect(keys == [TestPolicyFolder.key] + Array(repeating: TestPolicyFolder.secondKey, count: 3))
  }

  @Test func `a refused key is recognized without a body`() throws {
    let core = try ScriptedUpstream(answer: "HTTP/1.1 401 Unauthorized\r\nContent-Length: 102\r\n\r\n")
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    #expect(try gateway.ask("HEAD", Self.target)?.status == 502)
  }

  @Test func `any other 401 from upstream is relayed`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}", status: "401 Unauthorized")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    #expect(try gateway.ask("GET", Self.target)?.status == 401)
  }

  static let redirects = [
    ("/proxy/balances/x?instance_id=one", "/balances?limit=1", "/proxy/balances?limit=1&instance_id=one"),
    ("/proxy/balances/x?instance_id=one", "/balances", "/proxy/balances?instance_id=one"),
    ("/proxy/balances/x?instance_id=one", "/a?b=c#d", "/proxy/a?b=c&instance_id=one#d"),
    ("/proxy/balances/x?instance_id=one", "/a#d", "/proxy/a?instance_id=one#d"),
    ("/instances/one/balances/x", "/balances?limit=1", "/instances/one/balances?limit=1"),
    ("/instances/one/balances/x?instance_id=one", "/balances", "/instances/one/balances"),
    ("/balances/x?instance_id=one", "/balances?limit=1", "/balances?limit=1&instance_id=one"),
    ("/proxy/balances/x?instance_id=one", "http://CORE/balances", "/proxy/balances?instance_id=one"),
    ("/proxy/balances/x?instance_id=one", "https://elsewhere.example/x", "https://elsewhere.example/x"),
    ("/proxy/balances/x?instance_id=one", "//elsewhere.example/x", "//elsewhere.example/x"),
    ("/proxy/balances/x?instance_id=one", "http://CORE.evil.example/x", "http://CORE.evil.example/x"),
    ("/proxy/balances/x?instance_id=one", "HTTP://CORE/balances", "/proxy/balances?instance_id=one"),
    ("/proxy/balances/x?instance_id=one", "//CORE/balances", "/proxy/balances?instance_id=one"),
    ("/proxy/balances/x?instance_id=one", "http://CORE", "/proxy/?instance_id=one"),
    ("/proxy/balances/x?instance_id=one", "http://CORE?a=1#f", "/proxy/?a=1&instance_id=one#f"),
    ("/instances/one/balances/x", "http://CORE#f", "/instances/one/#f"),
    ("/proxy/balances/x?instance_id=one", "http://CORE@elsewhere.example/", "http://CORE@elsewhere.example/"),
    ("/proxy/balances/x?instance_id=one", "http://127.0.0.1/x", "http://127.0.0.1/x"),
    ("/proxy/balances/x?instance_id=one", "//127.0.0.1/x", "//127.0.0.1/x"),
    ("/proxy/balances/x?instance_id=one", "/a?instance_id=two", "/proxy/a?instance_id=one"),
    ("/proxy/balances/x?instance_id=one", "/a?b=1&instance_id=one&c", "/proxy/a?b=1&c&instance_id=one"),
    ("/proxy/balances/x?instance_id=one", "/a?instance%5Fid=two&b", "/proxy/a?b&instance_id=one"),
    ("/instances/one/balances/x", "/a?instance_id=one&b=1", "/instances/one/a?b=1"),
    ("/instances/one/balances/x", "/a?instance_id=one", "/instances/one/a"),
  ]

  @Test(arguments: redirects)
  func `a redirect to Core stays inside the gateway`(target: String, location: String, seen: String) throws {
    let authority = Mutex("")
    let core = try ScriptedUpstream { _ in
      let location = location.replacing("CORE", with: authority.withLock { $0 })
      return .bytes(Array("HTTP/1.1 301 Moved Permanently\r\nLocation: \(location)\r\nContent-Length: 0\r\n\r\n".utf8))
    }
    authority.withLock { $0 = "127.0.0.1:\(core.port)" }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let answer = try gateway.ask("GET", target)
    #expect(answer?["Location"] == seen.replacing("CORE", with: "127.0.0.1:\(core.port)"))
  }

  @Test func `a redirect to a Core with a name and a prefix stays inside the gateway`() throws {
    let redirects = [
      ("http://LocalHost:PORT/blnk/a", "/proxy/a?instance_id=one"),
      ("https://localhost:PORT/blnk", "/proxy/?instance_id=one"),
      ("/blnk/a?b", "/proxy/a?b&instance_id=one"), ("http://localhost/blnk/a", "http://localhost/blnk/a"),
      ("http://localhost:PORT/blnkx", "http://localhost:PORT/blnkx"),
    ]
    for (location, seen) in redirects {
      let port = Mutex("")
      let core = try ScriptedUpstream { _ in
        let location = location.replacing("PORT", with: port.withLock { $0 })
        return .bytes(Array("HTTP/1.1 302 Found\r\nContent-Location: \(location)\r\nContent-Length: 0\r\n\r\n".utf8))
      }
      port.withLock { $0 = "\(core.port)" }
      let gateway = try RunningGateway(
        upstreams: [("one", core.port)], instance: ["url": "http://localhost:\(core.port)/blnk"])
      let answer = try gateway.ask("GET", Self.target)
      #expect(answer?["Content-Location"] == seen.replacing("PORT", with: "\(core.port)"))
    }
  }

  @Test func `response fields with the gateway's own address are dropped`() throws {
    let shown =
      "X-Rate-Limit-Request-Remote-Addr: 10.0.0.1:1\r\nX-Rate-Limit-Request-Forwarded-For: x\r\nX-Rate-Limit-Limit: 5"
    let core = try ScriptedUpstream(answer: "HTTP/1.1 200 OK\r\n\(shown)\r\nContent-Length: 0\r\n\r\n")
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let answer = try #require(try gateway.ask("GET", Self.target))
    #expect(answer.values("X-Rate-Limit-Request-Remote-Addr") == [] && answer.values("X-Rate-Limit-Limit") == ["5"])
    #expect(answer.values("X-Rate-Limit-Request-Forwarded-For") == [])
  }

  @Test func `the breaker opens, rejects at once, and closes after a read that succeeds`() throws {
    let isFailing = Atomic<Bool>(true)
    let core = try ScriptedUpstream { _ in
      .bytes(ScriptedUpstream.json("{}", status: isFailing.load(ordering: .relaxed) ? "503 Failing" : "200 OK"))
    }
    let gateway = try RunningGateway(
      upstreams: [("one", core.port)], instance: ["breaker": ["failures": 3, "open_s": 0.2]])
    for _ in 0..<3 { #expect(try gateway.ask("GET", Self.target)?.startLine == "HTTP/1.1 503 Failing") }
    let rejected = try gateway.ask("POST", Self.target, body: "{}")
    #expect(rejected?.status == 503 && rejected?.member("code") == "GATEWAY_UPSTREAM_UNAVAILABLE")
    #expect(rejected?.member("outcome") == "not_sent" && rejected?["Retry-After"] == "1")
    #expect(core.requests.count == 3)
    isFailing.store(false, ordering: .relaxed)
    #expect(try eventually { try gateway.ask("GET", Self.target)?.status == 200 })
    #expect(try gateway.ask("POST", Self.target, body: "{}")?.status == 200)
  }

  @Test func `if only writes arrive, GET /health is the probe`() throws {
    let isFailing = Atomic<Bool>(true)
    let core = try ScriptedUpstream { _ in
      .bytes(ScriptedUpstream.json("{}", status: isFailing.load(ordering: .relaxed) ? "502 Failing" : "200 OK"))
    }
    let gateway = try RunningGateway(
      upstreams: [("one", core.port)], instance: ["breaker": ["failures": 1, "open_s": 0.1]])
    #expect(try gateway.ask("POST", Self.target, body: "{}")?.startLine == "HTTP/1.1 502 Failing")
    isFailing.store(false, ordering: .relaxed)
    // Longer than open_s: even then a write is rejected until the probe has succeeded.
    Thread.sleep(forTimeInterval: 0.15)
    #expect(try gateway.ask("POST", Self.target, body: "{}")?.member("code") == "GATEWAY_UPSTREAM_UNAVAILABLE")
    #expect(try eventually { try gateway.ask("POST", Self.target, body: "{}")?.status == 200 })
    #expect(core.requests.contains { $0.message.startLine == "GET /health HTTP/1.1" })
  }

  @Test func `a 4xx from Core does not open the breaker`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}", status: "404 Not Found")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], instance: ["breaker": ["failures": 1]])
    for _ in 0..<3 { #expect(try gateway.ask("GET", Self.target)?.status == 404) }
  }

  @Test func `an instance whose health checks fail gets no requests until they succeed`() throws {
    let isWell = Atomic<Bool>(false)
    let core = try ScriptedUpstream { request in
      let isDown = request.message.startLine.hasPrefix("GET /health ") && !isWell.load(ordering: .relaxed)
      return .bytes(ScriptedUpstream.json("{}", status: isDown ? "503 Down" : "200 OK"))
    }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], instance: ["health": ["interval_s": 0.05]])
    #expect(try eventually { try gateway.ask("GET", Self.target)?.member("code") == "GATEWAY_UPSTREAM_UNAVAILABLE" })
    isWell.store(true, ordering: .relaxed)
    #expect(try eventually { try gateway.ask("POST", Self.target, body: "{}")?.status == 200 })
  }

  @Test(arguments: [[:], ["breaker": ["failures": 7]]] as [[String: any Sendable]])
  func `a reload without health checks restores an unhealthy instance`(changes: [String: any Sendable]) throws {
    let core = try ScriptedUpstream { request in
      let isCheck = request.message.startLine.hasPrefix("GET /health ")
      return .bytes(ScriptedUpstream.json("{}", status: isCheck ? "503 Down" : "200 OK"))
    }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let checks: [String: any Sendable] = ["health": ["interval_s": 0.05]]
    try gateway.reload(instance: checks)
    #expect(try eventually { try gateway.ask("GET", Self.target)?.member("code") == "GATEWAY_UPSTREAM_UNAVAILABLE" })
    try gateway.reload(instance: changes)
    #expect(try gateway.ask("GET", Self.target)?.status == 200)
  }

  @Test func `the result of a check that a reload ended is ignored`() throws {
    let isHeld = Flag()
    let isOver = Flag()
    let core = try ScriptedUpstream { request in
      guard request.message.startLine.hasPrefix("GET /health ") else { return .bytes(ScriptedUpstream.json("{}")) }
      isHeld.set()
      _ = eventually { isOver.isSet }
      return .last(ScriptedUpstream.json("{}", status: "503 Down"))
    }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], instance: ["health": ["interval_s": 60]])
    #expect(eventually { isHeld.isSet })
    try gateway.reload(instance: ["health": ["interval_s": 0]])
    isOver.set()
    // The check's result usually arrives within this time; if it is later, the test checks less and still passes.
    for _ in 0..<20 {
      #expect(try gateway.ask("GET", Self.target)?.status == 200)
      Thread.sleep(forTimeInterval: 0.01)
    }
  }

  @Test(arguments: [(nil, 200), (0.5, 200), (1, 503)] as [(Double?, Int)])
  func `stalled uploads of one client hold at most its share of the connections`(share: Double?, status: Int) throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    var limits: [String: any Sendable] = ["connections": 4]
    if let share { limits["share"] = share }
    let gateway = try RunningGateway(
      upstreams: [("one", core.port)], instance: ["limits": limits, "timeouts": ["queue_s": 1]])
    // More than the gateway buffers before it acquires an upstream connection, and less than the whole body.
    let head = testRequest("POST", Self.target, fields: ["Content-Length: 1000000"])
    let upload = head + String(repeating: "x", count: 60_000)
    let clients = try (0..<8).map { _ in try gateway.connect() }
    for client in clients { try client.send(upload) }
    let held = Int(4 * (share ?? 0.25))
    #expect(eventually { core.connectionCount == held })
    #expect(try gateway.ask("GET", Self.target, token: TestPolicyFolder.readToken)?.status == status)
    #expect(core.connectionCount == held + (status == 200 ? 1 : 0))
    withExtendedLifetime(clients) {}
  }

  @Test func `a bound on concurrent requests holds over all loops`() throws {
    let core = try ScriptedUpstream { request in
      request.message.startLine.contains("hold") ? .stall([]) : .bytes(ScriptedUpstream.json("{}"))
    }
    let gateway = try RunningGateway(
      upstreams: [("one", core.port)], loops: 2,
      instance: ["limits": ["concurrent": 2], "timeouts": ["first_byte_s": 0.5]])
    let holders = try (0..<2).map { _ in try gateway.connect() }
    for holder in holders { try holder.send(testRequest("GET", "/proxy/balances/hold?instance_id=one")) }
    #expect(eventually { core.requests.count == 2 })
    #expect(try gateway.ask("GET", Self.target)?.member("code") == "GATEWAY_UPSTREAM_BUSY")
    for holder in holders {
      var reader = TestMessageReader(holder)
      #expect(try reader.next()?.status == 504)
    }
    #expect(try gateway.ask("GET", Self.target)?.status == 200)
  }

  @Test func `a connection is closed before Core would close it`() throws {
    let core = try ScriptedUpstream(
      answer: "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1, max=9\r\nContent-Length: 0\r\n\r\n")
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    #expect(try gateway.ask("GET", Self.target)?.status == 200)
    #expect(try gateway.ask("GET", Self.target)?.status == 200)
    #expect(core.connectionCount == 1)
    // Longer than half of the timeout that Core announces.
    Thread.sleep(forTimeInterval: 0.6)
    #expect(try gateway.ask("GET", Self.target)?.status == 200)
    #expect(core.connectionCount == 2)
  }
}
