import Digests
import Foundation
import Policies
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import Gateway

/// Counts by client, in `/metrics` and `/status`.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct ClientMetricsTests {
  private static let settings: [String: any Sendable] = [
    "admin": "127.0.0.1:0", "metrics": ["by_client": true],
  ]
  private static let target = "/proxy/balances?instance_id=one"

  private static func token(_ name: String) -> String { "blnk_at_test-token-of-\(name)" }

  /// clients.json with these clients in this order. Each has a token, and one that is bound to the instance.
  private static func clients(_ names: [String]) -> String {
    let entries = names.map { name in
      let tokens = [token(name), token(name + "-bound")].map { SHA256.digest(of: Array($0.utf8).span).hex }
      return """
        "\(name)": {"scopes": ["proxy:read"], "instances": ["one"],
          "tokens": [{"sha256": "\(tokens[0])"}, {"sha256": "\(tokens[1])", "instances": ["one"]}]}
        """
    }
    return "{\"clients\": {\(entries.joined(separator: ","))}}"
  }

  /// The samples of each client whose family ends with `name`, by its other label.
  private func samples(_ gateway: RunningGateway, _ name: String, of client: String) throws -> [String: Int] {
    let start = "blnk_gateway_client_\(name){client=\"\(client)\""
    let samples = try #require(try gateway.askAdmin("/metrics")).samples.filter { $0.key.hasPrefix(start) }
    return Dictionary(
      uniqueKeysWithValues: samples.map { key, value in
        (String(key.dropFirst(start.count).split(separator: "\"").dropFirst().first ?? ""), Int(value))
      })
  }

  private func requests(_ gateway: RunningGateway, of client: String) throws -> Int {
    try samples(gateway, "requests_total", of: client).values.reduce(0, +)
  }

  private func status(_ gateway: RunningGateway) throws -> [String: Any] {
    let body = try #require(try gateway.askAdmin("/status")).body
    return try #require(try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any])
  }

  private func clients(_ gateway: RunningGateway) throws -> [[String: Any]] {
    try #require(try status(gateway)["clients"] as? [[String: Any]])
  }

  @Test func `has a counter for each code`() { #expect(GatewayCode.allCases.count <= 64) }

  @Test func `metrics, status and the access log agree about each client`() throws {
    let core = try ScriptedUpstream { request in
      request.message.startLine.contains("bad")
        ? .bytes(ScriptedUpstream.json("{}", status: "503 Service Unavailable"))
        : .bytes(ScriptedUpstream.json("{\"balances\": []}"))
    }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], loops: 2, gateway: Self.settings)
    try gateway.reload(client: [
      "limits": ["write": ["requests_per_second": 0.001, "burst": 3]],
      "tokens": [
        TestPolicyFolder.entry(of: TestPolicyFolder.token, expires: Date(timeIntervalSince1970: 4_000_000_000)),
        TestPolicyFolder.entry(of: "old", expires: Date(timeIntervalSince1970: 1_000_000_000)),
      ],
    ])
    for round in 0..<5 {
      _ = try gateway.ask("GET", Self.target)
      _ = try gateway.ask("POST", Self.target, body: String(repeating: " ", count: round) + "{}")
      _ = try gateway.ask("GET", "/proxy/balances/bad?instance_id=one")
      _ = try gateway.ask("POST", Self.target, body: "{}", token: TestPolicyFolder.readToken)
      _ = try gateway.ask("GET", "/proxy/balances?instance_id=other", token: TestPolicyFolder.readToken)
      _ = try gateway.ask("GET", Self.target, token: "unknown")
    }
    #expect(try eventually { try requests(gateway, of: "app") == 15 && requests(gateway, of: "reader") == 10 })
    let shown = try (metrics: ["app", "reader", "direct"].map { try all(gateway, of: $0) }, status: clients(gateway))
    let records = try gateway.stopAndReadLog()
    for (index, name) in ["app", "reader", "direct"].enumerated() {
      let own = records.filter { $0["client"] as? String == name }
      let codes = own.compactMap { $0["code"] as? String }
      let refusals = Dictionary(grouping: codes) { $0 }.mapValues(\.count)
      let statuses = Dictionary(grouping: own.compactMap { $0["status"] as? Int }) { "\($0 / 100)xx" }.mapValues(
        \.count)
      let bytes = ["in", "out"].map { key in own.compactMap { $0["bytes_\(key)"] as? Int }.reduce(0, +) }
      let limits = ["rate": refusals["GATEWAY_RATE_LIMITED"] ?? 0, "concurrency": 0]
      #expect(
        shown.metrics[index] == [statuses, refusals, limits, ["in": bytes[0], "out": bytes[1]]], "\(name)")
      let entry = try #require(shown.status.first { $0["name"] as? String == name })
      #expect(entry["requests"] as? Int == own.count && entry["refusals"] as? [String: Int] == refusals)
      #expect(entry["bytes_in"] as? Int == bytes[0] && entry["bytes_out"] as? Int == bytes[1])
      #expect(entry["rate_limited"] as? Int == limits["rate"])
      #expect(entry["token_expires_at"] as? String == (name == "app" ? "2096-10-02T07:06:40.000Z" : nil))
    }
    #expect(shown.status.count == 3 && records.count { $0["client"] == nil } == 5)
    #expect(shown.metrics[0][2]["rate"] == 2 && shown.metrics[1][1]["GATEWAY_SCOPE_INSUFFICIENT"] == 5)
  }

  private func all(_ gateway: RunningGateway, of client: String) throws -> [[String: Int]] {
    try ["requests_total", "refusals_total", "limits_hit_total", "bytes_total"].map {
      try samples(gateway, $0, of: client)
    }
  }

  @Test func `a client is in trouble for five minutes after a refusal, and 14 days before its token ends`() {
    let now = UnixSeconds.now
    func isInTrouble(_ seconds: Int64, _ metrics: [ClientMetrics]?, tokenExpiry: UnixSeconds? = nil) -> Bool {
      ClientReading(name: [], tokenExpiry: tokenExpiry, counts: metrics.map(ClientReading.Counts.init))
        .isInTrouble(at: UnixSeconds(now.rawValue + seconds))
    }
    let metrics = [ClientMetrics(), ClientMetrics(), ClientMetrics()]
    metrics[0].count(ExchangeRecord(RequestID(high: 0, low: 1), startedAt: 0, status: 200), nil)
    #expect(!isInTrouble(0, metrics) && !isInTrouble(0, nil))
    metrics[1].count(ExchangeRecord(RequestID(high: 0, low: 1), startedAt: 0, status: 200), .rateLimited)
    // Some seconds may have passed since.
    #expect(isInTrouble(0, metrics) && isInTrouble(299, metrics) && !isInTrouble(330, metrics))
    let end = UnixSeconds(now.rawValue + 14 * 86_400)
    #expect(!isInTrouble(0, nil, tokenExpiry: end) && isInTrouble(1, nil, tokenExpiry: end))
  }

  @Test func `requests in flight count for their client, wherever a reload moves it`() throws {
    let mayAnswer = Flag()
    let core = try ScriptedUpstream { request in
      if request.message.startLine.contains("hold") { _ = eventually { mayAnswer.isSet } }
      return .bytes(ScriptedUpstream.json("{}"))
    }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], loops: 2, gateway: Self.settings)
    try gateway.reload(clients: Self.clients(["gone", "kept", "back"]))
    let names = ["gone", "kept", "kept-bound", "back"]
    for name in names { #expect(try gateway.ask("GET", Self.target, token: Self.token(name))?.status == 200) }
    #expect(try eventually { try requests(gateway, of: "kept") == 2 && requests(gateway, of: "gone") == 1 })
    let held = try names.map { name in
      let socket = try gateway.connect()
      try socket.send(testRequest("GET", "/proxy/balances/hold?instance_id=one", token: Self.token(name)))
      return socket
    }
    #expect(eventually { core.requests.count == 8 })
    // Each of the new clients has the index of another one of the requests in flight.
    try gateway.reload(clients: Self.clients(["new0", "new1", "new2", "kept"]))
    try gateway.reload(clients: Self.clients(["back", "new0", "new1", "kept", "new2"]))
    mayAnswer.set()
    for socket in held {
      var reader = TestMessageReader(socket)
      #expect(try reader.next()?.status == 200)
    }
    #expect(try eventually { try requests(gateway, of: "kept") == 4 })
    for name in ["new0", "new1", "new2", "back"] { #expect(try requests(gateway, of: name) == 0, "\(name)") }
    #expect(try samples(gateway, "bytes_total", of: "gone").isEmpty)
    #expect(try clients(gateway).map { $0["name"] as? String } == ["back", "new0", "new1", "kept", "new2"])
  }

  @Test func `counts are exact while reloads add, remove and reorder clients`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], loops: 2, gateway: Self.settings)
    let lasting = ["a", "b", "c", "d"]
    try gateway.reload(clients: Self.clients(lasting))
    let results = DispatchGroup()
    let answered = Mutex<[String: Int]>([:])
    let isOver = Flag()
    for name in lasting + lasting.map({ $0 + "-bound" }) {
      results.enter()
      Thread {
        defer { results.leave() }
        guard let socket = try? gateway.connect() else { return }
        var reader = TestMessageReader(socket)
        while !isOver.isSet {
          guard (try? socket.send(testRequest("GET", Self.target, token: Self.token(name)))) != nil,
            (try? reader.next())?.status == 200
          else { return }
          answered.withLock { $0[String(name.prefix(1)), default: 0] += 1 }
        }
      }.start()
    }
    for round in 0..<30 {
      let passing = (0..<round % 5).map { "passing\($0)" }
      try gateway.reload(clients: Self.clients((lasting + passing).shuffled()))
    }
    isOver.set()
    results.wait()
    let counts = answered.withLock(\.self)
    for name in lasting {
      #expect(
        try counts[name, default: 0] > 0 && eventually { try requests(gateway, of: name) == counts[name] }, "\(name)")
    }
  }

  @Test func `nothing is counted without by_client, and the counts begin again with it`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], gateway: Self.settings)
    func ask() throws { #expect(try gateway.ask("GET", Self.target)?.status == 200) }
    try ask()
    #expect(try eventually { try requests(gateway, of: "app") == 1 })
    try gateway.reload(settings: ["metrics": ["by_client": false]])
    try ask()
    #expect(try all(gateway, of: "app").allSatisfy(\.isEmpty))
    let entry = try #require(try clients(gateway).first)
    #expect(Set(entry.keys) == ["name"])
    try gateway.reload()
    try ask()
    #expect(try eventually { try requests(gateway, of: "app") == 1 })
  }

  @Test func `more than 1,000 clients are neither counted nor listed`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], gateway: Self.settings)
    let names = (0..<1_001).map { "client-\($0)" }
    try gateway.reload(clients: Self.clients(names))
    #expect(try gateway.ask("GET", Self.target, token: Self.token("client-7"))?.status == 200)
    let metrics = try #require(try gateway.askAdmin("/metrics"))
    #expect(metrics.status == 200 && !metrics.samples.keys.contains { $0.contains("client=") })
    #expect(try clients(gateway).isEmpty && status(gateway)["client_count"] as? Int == 1_001)
    try gateway.reload(clients: Self.clients(Array(names.dropLast())))
    #expect(try gateway.ask("GET", Self.target, token: Self.token("client-7"))?.status == 200)
    #expect(try eventually { try requests(gateway, of: "client-7") == 1 })
    #expect(try clients(gateway).count == 1_000)
  }
}
