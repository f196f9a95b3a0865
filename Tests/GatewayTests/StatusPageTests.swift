import Digests
import Foundation
import Policies
import Telemetry
import TestSupport
import Testing

@testable import Gateway

/// The status page and its events.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct StatusPageTests {
  private func gateway(_ settings: [String: any Sendable] = [:], loops: Int = 1) throws -> RunningGateway {
    let admin: [String: any Sendable] = [
      "address": "127.0.0.1:0", "token": ["env": "TEST_KEY"] as [String: any Sendable],
    ]
    return try RunningGateway(
      upstreams: [("one", 1)], loops: loops, gateway: ["admin": admin].merging(settings) { $1 })
  }

  private static let bearer = "Authorization: Bearer \(TestPolicyFolder.key)"

  private static func basic(_ pair: String) -> String {
    "Authorization: Basic \(Data(pair.utf8).base64EncodedString())"
  }

  private static let password = basic("operator:\(TestPolicyFolder.key)")

  private func status(_ gateway: RunningGateway, _ query: String = "") throws -> [String: Any] {
    let body = try #require(try gateway.askAdmin("/status\(query)", fields: [Self.bearer])).body
    return try #require(try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any])
  }

  // MARK: The page

  @Test func `a browser may run the page's own script and style, and nothing else`() throws {
    let gateway = try gateway()
    let page = try #require(try gateway.askAdmin("/", fields: [Self.password]))
    #expect(page.status == 200 && page["Content-Type"] == "text/html; charset=utf-8")
    #expect(page["Cache-Control"] == "no-store" && page["X-Content-Type-Options"] == "nosniff")
    let policy = try #require(page["Content-Security-Policy"]).components(separatedBy: "; ")
    for directive in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"] {
      #expect(policy.contains(directive))
    }
    #expect(policy.contains("connect-src 'self'") && policy.contains("require-trusted-types-for 'script'"))
    for (directive, element) in [("script-src", "script"), ("style-src", "style")] {
      let start = try #require(page.bodyText.range(of: "<\(element)>")).upperBound
      let end = try #require(page.bodyText.range(of: "</\(element)>")).lowerBound
      let digest = SHA256.digest(of: Array(page.bodyText[start..<end].utf8).span).hex
      let bytes = stride(from: 0, to: 64, by: 2).compactMap { index in
        UInt8(digest.dropFirst(index).prefix(2), radix: 16)
      }
      let hash = Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
      #expect(policy.contains("\(directive) 'sha256-\(hash)'"))
    }
    // Nothing of it is elsewhere.
    #expect(page.bodyText.firstMatch(of: /(src|href|action)=|https?:|@import|url\(|style="| on[a-z]+="/) == nil)
    #expect(try gateway.askAdmin("/", method: "HEAD", fields: [Self.password])?.body.isEmpty == true)
  }

  @Test func `without JavaScript, the page shows the instances and the last faults`() throws {
    let gateway = try gateway()
    #expect(try gateway.ask("GET", "/proxy/balances?instance_id=one")?.status == 502)
    let page = try #require(try gateway.askAdmin("/", fields: [Self.password])).bodyText
    #expect(
      page.contains(#"<th scope="row" class="">one</th>"#) && page.contains("UPSTREAM_REFUSED: Failed to connect"))
    #expect(page.contains("<td class=\"\">UPSTREAM_REFUSED</td>") && page.contains("GET /proxy/balances<"))
    #expect(page.contains(gateway.policy.digest))
  }

  static let credentials: [(field: String?, page: Int, status: Int)] = [
    (nil, 401, 401), (bearer, 200, 200), (password, 200, 401), (basic(":\(TestPolicyFolder.key)"), 200, 401),
    (basic("a:b:\(TestPolicyFolder.key)"), 401, 401), (basic(TestPolicyFolder.key), 401, 401),
    (basic("a:\(TestPolicyFolder.key)x"), 401, 401), (basic("a:"), 401, 401), ("Authorization: Basic", 401, 401),
    ("Authorization: Basic %%%", 401, 401), ("Authorization: Basic \(TestPolicyFolder.key)", 401, 401),
    (password.replacing("Basic", with: "bAsIC"), 200, 401),
  ]

  /// Elsewhere, a page of another site could use the password that the browser keeps.
  @Test(arguments: credentials) func `the token is a password for the page only`(
    field: String?, page: Int, status: Int
  ) throws {
    let gateway = try gateway()
    let fields = field.map { [$0] } ?? []
    for (path, expected) in [("/", page), ("/status", status), ("/metrics", status), ("/policy", status)] {
      let answer = try #require(try gateway.askAdmin(path, fields: fields))
      #expect(answer.status == expected, "\(path)")
      let challenges = answer.values("WWW-Authenticate").map { $0.prefix { $0 != " " } }
      #expect(challenges == (expected == 200 ? [] : path == "/" ? ["Basic", "Bearer"] : ["Bearer"]), "\(path)")
    }
    let events = try #require(try gateway.askAdmin("/events", method: "HEAD", fields: fields))
    #expect(events.status == page)
    #expect(try gateway.askAdmin("/", fields: fields + [Self.bearer])?.status == (field == nil ? 200 : 401))
  }

  @Test func `changes need the token as Bearer`() throws {
    let gateway = try gateway(["audit_log": "audit.log"])
    for path in ["/outcome", "/idempotency"] {
      #expect(try gateway.askAdmin(path, method: "POST", fields: [Self.password])?.status == 401)
    }
    for path in ["/", "/events"] {
      #expect(try gateway.askAdmin(path, method: "POST", fields: [Self.password])?.status == 405)
      #expect(try gateway.askAdmin(path, host: "evil.example", fields: [Self.password])?.status == 421)
    }
  }

  // MARK: Hostile texts

  static let hostile = "</td><script>alert(1)</script><img src=x onerror=alert(2)>&\"'\u{0}\u{7}\n"

  private static let hostileMembers: [String: any Sendable] = [
    "version": hostile, "started_at": hostile, "requests": Int.max, "refusals": ["A": Int.max, "B": Int.max],
    "uptime_seconds": Int.min, "instance_count": Int.min,
    "policy": policy.merging(["faults": [hostile], "fault_count": Int.max, "sha256": hostile]) { $1 },
  ]

  @Test func `texts of clients, Cores and files are escaped, whatever is in them`() throws {
    let fault: [String: Any] = ["at": Self.hostile, "code": Self.hostile, "detail": Self.hostile]
    let view = StatusView(
      try reading(
        Self.hostileMembers,
        instances: [["id": Self.hostile, "breaker": Self.hostile, "last_fault": fault]],
        clients: [["name": Self.hostile, "refusals": [Self.hostile: 3], "token_expires_at": Self.hostile]],
        recent: [["path": Self.hostile, "method": Self.hostile, "client": Self.hostile]]))
    let page = String(decoding: StatusPage.html(view), as: UTF8.self)
    #expect(page.contains("&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x"))
    #expect(page.contains("&amp;&quot;&#39;\u{fffd}\u{fffd}"))
    #expect(!page.contains("<img") && page.ranges(of: "<script").count == 1 && !page.utf8.contains(0))
  }

  // MARK: What is shown

  private static let fullStatus: [String: any Sendable] = [
    "version": "1", "commit": "c", "swift": "6", "libcurl": "8", "at": "2026-01-01T00:00:00.000Z",
    "started_at": "2025-12-30T21:00:00.000Z", "uptime_seconds": 97_200, "draining": false, "stuck_loops": [Int](),
    "upgrade": "none", "requests": 0, "refusals": [String: Int](), "instance_count": 1, "instances_troubled": 0,
    "client_count": 1, "latency_bounds_ms": [Double](),
    "connections": ["open": 1, "accepted": 2, "refused": 0], "policy": policy,
  ]
  private static let policy: [String: any Sendable] = [
    "generation": 3, "sha256": "d1", "since": "2025-12-31T00:00:00.000Z", "reloads": 4, "reloads_refused": 1,
    "faults": [String](), "fault_count": 0,
  ]
  private static let instance: [String: any Sendable] = [
    "id": "a", "writes": true, "healthy": true, "breaker": "closed", "requests": 7, "in_flight": 2, "queued": 0,
    "connections": ["open": 1, "idle": 1],
  ]

  /// The JSON of `/status` with these members besides those of `fullStatus`, and rows with these besides those of
  /// `instance` and those that are always there.
  private static func json(
    _ members: [String: Any] = [:], instances: [[String: Any]] = [], clients: [[String: Any]] = [],
    recent: [[String: Any]] = []
  ) throws -> [UInt8] {
    let end = ["at": "2026-01-01T00:00:00.000Z", "request_id": "r", "code": "GATEWAY_TOKEN_INVALID"]
    let rows: [String: Any] = [
      "instances": instances.map { (instance as [String: Any]).merging($0) { $1 } }, "clients": clients,
      "recent": recent.map { (end as [String: Any]).merging($0) { $1 } },
    ]
    let all = (fullStatus as [String: Any]).merging(members) { $1 }.merging(rows) { $1 }
    return Array(try JSONSerialization.data(withJSONObject: all))
  }

  private func reading(
    _ members: [String: Any] = [:], instances: [[String: Any]] = [], clients: [[String: Any]] = [],
    recent: [[String: Any]] = []
  ) throws -> StatusReading {
    try #require(
      StatusReading(try Self.json(members, instances: instances, clients: clients, recent: recent)))
  }

  private func table(_ id: String, _ view: StatusView) throws -> StatusView.Table {
    try #require(view.tables.first { $0.id == id })
  }

  static let facts: [(members: String, name: String, text: String, tone: StatusView.Tone)] = [
    ("{}", "State", "serving", .good), (#"{"draining":true}"#, "State", "draining", .warn),
    (#"{"draining":true,"stuck_loops":[0,2]}"#, "State", "stuck: loop 0, 2", .bad), ("{}", "Instances", "1", .good),
    (#"{"instances_troubled":1}"#, "Instances", "1, 1 in trouble", .bad),
    (#"{"requests":12}"#, "Requests", "12", .plain),
    (#"{"refusals":{"A":2,"B":3}}"#, "Refusals and faults", "5", .plain),
    ("{}", "Connections", "1 open, 2 accepted, 0 refused", .plain),
    (#"{"connections":{"open":1,"accepted":2,"refused":3}}"#, "Connections", "1 open, 2 accepted, 3 refused", .warn),
    ("{}", "Policy", "generation 3 since 2025-12-31 00:00:00", .plain), ("{}", "Reloads", "4, 1 refused", .plain),
    ("{}", "Contained faults", "0", .good), ("{}", "Audit log", "off", .plain), ("{}", "Journal", "off", .plain),
    (
      #"{"audit":{"head":"h","entries":5,"failures":0,"lost_outcomes":0,"writable":true}}"#, "Audit log",
      "entries: 5, outcomes lost: 0", .good
    ),
    (
      #"{"audit":{"entries":5,"failures":0,"lost_outcomes":2,"writable":true}}"#, "Audit log",
      "entries: 5, outcomes lost: 2", .warn
    ),
    (
      #"{"audit":{"entries":5,"failures":0,"lost_outcomes":2,"writable":false}}"#, "Audit log",
      "cannot be written; writes are rejected", .bad
    ),
    (
      #"{"idempotency":{"keys":5,"in_flight":1,"unknown":0,"disk_bytes":4096,"failures":0,"writable":true}}"#,
      "Journal",
      "keys: 5, in flight: 1, 4.1 kB", .good
    ),
    (
      #"{"idempotency":{"keys":5,"in_flight":1,"unknown":2,"disk_bytes":1,"failures":0,"writable":true}}"#, "Journal",
      "unknown: 2, in flight: 1, keys: 5", .warn
    ),
    (
      #"{"idempotency":{"keys":5,"in_flight":1,"unknown":2,"disk_bytes":1,"failures":1,"last_fault":"full","writable":false}}"#,
      "Journal", "cannot be written: full", .bad
    ), ("{}", "Access log", "off", .plain), (#"{"access_log_lines_lost":0}"#, "Access log", "lines lost: 0", .good),
    (#"{"access_log_lines_lost":9}"#, "Access log", "lines lost: 9", .warn),
    ("{}", "Upgrade", "none since the start", .plain),
    (#"{"upgrade":"predecessor_drains"}"#, "Upgrade", "the process before this one drains", .warn),
    (#"{"upgrade":"handed_over"}"#, "Upgrade", "another process has taken over", .warn),
    (#"{"upgrade":"complete"}"#, "Upgrade", "complete: this process has replaced another", .plain),
    ("{}", "Policy digest", "d1", .plain), ("{}", "Audit head", "-", .plain),
    (#"{"audit":{"head":"h","entries":5,"failures":0,"lost_outcomes":0,"writable":true}}"#, "Audit head", "h", .plain),
    ("{}", "Up", "1 d 3 h, since 2025-12-30 21:00:00", .plain),
    (#"{"uptime_seconds":3720}"#, "Up", "1 h 2 min, since 2025-12-30 21:00:00", .plain),
    (#"{"uptime_seconds":62}"#, "Up", "1 min 2 s, since 2025-12-30 21:00:00", .plain),
    ("{}", "Version", "1 (c), Swift 6, libcurl 8", .plain),
  ]

  @Test(arguments: facts) func `a fact has a text and a tone`(
    members: String, name: String, text: String, tone: StatusView.Tone
  ) throws {
    let more = try #require(try JSONSerialization.jsonObject(with: Data(members.utf8)) as? [String: Any])
    let view = StatusView(try reading(more))
    let fact = try #require((view.facts + view.details).first { $0.name == name })
    #expect(fact.cell.text == text && fact.cell.tone == tone)
  }

  /// The cells of a table's rows, each with its tone if it has one.
  private func shown(_ table: StatusView.Table) -> [[String]] {
    table.rows.map { $0.map { $0.tone == .plain ? $0.text : "\($0.tone):\($0.text)" } }
  }

  @Test func `rows of instances have texts and tones`() throws {
    let fault: [String: Any] = ["at": "2025-12-31T23:59:58.123Z", "code": "GATEWAY_UPSTREAM_REFUSED"]
    let view = StatusView(
      try reading(
        ["instance_count": 9],
        instances: [
          [:], ["breaker": "open", "healthy": false, "writes": false, "queued": 3, "policy_fault": "bad url"],
          ["breaker": "half_open", "last_fault": fault],
          ["last_fault": fault.merging(["detail": "why"]) { $1 }],
        ]))
    let (time, dashes) = ("2025-12-31 23:59:58", ["7", "-", "-", "-", "-", "2"])
    #expect(
      shown(try table("instances", view)) == [
        ["a", "good:closed", "good:ok", "on"] + dashes + ["0", "-"],
        ["a", "bad:open", "bad:failing", "warn:off"] + dashes + ["warn:3", "bad:policy: bad url"],
        ["a", "warn:half_open", "good:ok", "on"] + dashes + ["0", "warn:\(time) UPSTREAM_REFUSED"],
        ["a", "good:closed", "good:ok", "on"] + dashes + ["0", "warn:\(time) UPSTREAM_REFUSED: why"],
      ])
    #expect(try table("instances", view).note == "5 more are not shown.")
  }

  @Test func `rows of clients have texts and tones`() throws {
    let counted: [String: Any] = [
      "requests": 12, "refusals": ["GATEWAY_RATE_LIMITED": 3, "GATEWAY_TOKEN_EXPIRED": 1, "B": 1, "A": 2],
      "rate_limited": 3, "bytes_in": 1_234, "bytes_out": 5_600_000,
    ]
    let quiet: [String: Any] = [
      "requests": 1, "refusals": [String: Int](), "rate_limited": 0, "bytes_in": 999, "bytes_out": 12_345,
    ]
    let view = StatusView(
      try reading(
        clients: [
          ["name": "a", "token_expires_at": "2026-01-14T23:59:59.000Z"].merging(counted) { $1 },
          ["name": "b", "token_expires_at": "2026-01-15T00:00:00.000Z"].merging(quiet) { $1 }, ["name": "c"],
        ]))
    #expect(
      shown(try table("clients", view)) == [
        [
          "a", "12", "-", "warn:7", "RATE_LIMITED 3, A 2, B 1", "warn:3", "1.2 kB", "5.6 MB",
          "warn:2026-01-14 23:59:59",
        ], ["b", "1", "-", "0", "-", "0", "999 B", "12 kB", "2026-01-15 00:00:00"],
        ["c", "-", "-", "-", "-", "-", "-", "-", "-"],
      ])
  }

  @Test func `other tables have rows, and are hidden without`() throws {
    let provider: [String: Any] = [
      "provider": "p", "breaker": "open", "asked": 5, "hits": 0, "inactive": 0, "faults": 2,
    ]
    let policy = Self.policy.merging(["faults": ["f"], "fault_count": 30]) { $1 }
    let view = StatusView(
      try reading(
        ["introspection": [provider], "policy": policy],
        recent: [["client": "c", "instance": "i", "method": "GET", "path": "/x"], [:]]))
    #expect(shown(try table("introspection", view)) == [["p", "bad:open", "5", "warn:2"]])
    #expect(try shown(table("faults", view)) == [["bad:f"]] && table("faults", view).note == "29 more are not shown.")
    let time = "2026-01-01 00:00:00"
    #expect(
      shown(try table("recent", view)) == [
        [time, "TOKEN_INVALID", "c", "i", "GET /x", "r"], [time, "TOKEN_INVALID", "-", "-", "-", "r"],
      ])
    let empty = StatusView(try reading())
    #expect(empty.tables.filter(\.isShown).map(\.id) == ["instances", "clients", "recent"])
    #expect(empty.tables.last?.note == "None.")
  }

  // MARK: Rates and percentiles

  /// A status in second `second`, with these requests and counts of times.
  private func sample(
    _ second: String, _ requests: Int = 0, _ counts: [Int: Int] = [:], startedAt: String = "2025-01-01T00:00:00.000Z"
  ) throws -> StatusReading {
    let times: [String: Any] = ["p50": 1, "p90": 1, "p99": 1, "counts": (0..<19).map { counts[$0] ?? 0 }]
    return try reading(
      ["at": "2026-01-01T00:00:\(second)Z", "started_at": startedAt, "requests": requests],
      instances: [["requests": requests, "upstream_ms": times]])
  }

  @Test func `rates and percentiles are those between two readings`() throws {
    let (old, new) = (
      try sample("00.500", 1_000, [3: 1_000]), try sample("10.500", 1_050, [3: 1_000, 9: 50])
    )
    let view = StatusView(new, since: old)
    #expect(view.tables[0].rows[0].map(\.text)[4...8] == ["1050", "5.0", "75", "95", "100"])
    #expect(view.facts.contains { $0.name == "Requests" && $0.cell.text == "1050, 5.0 per s" })
    #expect(view.span == "Rates and percentiles: last 10 s")
    for alone in [StatusView(new), StatusView(new, since: new), StatusView(new, since: try sample("10.001"))] {
      #expect(alone.tables[0].rows[0].map(\.text)[4...6] == ["1050", "-", "0.8"])
      #expect(alone.span == "Percentiles: since the start")
    }
    let soon = StatusView(try sample("02.500", 10), since: try sample("00.000"))
    #expect(soon.facts[2].cell.text == "10, 4.0 per s")
    // Hostile counts do not overflow.
    let extreme = StatusView(
      try sample("12.000", .max, [0: .max, 1: .max]), since: try sample("10.000", .min, [0: .min]))
    #expect(extreme.tables[0].rows[0][6].text == "0.1")
  }

  @Test func `a window has the last 10 s of one process`() throws {
    var window = StatusWindow(try sample("00.000"))
    for second in 1...30 {
      window.add(try sample(String(format: "%02d.%03d", second, second % 5 * 100), 5 * second))
      let span = second <= 10 ? second : 10
      #expect(window.view.span == "Rates and percentiles: last \(span) s", "\(second)")
    }
    #expect(window.view.facts[2].cell.text == "150, 5.0 per s")
    func spanAfter(_ next: StatusReading) -> String {
      var other = window
      other.add(next)
      return other.view.span
    }
    #expect(spanAfter(try sample("35.000")) == "Rates and percentiles: last 10 s")
    // A pause without viewers, a clock that was set back, and another process.
    #expect(spanAfter(try sample("50.000")) == "Percentiles: since the start")
    #expect(spanAfter(try sample("05.000")) == "Percentiles: since the start")
    #expect(spanAfter(try sample("31.000", startedAt: "2026-01-01T00:00:30.500Z")) == "Percentiles: since the start")
  }

  @Test func `what is not a status of this version is none`() throws {
    for member in Self.fullStatus.keys.sorted() {
      #expect(StatusReading(try Self.json([member: [["x"]]])) == nil, "\(member)")
    }
    #expect(StatusReading(try Self.json(["at": "yesterday"])) == nil)
    #expect(StatusReading(Array("[]".utf8)) == nil)
    #expect(StatusReading(try Self.json(["new": 1])) != nil)
  }

  // MARK: Events

  /// A viewer, and what it gets at first.
  private func viewer(_ gateway: RunningGateway, fields: [String] = [password]) throws -> (TestSocket, String) {
    let port = try #require(gateway.adminPort)
    let socket = try TestSocket(port: port)
    try socket.send(testRequest("GET", "/events", fields: fields, token: nil, host: "127.0.0.1"))
    var text = ""
    while !text.contains("\n\n") {
      let more = try socket.receive()
      guard !more.isEmpty else { break }
      text += String(decoding: more, as: UTF8.self)
      if text.contains("HTTP/1.1 ") && !text.contains("HTTP/1.1 200") { break }
    }
    return (socket, text)
  }

  @Test func `an event is what the page shows, in one line of JSON`() throws {
    let gateway = try gateway()
    _ = try gateway.ask("GET", "/proxy/nowhere")
    let (_, text) = try viewer(gateway)
    #expect(
      text.contains("\r\nContent-Type: text/event-stream\r\n") && text.contains("\r\nCache-Control: no-store\r\n"))
    let event = try #require(text.firstMatch(of: /\r\n([0-9a-f]+)\r\n(retry: 1000\ndata: ([^\n]*)\n\n)\r\n/))
    #expect(event.2.utf8.count == Int(event.1, radix: 16))
    let shown = try #require(try JSONSerialization.jsonObject(with: Data(event.3.utf8)) as? [String: Any])
    #expect(Set(shown.keys) == ["facts", "details", "tables", "span"])
    #expect((shown["facts"] as? [[String]])?.first == ["State", "serving", "good"])
    let tables = try #require(shown["tables"] as? [String: [String: Any]])
    #expect(Set(tables.keys) == ["instances", "clients", "introspection", "faults", "recent"])
    let recent = try #require(tables["recent"])
    #expect((recent["rows"] as? [[[String]]])?.first?[1] == ["ROUTE_UNKNOWN", ""])
    #expect(recent["note"] as? String == "" && recent["isShown"] as? Bool == true)
  }

  @Test func `texts do not end an event`() throws {
    let view = StatusView(try reading(clients: [["name": "a\n\ndata: {}\r\n"]]))
    let json = try JSONEncoder().encode(view)
    #expect(!json.contains(0x0a) && !json.contains(0x0d))
  }

  @Test func `eight viewers fit, and hold up no other connection`() throws {
    let gateway = try gateway()
    var viewers = try (0..<8).map { _ in try viewer(gateway) }
    #expect(viewers.allSatisfy { $0.1.contains("\ndata: {") })
    let ninth = try viewer(gateway).1
    #expect(ninth.hasPrefix("HTTP/1.1 503") && ninth.contains("\r\nRetry-After: 5\r\n"))
    let silent = try (0..<16).map { _ in try TestSocket(port: try #require(gateway.adminPort)) }
    #expect(try gateway.askAdmin("/status", fields: [Self.bearer])?.status == 200)
    #expect(try gateway.askAdmin("/", fields: [Self.password])?.status == 200)
    viewers.removeLast()
    #expect(try eventually { try viewer(gateway).1.contains("\ndata: {") })
    withExtendedLifetime((viewers, silent)) {}
  }

  @Test(arguments: [("same-origin", true), ("cross-site", false), ("same-site", false), ("none", false), ("", false)])
  func `a page of another site gets no events`(site: String, isServed: Bool) throws {
    let gateway = try gateway()
    let (_, text) = try viewer(gateway, fields: [Self.password, "Sec-Fetch-Site: \(site)"])
    #expect(text.contains("\ndata: {") == isServed && text.hasPrefix("HTTP/1.1 403") == !isServed)
  }

  @Test func `events end in order when the gateway drains`() throws {
    let gateway = try gateway(["timeouts": ["drain_delay_s": 5]])
    let (socket, text) = try viewer(gateway)
    #expect(text.contains("\ndata: {"))
    Thread { gateway.stop() }.start()
    let rest = String(decoding: try socket.receiveToEnd(), as: UTF8.self)
    #expect(rest.hasSuffix("0\r\n\r\n"))
    // It still drains: another viewer is served.
    #expect(try viewer(gateway).1.contains(#"["State","draining","warn"]"#))
  }

  // MARK: The last refusals and faults

  private func recent(_ gateway: RunningGateway) throws -> [[String: String]] {
    try #require(try status(gateway)["recent"] as? [[String: String]])
  }

  @Test func `a refusal is shown with its request, without query and token, and a success is not`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let admin: [String: any Sendable] = [
      "address": "127.0.0.1:0", "token": ["env": "TEST_KEY"] as [String: any Sendable],
    ]
    let gateway = try RunningGateway(upstreams: [("one", core.port), ("two", 1)], gateway: ["admin": admin])
    #expect(try gateway.ask("GET", "/proxy/balances?instance_id=one")?.status == 200)
    #expect(try recent(gateway).isEmpty)
    let refused = try #require(try gateway.ask("GET", "/proxy/blnk_at_Secret/x?key=Secret"))
    let failed = try #require(try gateway.ask("GET", "/proxy/balances/Secret?instance_id=two"))
    #expect(try eventually { try recent(gateway).count == 2 })
    let ends = try recent(gateway)
    #expect(ends[0]["request_id"] == failed["X-Request-Id"] && ends[0]["code"] == "GATEWAY_UPSTREAM_REFUSED")
    #expect(ends[0]["instance"] == "two" && ends[0]["client"] == "app" && ends[0]["path"] == "/proxy/balances/Secret")
    #expect(ends[1]["request_id"] == refused["X-Request-Id"] && ends[1]["code"] == "GATEWAY_ROUTE_UNKNOWN")
    #expect(ends[1]["path"] == "/proxy/blnk_at_***/x" && ends[1]["instance"] == nil && ends[1]["method"] == "GET")
  }

  private func add(to ring: RecentEnds, at time: Int64, path: String = "/") {
    ring.add(
      .routeUnknown, RequestID(high: 0, low: UInt64(time)), at: time, client: Span(), instance: Span(),
      method: Array("GET".utf8).span, path: Array(path.utf8).span)
  }

  @Test func `the ring of a loop keeps the last 100`() {
    let ring = RecentEnds()
    for count in 1...250 {
      add(to: ring, at: Int64(count))
      #expect(ring.all.map(\.at) == Array(Int64(max(1, count - 99))...Int64(count)))
    }
  }

  @Test func `the rings of several loops are merged by time, and those of one moment by their order`() throws {
    let rings = [RecentEnds(), RecentEnds(), RecentEnds()]
    for count in 0..<300 { add(to: rings[count % 3], at: Int64(count) * 1_000) }
    for path in ["/a", "/b"] { add(to: rings[1], at: 300_000, path: path) }
    let json = try JSONSerialization.jsonObject(with: Data(RecentEnds.json(rings))) as? [[String: String]]
    let ends = try #require(json)
    #expect(ends.count == 100 && ends[0]["path"] == "/b" && ends[1]["path"] == "/a")
    #expect(ends.map { $0["at"] ?? "" } == ends.map { $0["at"] ?? "" }.sorted(by: >))
    #expect(ends[99]["request_id"]?.hasSuffix(String(202_000, radix: 16)) == true)
    #expect(RecentEnds.json([]) == Array("[]".utf8))
  }

  @Test func `a long path is cut, and a token in it masked, at every length`() throws {
    for length in 0..<400 {
      let ring = RecentEnds()
      add(to: ring, at: 1, path: "/" + String(repeating: "é", count: length) + "/blnk_at_Secret\"<")
      let json = try JSONSerialization.jsonObject(with: Data(RecentEnds.json([ring]))) as? [[String: String]]
      let path = try #require(json?.first?["path"])
      #expect(!path.contains("Sec") && path.hasPrefix("/"))
    }
  }

  @Test func `every byte of a path is readable as JSON`() {
    let ring = RecentEnds()
    for high in UInt8(0)...15 {
      let bytes = (UInt8(0)...15).flatMap { [UInt8(ascii: "/"), high << 4 | $0] }
      ring.add(
        .routeUnknown, RequestID(high: 0, low: 1), at: 1, client: bytes.span, instance: bytes.span,
        method: bytes.span, path: bytes.span)
    }
    let list = RecentStatus.list(RecentEnds.json([ring]))
    #expect(list.count == 16 && list.allSatisfy { $0.path?.isEmpty == false && $0.client?.isEmpty == false })
  }

  // MARK: Rows

  @Test func `with a bound on rows, instances in trouble come first`() throws {
    let gateway = try RunningGateway(
      upstreams: [("a", 1), ("b", 1), ("c", 1)], gateway: ["admin": "127.0.0.1:0"])
    _ = try gateway.ask("GET", "/proxy/balances?instance_id=c")
    func ids(_ query: String) throws -> [String] {
      try #require(try status(gateway, query)["instances"] as? [[String: Any]]).compactMap { $0["id"] as? String }
    }
    #expect(try eventually { try ids("?rows=1") == ["c"] })
    #expect(try ids("?rows=2") == ["c", "a"] && ids("") == ["a", "b", "c"] && ids("?x=1") == ["a", "b", "c"])
    let whole = try status(gateway, "?rows=1")
    #expect(whole["instance_count"] as? Int == 3 && whole["instances_troubled"] as? Int == 1)
    for rows in ["0", "10001", "-1", "x"] {
      #expect(try gateway.askAdmin("/status?rows=\(rows)")?.status == 400, "\(rows)")
    }
  }

  @Test func `status counts refusals by code, and requests of instances`() throws {
    let gateway = try gateway()
    for _ in 0..<2 { _ = try gateway.ask("GET", "/proxy/balances?instance_id=one") }
    _ = try gateway.ask("GET", "/proxy/nowhere")
    let found = try status(gateway)
    #expect(found["refusals"] as? [String: Int] == ["GATEWAY_UPSTREAM_REFUSED": 2, "GATEWAY_ROUTE_UNKNOWN": 1])
    #expect(found["requests"] as? Int == 3 && found["upgrade"] as? String == "none")
    #expect((found["instances"] as? [[String: Any]])?.first?["requests"] as? Int == 2)
  }
}
