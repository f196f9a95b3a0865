import Gateway
import Policies
import TestSupport
import Testing

/// `explain` and the running gateway agree, case by case.
@Suite(.scopedFixtures) struct ExplanationTests {
  private static let targets = [
    "/proxy/balances?instance_id=one", "/proxy/balances/b?x=1&instance_id=one", "/proxy/balances?instance_id=two",
    "/proxy/balances?instance_id=none", "/proxy/balances", "/proxy/balances?instance_id=",
    "/proxy/nothing?instance_id=one",
    "/proxy/balances?instance_id=one&instance_id=one", "/proxy/balances?instance%5Fid=one", "/instances/one/balances",
    "/instances/none/balances", "/balances", "/balances?instance_id=one", "/balances?instance_id=two",
    "/instances/one/balances?instance_id=one", "/instances/one/balances?instance_id=two",
    "/proxy/balances/%2e%2e?instance_id=one",
    "/proxy/balances/?instance_id=one",
    "balances",
  ]

  /// Token, method, target.
  private static let cases: [(String, String, String)] =
    targets.flatMap { target in
      [
        (TestPolicyFolder.token, "GET", target), (TestPolicyFolder.readToken, "POST", target),
        (TestPolicyFolder.token, "PATCH", target), ("token-of-no-client", "GET", target),
      ]
    }

  @Test func `explain and the gateway decide requests alike`() throws {
    let core = try ScriptedUpstream { request in
      .bytes(ScriptedUpstream.json(request.message.startLine, status: "299 Relayed"))
    }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    for (token, method, target) in Self.cases {
      let answer = try #require(try gateway.ask(method, target, token: token))
      let explanation = try #require(
        gateway.policy.explain(.token(token), method: method, target: target, at: UnixSeconds(1_800_000_000)))
      if let rejection = explanation.rejection {
        #expect(answer.status == rejection.status && answer.member("code") == rejection.code, "\(method) \(target)")
        #expect(explanation.steps.last?.isPassed == false && explanation.steps.dropLast().allSatisfy(\.isPassed))
      } else {
        #expect(answer.status == 299, "\(method) \(target)")
        #expect(explanation.destination == "\(answer.bodyText) to http://127.0.0.1:\(core.port)")
        #expect(explanation.steps.map(\.name) == ["parse", "authenticate", "route", "authorize", "resolve", "limit"])
      }
    }
  }

  @Test func `explaining a client equals explaining its token`() throws {
    let gateway = try RunningGateway(upstreams: [("one", 1)])
    let reader = try #require(ClientID("reader"))
    for (_, method, target) in Self.cases {
      let now = UnixSeconds(1_800_000_000)
      let asClient = gateway.policy.explain(.client(reader), method: method, target: target, at: now)
      let asToken = gateway.policy.explain(.token(TestPolicyFolder.readToken), method: method, target: target, at: now)
      #expect(asClient?.rejection?.code == asToken?.rejection?.code && asClient?.destination == asToken?.destination)
    }
    let unknown = try #require(ClientID("unknown"))
    #expect(gateway.policy.explain(.client(unknown), method: "GET", target: "/", at: UnixSeconds(0)) == nil)
  }

  /// The text of a step for the client of `token`, with a separate folder.
  private static func step(
    _ name: String, _ method: String, instance: [String: any Sendable] = [:], client: [String: any Sendable] = [:],
    gateway: [String: any Sendable] = [:]
  ) throws -> Explanation.Step? {
    let folder = try TestPolicyFolder(instances: [("one", "http://127.0.0.1:1")], instance: instance)
    try folder.writeSettings(changes: gateway)
    try folder.writeClients(app: client)
    let source = PolicyFolder(
      path: folder.path, stateFolder: folder.statePath, environment: ["TEST_KEY": TestPolicyFolder.key])
    let policy = try #require(Policy.load(source, now: UnixSeconds(0)).policy)
    let target = "/proxy/balances?instance_id=one"
    return policy.explain(.token(TestPolicyFolder.token), method: method, target: target, at: UnixSeconds(0))?.steps
      .first { $0.name == name }
  }

  private static let rates: [String: any Sendable] = [
    "read": ["requests_per_second": 50, "burst": 100], "write": ["requests_per_second": 0.5, "burst": 1],
  ]

  static let limits: [(String, [String: any Sendable], String)] = [
    ("GET", [:], "the client has no limit on reads"), ("GET", rates, "read budget 50/s, burst 100"),
    ("POST", rates, "write budget 0.5/s, burst 1"),
    ("POST", ["read": ["requests_per_second": 50]], "the client has no limit on writes"),
    (
      "POST", ["requests_per_second": 7, "concurrent": 32],
      "read and write budget 7/s, burst 7; at most 32 requests in flight"
    ),
  ]

  @Test(arguments: limits)
  func `states the limits of the client`(method: String, limits: [String: any Sendable], text: String) throws {
    let step = try Self.step("limit", method, client: ["limits": limits])
    let body = method == "POST" ? "body of at most 5242880 bytes; " : ""
    #expect(
      step?.isPassed == true && step?.text == "\(body)\(text); the instance's breaker opens after 5 failures in a row")
  }

  @Test func `states the limits, breaker and health checks of the instance`() throws {
    let instance: [String: any Sendable] = [
      "limits": ["concurrent": 8], "breaker": ["failures": 0], "health": ["interval_s": 2.5],
    ]
    let text = try Self.step("limit", "GET", instance: instance)?.text
    #expect(
      text?.hasSuffix(
        "reads; at most 8 requests in flight to the instance; the instance has no breaker; health check every 2.5 s")
        == true)
  }

  @Test func `says whether a write needs an idempotency key, and how long its body may then be`() throws {
    let keys: [String: any Sendable] = ["idempotency": ["body_bytes_max": 1_024]]
    let text = try Self.step("limit", "POST", gateway: keys)?.text
    #expect(text?.contains("; an Idempotency-Key is optional; with one, the body has at most 1024 bytes; ") == true)
    for other in [try Self.step("limit", "GET", gateway: keys), try Self.step("limit", "POST")] {
      #expect(other?.text.contains("Idempotency") == false)
    }
  }

  @Test func `shows maintenance, to reads too`() throws {
    let read = try Self.step("resolve", "GET", instance: ["writes": false])
    #expect(read?.isPassed == true && read?.text.hasSuffix(#"; its "writes" is false, but this is a read"#) == true)
    let write = try Self.step("resolve", "POST", instance: ["writes": false])
    #expect(write?.isPassed == false && write?.text.contains(#"Its "writes" is false in instances.json."#) == true)
    #expect(try Self.step("resolve", "POST")?.text == "instance one, which the client may use")
  }

  /// How a request with a bound or unbound token of `TestPolicyFolder` gets its instance, at a host of `two` or another.
  @Test(
    arguments: [
      (nil, "gateway", "/balances", "instance one, the client's default, which the client may use"),
      (nil, "two.example:80", "/balances", "instance two, named by the host, which the client may use"),
      (nil, "two.example", "/instances/one/balances", "must name the same instance."),
      (["two"], "gateway", "/balances", "instance two, the token's default, which the client may use"),
      (["two"], "gateway", "/balances?instance_id=two", "instance two, which the client may use"),
      (
        ["two"], "gateway", "/instances/one/balances",
        #"The token's entry in clients.app.tokens has "instances" that do not"#
      ),
      (
        ["two", "three"], "gateway", "/balances",
        #"The token's entry in clients.app.tokens has no "default_instance" either."#
      ),
    ] as [([String]?, String, String, String)])
  func `says how the request named the instance`(bound: [String]?, host: String, target: String, text: String) throws {
    let folder = try TestPolicyFolder(
      instances: ["one", "two", "three"].map { ($0, "http://127.0.0.1:1") }, hosts: ["two": ["two.example"]])
    let binding: [String: any Sendable] = bound.map { ["instances": $0] } ?? [:]
    let token = TestPolicyFolder.entry(of: TestPolicyFolder.token).merging(binding) { $1 }
    try folder.writeClients(app: ["default_instance": "one", "tokens": [token]])
    let source = PolicyFolder(
      path: folder.path, stateFolder: folder.statePath, environment: ["TEST_KEY": TestPolicyFolder.key])
    let policy = try #require(Policy.load(source, now: UnixSeconds(0)).policy)
    let steps = policy.explain(
      .token(TestPolicyFolder.token), method: "GET", target: target, host: host, at: UnixSeconds(0))?.steps
    let step = try #require(steps?.first { $0.name == "resolve" })
    #expect(step.text.contains(text), "\(step.text)")
    let who = steps?.first { $0.name == "authenticate" }?.text
    #expect(who?.contains("bound to") == (bound != nil), "\(who ?? "")")
    #expect(bound?.allSatisfy { who?.contains($0) == true } != false, "\(who ?? "")")
  }

  @Test func `an explanation never shows the token`() throws {
    let gateway = try RunningGateway(upstreams: [("one", 1)])
    for (token, method, target) in Self.cases {
      let explanation = gateway.policy.explain(.token(token), method: method, target: target, at: UnixSeconds(0))
      #expect(explanation?.steps.contains { $0.text.contains(token) } == false)
    }
  }
}
