import Foundation
import TestSupport
import Testing

/// The endpoint for operators, and probes on the clients' listener.
@Suite(.timeLimit(.minutes(10))) struct AdminTests {
  private func withGateway(
    _ settings: [String: any Sendable] = [:], _ body: (RunningGateway) throws -> Void
  ) throws {
    let gateway = try RunningGateway(
      upstreams: [("one", 1)], gateway: ["admin": "127.0.0.1:0"].merging(settings) { $1 })
    defer { gateway.stop() }
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
          let refused = try #require(try gateway.askAdmin(path, method: method))
          #expect(refused.status == 405 && refused["Allow"] == "GET, HEAD")
        }
      }
      for path in ["/", "/metrics/", "/METRICS", "//metrics", "/proxy/balances?instance_id=one", "/%6detrics"] {
        #expect(try gateway.askAdmin(path)?.status == 404, "\(path)")
      }
      #expect(try gateway.askAdmin("/livez", fields: ["Content-Length: 1"])?.status == 413)
    }
  }

  @Test func `the endpoint serves no client, and the clients' listener no operator`() throws {
    try withGateway { (gateway) throws in
      for path in ["/livez", "/readyz", "/metrics", "/status"] {
        #expect(try gateway.ask("GET", path, token: nil)?.status == 401, "\(path)")
      }
    }
  }

  @Test func `status tells the gateway and each instance, with what failed last`() throws {
    try withGateway { (gateway) throws in
      #expect(try gateway.ask("GET", "/proxy/balances?instance_id=one")?.status == 502)
      try gateway.reload()
      let body = try #require(try gateway.askAdmin("/status")).body
      let status = try #require(try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any])
      #expect((status["policy"] as? [String: Any])?["generation"] as? Int == 2)
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

  @Test(arguments: tokens) func `a token guards what tells of clients, and not the probes`(
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

  @Test func `two tokens are none`() throws {
    try withGateway(Self.guarded) { (gateway) throws in
      let field = "Authorization: Bearer \(TestPolicyFolder.key)"
      #expect(try gateway.askAdmin("/metrics", fields: [field, field])?.status == 401)
    }
  }

  @Test func `the clients' listener answers probes without a token where it is told to`() throws {
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
