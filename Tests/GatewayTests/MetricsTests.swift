import Counters
import Foundation
import HTTP1
import Policies
import Reactor
import Synchronization
import System
import TestSupport
import Testing

@testable import Gateway
@testable import Audit

/// What `/metrics` says after known traffic.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct MetricsTests {
  private let admin: [String: any Sendable] = ["admin": "127.0.0.1:0"]

  private func requests(_ samples: [String: Double]) -> [String: Double] {
    samples.filter { $0.key.hasPrefix("blnk_gateway_requests_total{") }
  }

  /// The samples once `count` requests are recorded, which is shortly after their responses; after a timeout, the last ones.
  private func samples(of gateway: RunningGateway, requests count: Double) throws -> [String: Double] {
    _ = try eventually { requests(try samples(of: gateway)).values.reduce(0, +) >= count }
    // Scrapes again: the last request may have been recorded while the previous scrape was being written.
    return try samples(of: gateway)
  }

  private func samples(of gateway: RunningGateway) throws -> [String: Double] {
    try #require(try gateway.askAdmin("/metrics")).samples
  }

  private func series(_ route: String, _ method: String, _ status: String, _ instance: String) -> String {
    "blnk_gateway_requests_total{route=\"\(route)\",method=\"\(method)\",status=\"\(status)\",instance_id=\"\(instance)\"}"
  }

  @Test func `counts match the traffic over two loops and a reload`() throws {
    let core = try ScriptedUpstream { request in
      let isFault = request.message.startLine.contains("/bad")
      return .bytes(ScriptedUpstream.json("{}", status: isFault ? "503 Service Unavailable" : "200 OK"))
    }
    let gateway = try RunningGateway(
      upstreams: [("one", core.port)], loops: 2, instance: ["breaker": ["failures": 0]], gateway: admin)
    for round in 0..<2 {
      if round == 1 { try gateway.reload(client: ["name": "renamed"]) }
      for _ in 0..<10 {
        #expect(try gateway.ask("GET", "/proxy/balances?instance_id=one")?.status == 200)
        #expect(try gateway.ask("HEAD", "/proxy/balances?instance_id=one")?.status == 200)
        #expect(try gateway.ask("GET", "/proxy/balances/bad?instance_id=one")?.status == 503)
        #expect(try gateway.ask("PUT", "/proxy/balances/1/identity?instance_id=one", body: "{}")?.status == 200)
        #expect(try gateway.ask("GET", "/proxy/balances?instance_id=two")?.status == 403)
        #expect(try gateway.ask("GET", "/proxy/balances?instance_id=one", token: "unknown")?.status == 401)
      }
    }
    let samples = try samples(of: gateway, requests: 120)
    #expect(
      requests(samples) == [
        series("/proxy/balances", "GET", "2xx", "one"): 20, series("/proxy/balances", "HEAD", "2xx", "one"): 20,
        series("/proxy/balances/:id", "GET", "5xx", "one"): 20,
        series("/proxy/balances/:id/identity", "PUT", "2xx", "one"): 20,
        series("/proxy/balances", "GET", "4xx", ""): 20, series("", "GET", "4xx", ""): 20,
      ])
    #expect(samples["blnk_gateway_refusals_total{code=\"GATEWAY_INSTANCE_FORBIDDEN\"}"] == 20)
    #expect(samples["blnk_gateway_refusals_total{code=\"GATEWAY_TOKEN_INVALID\"}"] == 20)
    #expect(samples["blnk_gateway_own_duration_seconds_count"] == 120)
    #expect(samples["blnk_gateway_upstream_duration_seconds_count{instance_id=\"one\"}"] == 80)
    #expect(samples["blnk_gateway_connections_accepted_total"] == 120)
    #expect(samples["blnk_gateway_policy_generation"] == 2)
    let leases = ["connects", "reuses"].compactMap {
      samples["blnk_gateway_upstream_\($0)_total{instance_id=\"one\"}"]
    }
    #expect(leases.reduce(0, +) == 80)
    #expect(samples["blnk_gateway_upstream_connections{instance_id=\"one\",state=\"leased\"}"] == 0)
  }

  @Test func `build_info names what the program was built from`() throws {
    let gateway = try RunningGateway(upstreams: [("one", 1)], gateway: admin)
    let labels = [
      ("version", gatewayVersion), ("commit", Build.commit), ("swift", Build.swift), ("libcurl", Build.libcurlRunning),
    ].map { name, value in "\(name)=\"\(value)\"" }.joined(separator: ",")
    let samples = try samples(of: gateway)
    #expect(samples["blnk_gateway_build_info{\(labels)}"] == 1)
    #expect(Build.libcurlRunning.wholeMatch(of: /[0-9]+\.[0-9]+\.[0-9]+/) != nil)
    // With /proc, which the tests have.
    #expect((samples["process_open_fds"] ?? 0) > 0 && (samples["process_resident_memory_bytes"] ?? 0) > 1_000_000)
  }

  @Test func `a caller's text never creates a series`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], gateway: admin)
    func word() -> String { String(UInt64.random(in: .min ... .max), radix: 36) }
    func ask(_ method: String) throws {
      for target in [
        "/\(word())", "/proxy/\(word())?\(word())", "/instances/\(word())/balances", "/proxy/balances/\(word())",
      ] {
        _ = try gateway.ask(method, target + "?instance_id=\(word())", fields: ["\(word()): \(word())"])
        _ = try gateway.ask(method, "/proxy/balances/\(word())?instance_id=one", token: word())
        _ = try gateway.ask(method, "/proxy/balances/\(word())?instance_id=one")
      }
    }
    try ["GET", "POST", word().uppercased()].forEach(ask)
    let before = try samples(of: gateway, requests: 36)
    for _ in 0..<10 { try ["GET", "POST", word().uppercased()].forEach(ask) }
    let after = try samples(of: gateway, requests: 11 * 36)
    #expect(Set(before.keys) == Set(after.keys))
    #expect(requests(after).values.reduce(0, +) == 11 * 36)
  }

  @Test func `instance faults and limit hits are counted by kind`() throws {
    let gateway = try RunningGateway(
      upstreams: [("one", 1)], instance: ["breaker": ["failures": 2, "open_s": 60, "open_max_s": 60]],
      gateway: admin)
    for status in [502, 502, 503] {
      #expect(try gateway.ask("GET", "/proxy/balances?instance_id=one")?.status == status)
    }
    try gateway.reload(client: ["limits": ["requests_per_second": 0.001, "burst": 1]])
    for _ in 0..<3 { _ = try gateway.ask("GET", "/proxy/balances?instance_id=one") }
    let samples = try samples(of: gateway, requests: 6)
    let failures = "blnk_gateway_upstream_connect_failures_total{instance_id=\"one\",reason="
    #expect(samples["\(failures)\"refused\"}"] == 2 && samples["\(failures)\"timed_out\"}"] == 0)
    #expect(samples["blnk_gateway_breaker_state{instance_id=\"one\"}"] == 2)
    #expect(samples["blnk_gateway_limits_hit_total{limit=\"rate\"}"] == 2)
    #expect(samples["blnk_gateway_upstream_connections{instance_id=\"one\",state=\"connecting\"}"] == 0)
  }

  @Test func `lines lost to a full disk are counted`() throws {
    let gateway = try RunningGateway(
      upstreams: [("one", 1)], gateway: admin.merging(["access_log": "/dev/full"]) { $1 })
    for _ in 0..<5 { _ = try gateway.ask("GET", "/proxy/nowhere") }
    #expect(try eventually { try samples(of: gateway)["blnk_gateway_access_log_lines_lost_total"] == 5 })
  }

  @Test func `metrics of 10,000 instances are written in small pieces`() throws {
    let folder = try TestPolicyFolder(instances: [("one", "http://127.0.0.1:1")])
    let loaded = Policy.load(
      PolicyFolder(path: folder.path, stateFolder: folder.statePath, environment: ["TEST_KEY": "k"]),
      now: UnixSeconds(1_800_000_000))
    let policy = try #require(loaded.policy)
    let loops = try (0..<2).map { _ in GatewayState.Loop(handle: try LoopHandle(), metrics: LoopMetrics()) }
    let state = GatewayState(Generation(policy, following: nil), loops: loops, log: nil, audit: { nil })
    for loop in loops {
      for number in 0..<10_000 {
        let metrics = loop.metrics.instance("instance-\(number)")
        metrics.upstreamTime.observe(1_000)
        let series = RequestSeries(metrics)
        series.find(.get, route: 0, in: policy.routes)
        #expect(series.count(status: 200, at: RequestSeries.slot(.get, 0)))
      }
    }
    var scrape = MetricsScrape(state)
    var (bytes, longest, lines) = (0, 0, 0)
    while let piece = scrape.piece() {
      bytes += piece.count
      longest = max(longest, piece.count)
      lines += piece.count { $0 == UInt8(ascii: "\n") }
    }
    // Request, histogram, three states, queue, connects, reuses and five reasons each.
    #expect(lines > 10_000 * (1 + 21 + 3 + 3 + 5))
    #expect(longest < 80 << 10, "\(bytes) bytes in all")
  }

  @Test func `the audit log appears in metrics and status, its head in the status only`() throws {
    let policy = try RunningGateway(upstreams: [("one", 1)])
    var audit = AuditState()
    audit.head = AuditHead("00000000000000ff:7:\(String(repeating: "ab", count: 32))")
    audit.entries = 7
    audit.canWrite = false
    let told = audit
    let state = GatewayState(
      Generation(policy.policy, following: nil), loops: [], log: nil, audit: { told })
    var (scrape, report) = (MetricsScrape(state), StatusReport(state))
    let metrics = String(decoding: scrape.piece() ?? [], as: UTF8.self)
    for sample in ["head_sequence 7", "entries_total 7", "writable 0"] {
      #expect(metrics.contains("\nblnk_gateway_audit_\(sample)\n"))
    }
    #expect(!metrics.contains("abab"))
    let status = String(decoding: report.piece() ?? [], as: UTF8.self)
    #expect(try status.contains("\"head\":\"\(#require(told.head))\"") && status.contains("\"writable\":false"))
  }

  @Test func `a loop that never ends its turn is detected`() throws {
    let folder = try TestPolicyFolder(instances: [("one", "http://127.0.0.1:1")])
    let loaded = Policy.load(
      PolicyFolder(path: folder.path, stateFolder: folder.statePath, environment: ["TEST_KEY": "k"]),
      now: UnixSeconds(1_800_000_000))
    let loops = try (0..<3).map { _ in GatewayState.Loop(handle: try LoopHandle(), metrics: LoopMetrics()) }
    let state = GatewayState(
      Generation(try #require(loaded.policy), following: nil), loops: loops, log: nil, audit: { nil })
    loops[1].handle.busySince.store(SystemClock.nanoseconds - 11_000_000_000, ordering: .relaxed)
    loops[2].handle.busySince.store(SystemClock.nanoseconds - 1_000_000_000, ordering: .relaxed)
    #expect(state.stuckLoops() == [1])
  }
}
