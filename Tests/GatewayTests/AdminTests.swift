import Foundation
import Gateway
import TestSupport
import Testing

/// The endpoint for operators, and probes on the clients' listener.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct AdminTests {
  private func withGateway(
    _ settings: [String: any Sendable] = [:], _ body: (RunningGateway) throws -> Void
  ) throws {
    let gateway = try RunningGateway(
      upstreams: [("one", 1)], gateway: ["admin": "127.0.0.1:0"].merging(settings) { $1 })
    try body(gateway)
  }

  @Test func `probes, metrics and status answer GET and HEAD, and nothing else`() throws {
    try withGateway { (gateway) throws in
      for path in ["/livez", "/readyz", "/metrics", "/status", "/status?x=1"] {
        let answer = try #require(try gateway.askAdmin(path))
        #expect(answer.status == 200 && !answer.body.isEmpty, "\(path)")
        let head = try #require(try gateway.askAdmin(path, method: "HEAD"))
        #expect(head.status == 200 && head["Content-Type"] == answer["Content-Type"])
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "NONSENSE"] {
          let rejected = try #require(try gateway.askAdmin(path, method: method))
          #expect(rejected.status == 405 && rejected["Allow"] == "GET, HEAD")
        }
      }
      for path in ["/metrics/", "/METRICS", "//metrics", "/proxy/balances?instance_id=one", "/%6detrics"] {
        #expect(try gateway.askAdmin(path)?.status == 404, "\(path)")
      }
      #expect(try gateway.askAdmin("/livez", fields: ["Content-Length: 1"])?.status == 413)
    }
  }

  @Test func `the admin paths do not exist on the clients' listener`() throws {
    try withGateway { (gateway) throws in
      for path in ["/livez", "/readyz", "/metrics", "/status"] {
        #expect(try gateway.ask("GET", path, token: nil)?.status == 401, "\(path)")
      }
    }
  }

  @Test func `status reports the gateway and each instance with its last fault`() throws {
    try withGateway { (gateway) throws in
      #expect(try gateway.ask("GET", "/proxy/balances?instance_id=one")?.status == 502)
      try gateway.reload()
      let body = try #require(try gateway.askAdmin("/status")).body
      let status = try #require(try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any])
      #expect((status["policy"] as? [String: Any])?["generation"] as? Int == 2)
      #expect(status["version"] as? String == gatewayVersion && status["commit"] as? String == Build.commit)
      #expect(status["swift"] as? String == Build.swift && status["libcurl"] as? String == Build.libcurlRunning)
      #expect(status["draining"] as? Bool == false && status["uptime_seconds"] as? Int != nil)
      let instances = try #require(status["instances"] as? [[String: Any]])
      #expect(instances.count == 1 && instances[0]["id"] as? String == "one")
      #expect(instances[0]["in_flight"] as? Int == 0 && instances[0]["breaker"] as? String == "closed")
      let fault = try #require(instances[0]["last_fault"] as? [String: Any])
      #expect(fault["code"] as? String == "GATEWAY_UPSTREAM_REFUSED")
      #expect((fault["detail"] as? String)?.contains("127.0.0.1") == true && fault["at"] != nil)
      #expect(!String(decoding: body, as: UTF8.self).contains(TestPolicyFolder.key))
    }
  }

  private static let guarded: [String: any Sendable] = [
    "admin": ["address": "127.0.0.1:0", "token": ["env": "TEST_KEY"]] as [String: any Sendable]
  ]

  static let tokens: [(String?, Int)] = [
    (nil, 401), ("Bearer core-key-of-tests", 200), ("bearer core-key-of-tests", 200), ("Bearer core-key-of-test", 401),
    ("Bearer core-key-of-tests2", 401), ("Basic core-key-of-tests", 401), ("Bearer", 401), ("Bearer ", 401),
    ("core-key-of-tests", 401), ("Bearer  core-key-of-tests", 401),
  ]

  @Test(arguments: tokens) func `the admin token guards metrics and status, not the probes`(
    credentials: String?, expected: Int
  ) throws {
    try withGateway(Self.guarded) { (gateway) throws in
      let fields = credentials.map { ["Authorization: \($0)"] } ?? []
      for path in ["/metrics", "/status"] {
        let answer = try #require(try gateway.askAdmin(path, fields: fields))
        #expect(answer.status == expected)
        #expect((answer["WWW-Authenticate"] != nil) == (expected == 401))
      }
      for path in ["/livez", "/readyz"] { #expect(try gateway.askAdmin(path, fields: fields)?.status == 200) }
    }
  }

  @Test func `a request with two tokens is unauthorized`() throws {
    try withGateway(Self.guarded) { (gateway) throws in
      let field = "Authorization: Bearer \(TestPolicyFolder.key)"
      #expect(try gateway.askAdmin("/metrics", fields: [field, field])?.status == 401)
    }
  }

  @Test func `24 silent connections do not block an operator`() throws {
    try withGateway { (gateway) throws in
      let port = try #require(gateway.adminPort)
      let silent = try (0..<24).map { _ in try TestSocket(port: port) }
      for path in ["/livez", "/metrics", "/status"] { #expect(try gateway.askAdmin(path)?.status == 200, "\(path)") }
      withExtendedLifetime(silent) {}
    }
  }

  @Test func `a storm of scrapes does not block probes`() throws {
    try withGateway { (gateway) throws in
      // A response that is not read is cut after 5 s: a busy machine may spoil a round.
      #expect(try (0..<5).contains { _ in try isScrapeRejected(by: gateway) })
    }
  }

  /// Whether one more scrape gets 503 while 16 are being answered; probes are still served.
  private func isScrapeRejected(by gateway: RunningGateway) throws -> Bool {
    var busy: [TestSocket] = []
    for _ in 0..<16 {
      let socket = try TestSocket(port: gateway.adminPort ?? 0, receiveBuffer: 4_096)
      // More than the buffers of both sides hold.
      let scrape = testRequest("GET", "/metrics", token: nil, host: "localhost")
      try? socket.send(String(repeating: scrape, count: 600))
      busy.append(socket)
    }
    defer { busy.removeAll() }
    for socket in busy { #expect(socket.waitUntilReadable()) }
    for path in ["/livez", "/readyz"] { #expect(try gateway.askAdmin(path)?.status == 200) }
    guard let answer = try gateway.askAdmin("/metrics"), answer.status == 503 else { return false }
    #expect(answer["Retry-After"] == "1" && answer.bodyText.contains("All 16 connections"))
    for path in ["/livez", "/readyz"] { #expect(try gateway.askAdmin(path)?.status == 200) }
    return true
  }

  static let hosts: [(host: String, status: Int)] = [
    ("127.0.0.1", 200), ("127.0.0.1:9901", 200), ("localhost", 200), ("LocalHost:1", 200), ("ops.example", 200),
    ("OPS.example:9901", 200), ("[::2]:9901", 200), ("[::2]", 200), ("evil.example", 421),
    ("127.0.0.1.evil.example", 421),
    ("127.0.0.2", 421), ("[::1]", 421), ("localhost.", 421), ("ops.example.evil.example:9901", 421), ("x", 421),
  ]

  /// Otherwise DNS rebinding would let another site's page read the endpoint through an operator's browser.
  @Test(arguments: hosts) func `answers only requests whose Host is its address, localhost or one of its hosts`(
    host: String, status: Int
  ) throws {
    let admin: [String: any Sendable] = ["address": "127.0.0.1:0", "hosts": ["ops.example", "[::2]"]]
    try withGateway(["admin": admin]) { (gateway) throws in
      for path in ["/livez", "/metrics", "/status", "/none"] {
        let answer = try #require(try gateway.askAdmin(path, host: host))
        #expect(answer.status == (path == "/none" && status == 200 ? 404 : status), "\(path)")
        guard status == 421 else { continue }
        #expect(
          answer.bodyText.contains("\"\(host.split(separator: ":9").first ?? "")\"")
            && answer.bodyText.contains("gateway.json"))
      }
    }
  }

  @Test func `on the wildcard address, any IP address is accepted as Host, other names are not`() throws {
    let admin: [String: any Sendable] = [
      "address": "0.0.0.0:0", "token": ["env": "TEST_KEY"] as [String: any Sendable],
    ]
    try withGateway(["admin": admin]) { (gateway) throws in
      for host in ["127.0.0.1", "10.1.2.3:9901", "[2001:db8::1]:80"] {
        #expect(try gateway.askAdmin("/livez", host: host)?.status == 200, "\(host)")
      }
      #expect(try gateway.askAdmin("/livez", host: "evil.example")?.status == 421)
    }
  }

  @Test func `HTTP 1.0 without Host is answered`() throws {
    try withGateway { (gateway) throws in
      let socket = try TestSocket(port: try #require(gateway.adminPort))
      try socket.send("GET /livez HTTP/1.0\r\n\r\n")
      var reader = TestMessageReader(socket)
      #expect(try reader.next()?.status == 200)
    }
  }

  @Test func `health_on_listen answers probes on the clients' listener without a token`() throws {
    try withGateway(["health_on_listen": true]) { (gateway) throws in
      for path in ["/livez", "/readyz"] {
        let answer = try #require(try gateway.ask("GET", path, token: nil))
        #expect(answer.status == 200 && answer.bodyText == "ok\n" && answer["X-Request-Id"]?.utf8.count == 32)
        #expect(try gateway.ask("HEAD", path, token: nil)?.status == 200)
        #expect(try gateway.ask("POST", path, token: nil)?.status == 401)
      }
      for path in ["/metrics", "/status", "/livez/", "/Livez", "/livez%20"] {
        #expect(try gateway.ask("GET", path, token: nil)?.status == 401, "\(path)")
      }
    }
  }
}
