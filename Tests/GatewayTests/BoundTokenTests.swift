import Foundation
import TestSupport
import Testing

/// Callers that can set neither path nor query, for example SDKs that drop the path of a base URL.
@Suite(.scopedFixtures) struct BoundTokenTests {
  private struct Stage {
    let one: ScriptedUpstream
    let two: ScriptedUpstream
    let gateway: RunningGateway

    init(loops: Int = 1) throws {
      one = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}", status: "201 One")) }
      two = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}", status: "201 Two")) }
      gateway = try RunningGateway(
        upstreams: [("one", one.port), ("two", two.port)], loops: loops, hosts: ["two": ["two.gateway.test"]])
    }

    /// Two tokens of one client: one that is bound to `two`, and one that is not.
    func bind(_ client: [String: any Sendable] = [:]) throws {
      let bound = TestPolicyFolder.entry(of: BoundTokenTests.bound).merging(["instances": ["two"]]) { $1 }
      let tokens = [TestPolicyFolder.entry(of: TestPolicyFolder.token), bound]
      try gateway.reload(client: client.merging(["default_instance": "one", "tokens": tokens]) { $1 })
    }

    func write(_ token: String, _ target: String = "/balances", host: String = "gateway.test") throws -> TestMessage? {
      try gateway.ask("POST", target, fields: ["X-Blnk-Key: \(token)"], body: "{}", token: nil, host: host)
    }
  }

  private static let bound = "blnk_at_test-token-bound-to-two"

  @Test func `a write with a bound token reaches the token's instance only`() throws {
    let stage = try Stage()
    try stage.bind()
    #expect(try stage.write(Self.bound)?.startLine == "HTTP/1.1 201 Two")
    #expect(try stage.write(TestPolicyFolder.token)?.startLine == "HTTP/1.1 201 One")
    let rejected = try stage.write(Self.bound, "/instances/one/balances")
    #expect(rejected?.status == 403 && rejected?.member("code") == "GATEWAY_INSTANCE_FORBIDDEN")
    #expect(stage.one.requests.count == 1 && stage.two.requests.count == 1)
    let records = try stage.gateway.stopAndReadLog()
    #expect(records.map { $0["client"] as? String } == ["app", "app", "app"])
  }

  @Test func `a write to an instance's host reaches it, and is rejected if it names another instance`() throws {
    let stage = try Stage()
    try stage.bind()
    let host = "TWO.gateway.test:8443"
    #expect(try stage.write(TestPolicyFolder.token, host: host)?.startLine == "HTTP/1.1 201 Two")
    for target in ["/balances?instance_id=one", "/instances/one/balances", "/proxy/balances?instance_id=one"] {
      let rejected = try stage.write(TestPolicyFolder.token, target, host: host)
      #expect(rejected?.status == 400 && rejected?.member("code") == "GATEWAY_INSTANCE_MALFORMED")
    }
    #expect(stage.one.requests.isEmpty && stage.two.requests.count == 1)
    // Core gets its own host, and no instance_id.
    #expect(try stage.write(Self.bound, "/balances?a=1&instance_id=two", host: host)?.status == 201)
    #expect(stage.two.requests.last?.message.startLine == "POST /balances?a=1 HTTP/1.1")
    #expect(stage.two.requests.last?.message["Host"] == "127.0.0.1:\(stage.two.port)")
  }

  @Test func `all tokens of a client share its limits`() throws {
    let stage = try Stage(loops: 2)
    try stage.bind(["limits": ["requests_per_second": 0.001, "burst": 3]])
    let answers = try [Self.bound, TestPolicyFolder.token, Self.bound, TestPolicyFolder.token, Self.bound].map {
      try stage.write($0)?.status
    }
    #expect(answers == [201, 201, 201, 429, 429])
    // A reload does not refill the budget.
    try stage.bind(["limits": ["requests_per_second": 0.001, "burst": 3]])
    #expect(try stage.write(Self.bound)?.status == 429)
    #expect(try stage.write(TestPolicyFolder.token)?.status == 429)
  }
}
