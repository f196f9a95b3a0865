import Gateway
import Policies
import TestSupport
import Testing

/// `explain` and the running gateway agree, case by case.
@Suite struct ExplanationTests {
  private static let targets = [
    "/proxy/balances?instance_id=one", "/proxy/balances/b?x=1&instance_id=one", "/proxy/balances?instance_id=two",
    "/proxy/balances?instance_id=none", "/proxy/balances", "/proxy/balances?instance_id=",
    "/proxy/nothing?instance_id=one",
    "/proxy/balances?instance_id=one&instance_id=one", "/proxy/balances?instance%5Fid=one", "/instances/one/balances",
    "/instances/none/balances", "/balances", "/proxy/balances/%2e%2e?instance_id=one",
    "/proxy/balances/?instance_id=one",
    "balances",
  ]

  /// 60 cases: token, method, target.
  private static let cases: [(String, String, String)] =
    targets.flatMap { target in
      [
        (TestPolicyFolder.token, "GET", target), (TestPolicyFolder.readToken, "POST", target),
        (TestPolicyFolder.token, "PATCH", target), ("nobody", "GET", target),
      ]
    }

  @Test func `60 cases come out the same asked and explained`() throws {
    let core = try ScriptedUpstream { request in
      .bytes(ScriptedUpstream.json(request.message.startLine, status: "299 Relayed"))
    }
    defer { core.stop() }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    defer { gateway.stop() }
    for (token, method, target) in Self.cases {
      let answer = try #require(try gateway.ask(method, target, token: token))
      let explanation = try #require(
        gateway.policy.explain(.token(token), method: method, target: target, at: UnixSeconds(1_800_000_000)))
      if let refusal = explanation.refusal {
        #expect(answer.status == refusal.status && answer.member("code") == refusal.code, "\(method) \(target)")
        #expect(explanation.steps.last?.isPassed == false && explanation.steps.dropLast().allSatisfy(\.isPassed))
      } else {
        #expect(answer.status == 299, "\(method) \(target)")
        #expect(explanation.destination == "\(answer.bodyText) to http://127.0.0.1:\(core.port)")
        #expect(explanation.steps.map(\.name) == ["parse", "authenticate", "route", "authorize", "resolve"])
      }
    }
  }

  @Test func `a client is explained like the token it holds`() throws {
    let gateway = try RunningGateway(upstreams: [("one", 1)])
    defer { gateway.stop() }
    let reader = try #require(ClientID("reader"))
    for (_, method, target) in Self.cases {
      let now = UnixSeconds(1_800_000_000)
      let asClient = gateway.policy.explain(.client(reader), method: method, target: target, at: now)
      let asToken = gateway.policy.explain(.token(TestPolicyFolder.readToken), method: method, target: target, at: now)
      #expect(asClient?.refusal?.code == asToken?.refusal?.code && asClient?.destination == asToken?.destination)
    }
    let nobody = try #require(ClientID("nobody"))
    #expect(gateway.policy.explain(.client(nobody), method: "GET", target: "/", at: UnixSeconds(0)) == nil)
  }

  @Test func `an explanation never shows the token`() throws {
    let gateway = try RunningGateway(upstreams: [("one", 1)])
    defer { gateway.stop() }
    for (token, method, target) in Self.cases {
      let explanation = gateway.policy.explain(.token(token), method: method, target: target, at: UnixSeconds(0))
      #expect(explanation?.steps.contains { $0.text.contains(token) } == false)
    }
  }
}
