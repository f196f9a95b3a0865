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

  @Test func `texts of clients, Cores and files are escaped, whatever is in them`() throws {
    let text = try #require(String(data: JSONEncoder().encode(Self.hostile), encoding: .utf8))
    let json = """
      {"at":\(text),"version":\(text),"instance_count":1e999,"instances_troubled":-1e400,"requests":1e300,
      "refusals":{"A":1e308,"B":1e308},"policy":{"faults":[\(text)],"fault_count":9e99,"sha256":\(text)},
      "instances":[{"id":\(text),"breaker":\(text),"requests":{},"queued":1e99,"upstream_ms":{"counts":[1e99,-1e99]},
      "last_fault":{"at":\(text),"code":\(text),"detail":\(text)}},7,null],
      "clients":[{"name":\(text),"requests":null,"refusals":{\(text):3},"token_expires_at":\(text)}],
      "recent":[{"path":\(text),"method":\(text),"client":\(text)},[]],"audit":[],"idempotency":true}
      """
    let page = String(decoding: StatusPage.html(Array(json.utf8)), as: UTF8.self)
    #expect(page.contains("&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x"))
    #expect(page.contains("&amp;&quot;&#39;\u{fffd}\u{fffd}"))
    #expect(!page.contains("<img") && page.ranges(of: "<script").count == 1 && !page.utf8.contains(0))
    #expect(String(decoding: StatusPage.html(Array("{".utf8)), as: UTF8.self).contains("/status"))
  }

  @Test func `rates and percentiles are those between two readings`() throws {
    func status(_ requests: Int, _ counts: [Int: Int]) throws -> JSONRecord {
      let list = (0..<19).map { "\(counts[$0] ?? 0)" }.joined(separator: ",")
      let json =
        #"{"requests":\#(requests),"refusals":{},"instance_count":1,"instances":[{"id":"a","requests":\#(requests),"#
        + #""upstream_ms":{"counts":[\#(list)]}}]}"#
      return try #require(JSONRecord(Array(json.utf8)))
    }
    let (old, new) = (try status(1_000, [3: 1_000]), try status(1_050, [3: 1_000, 9: 50]))
    let view = StatusView(new, since: (old, 10), rowsMax: 100)
    #expect(view.tables[0].rows[0].map(\.text)[4...8] == ["1050", "5.0", "75", "95", "100"])
    let alone = StatusView(new, rowsMax: 100)
    #expect(alone.tables[0].rows[0].map(\.text)[4...6] == ["1050", "-", "0.8"])
    #expect(view.facts.contains { $0.name == "Requests" && $0.cell.text == "1050, 5.0 per s" })
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

  @Test func `an event is the JSON of the status in one line`() throws {
    let gateway = try gateway()
    _ = try gateway.ask("GET", "/proxy/nowhere")
    let (_, text) = try viewer(gateway)
    #expect(
      text.contains("\r\nContent-Type: text/event-stream\r\n") && text.contains("\r\nCache-Control: no-store\r\n"))
    let event = try #require(text.firstMatch(of: /\r\n([0-9a-f]+)\r\n(retry: 1000\ndata: ([^\n]*)\n\n)\r\n/))
    #expect(event.2.utf8.count == Int(event.1, radix: 16))
    let shown = try #require(try JSONSerialization.jsonObject(with: Data(event.3.utf8)) as? [String: Any])
    #expect(Set(shown.keys) == Set(try status(gateway).keys))
    #expect((shown["recent"] as? [[String: Any]])?.count == 1)
    #expect(StatusEvents.event(Array("{\"a\":\n1}\n".utf8)) == Array("data: {\"a\":1}\n\n".utf8))
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
    let gateway = try gateway(["timeouts": ["drain_delay_s": 2]])
    let (socket, text) = try viewer(gateway)
    #expect(text.contains("\ndata: {"))
    Thread { gateway.stop() }.start()
    let rest = String(decoding: try socket.receiveToEnd(), as: UTF8.self)
    #expect(rest.hasSuffix("0\r\n\r\n"))
    // It still drains: another viewer is served.
    #expect(try viewer(gateway).1.contains("\"draining\":true"))
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

  private func end(at time: Int64, path: String = "/") -> RecentEnd {
    RecentEnd(
      .routeUnknown, RequestID(high: 0, low: UInt64(time)), at: time, client: Span(), instance: Span(),
      method: Array("GET".utf8).span, path: Array(path.utf8).span)
  }

  @Test func `the ring of a loop keeps the last 100`() {
    let ring = RecentEnds()
    for count in 1...250 {
      ring.add(end(at: Int64(count)))
      #expect(ring.all.map(\.at) == Array(Int64(max(1, count - 99))...Int64(count)))
    }
  }

  @Test func `the rings of several loops are merged by time, and those of one moment by their order`() throws {
    let rings = [RecentEnds(), RecentEnds(), RecentEnds()]
    for count in 0..<300 { rings[count % 3].add(end(at: Int64(count) * 1_000)) }
    for path in ["/a", "/b"] { rings[1].add(end(at: 300_000, path: path)) }
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
      ring.add(end(at: 1, path: "/" + String(repeating: "é", count: length) + "/blnk_at_Secret\"<"))
      let json = try JSONSerialization.jsonObject(with: Data(RecentEnds.json([ring]))) as? [[String: String]]
      let path = try #require(json?.first?["path"])
      #expect(!path.contains("Sec") && path.hasPrefix("/"))
    }
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
