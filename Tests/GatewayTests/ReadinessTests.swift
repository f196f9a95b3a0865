import Foundation
import Policies
import Reactor
import Synchronization
import System
import TestSupport
import Testing

@testable import Audit
@testable import Gateway

/// What `/readyz` says, and maintenance and revocations in `/status` and `/metrics`.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct ReadinessTests {
  private static let settings: [String: any Sendable] = ["admin": "127.0.0.1:0", "health_on_listen": true]
  private static let target = "/proxy/balances?instance_id=one"

  @Test func `a gateway whose only Core is down is ready, and says that it is down, but not to clients`() throws {
    let gateway = try RunningGateway(
      upstreams: [("one", 1)], instance: ["breaker": ["failures": 1, "open_s": 60, "open_max_s": 60]],
      gateway: Self.settings)
    #expect(try gateway.askAdmin("/readyz")?.bodyText == "ok\n")
    #expect(try gateway.ask("GET", Self.target)?.status == 502)
    #expect(try eventually { try gateway.askAdmin("/readyz")?.bodyText == "ok\ninstances unavailable: 1 of 1\n" })
    #expect(try gateway.askAdmin("/readyz")?.status == 200)
    #expect(try gateway.ask("GET", "/readyz", token: nil)?.bodyText == "ok\n")
  }

  @Test func `only draining and a stuck loop make it unready`() throws {
    let policy = try RunningGateway(upstreams: [("one", 1)]).policy
    let loop = GatewayState.Loop(handle: try LoopHandle(), metrics: LoopMetrics())
    let canWrite = Flag()
    let state = GatewayState(Generation(policy, following: nil), loops: [loop], log: nil) {
      var audit = AuditState()
      audit.canWrite = canWrite.isSet
      return audit
    }
    #expect(state.unreadiness == nil)
    #expect(state.restrictions == ["writes are rejected: the audit log cannot be written"])
    canWrite.set()
    state.reloadFailed("policies/clients.json: …", [])
    #expect(state.unreadiness == nil && state.restrictions == ["the policy folder has a fault"])
    state.installed(Generation(policy, following: nil), [])
    #expect(state.unreadiness == nil && state.restrictions.isEmpty)
    loop.handle.busySince.store(SystemClock.nanoseconds - 11_000_000_000, ordering: .relaxed)
    #expect(state.unreadiness == "loop 0 has been in one turn for more than 10 s")
    state.isDraining.store(true, ordering: .relaxed)
    #expect(state.unreadiness == "draining")
  }

  @Test func `writes during maintenance count for their instance, and forbidden ones for none`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], gateway: Self.settings)
    func samples() throws -> [String: Double] { try #require(try gateway.askAdmin("/metrics")).samples }
    #expect(try samples()["blnk_gateway_instance_writable{instance_id=\"one\"}"] == 1)
    try gateway.reload(instance: ["writes": false])
    for _ in 0..<3 {
      #expect(try gateway.ask("POST", Self.target, body: "{}")?.member("code") == "GATEWAY_INSTANCE_READ_ONLY")
    }
    try gateway.reload(client: ["instances": [String]()], instance: ["writes": false])
    #expect(try gateway.ask("POST", Self.target, body: "{}")?.member("code") == "GATEWAY_INSTANCE_FORBIDDEN")
    func requests(_ instance: String) -> String {
      "blnk_gateway_requests_total{route=\"/proxy/balances\",method=\"POST\",status=\"\(instance.isEmpty ? 4 : 5)xx\","
        + "instance_id=\"\(instance)\"}"
    }
    #expect(try eventually { try samples()[requests("")] == 1 })
    let after = try samples()
    #expect(after[requests("one")] == 3 && after["blnk_gateway_instance_writable{instance_id=\"one\"}"] == 0)
    let refusals = after.filter { $0.key.hasPrefix("blnk_gateway_instance_refusals_total{") }
    let series = "blnk_gateway_instance_refusals_total{instance_id=\"one\",code=\"GATEWAY_INSTANCE_READ_ONLY\"}"
    #expect(refusals == [series: 3])
    let status = try #require(try gateway.askAdmin("/status"))
    #expect(status.bodyText.contains(#""writes":false"#))
    let records = try gateway.stopAndReadLog().filter { $0["code"] as? String == "GATEWAY_INSTANCE_READ_ONLY" }
    #expect(records.count == 3 && records.allSatisfy { $0["instance"] as? String == "one" })
  }

  @Test func `revocations are counted by kind`() throws {
    let gateway = try RunningGateway(upstreams: [("one", 1)], gateway: Self.settings)
    func count(_ kind: String) throws -> Double? {
      try #require(try gateway.askAdmin("/metrics")).samples["blnk_gateway_revocations{kind=\"\(kind)\"}"]
    }
    for kind in ["client", "token", "token_id", "grant"] { #expect(try count(kind) == 0, "\(kind)") }
    try gateway.reload(client: ["revoked": true])
    #expect(try count("client") == 1 && count("token") == 0)
  }
}
