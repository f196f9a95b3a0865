import Digests
import Dispatch
import Foundation
import Gateway
import Synchronization
import TestSupport
import Testing

@Suite(.scopedFixtures) struct AuditTests {
  private static let settings: [String: any Sendable] = ["audit_log": "audit.log", "audit_key": ["env": "TEST_KEY"]]
  private static let link = "/proxy/balances/bln_1/identity?instance_id=a"
  private static let body = #"{"identity_id": "idt_1"}"#

  private func hex(_ bytes: [UInt8]) -> String { SHA256.digest(of: bytes.span).hex }

  @Test func `records which client linked which balance to which identity, and the outcome`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("a", core.port)], gateway: Self.settings)
    let answer = try gateway.ask("PUT", Self.link, body: Self.body)
    #expect(answer?.status == 200)
    gateway.stop()
    let records = try AuditRecords(gateway.statePath)
    #expect(records.entries.compactMap { $0["kind"] as? String } == ["start", "intent", "outcome", "end"])
    let intent = try #require(records.intents.first)
    let expected = [
      "operation": "balances.link_identity", "method": "PUT", "route": "/proxy/balances/:id/identity",
      "path": "/proxy/balances/bln_1/identity", "client": "app", "token": "of the tests", "instance": "a",
      "peer": "127.0.0.1", "request_id": answer?["X-Request-Id"], "body_sha256": hex(Array(Self.body.utf8)),
      "token_sha256": String(hex(Array(TestPolicyFolder.token.utf8)).prefix(8)),
    ]
    for (key, value) in expected { #expect(intent[key] as? String == value, "\(key)") }
    #expect(intent["body_bytes"] as? Int == Self.body.utf8.count)
    #expect(intent["target"] as? [String: String] == ["balance_id": "bln_1"])
    #expect(intent["named"] as? [String: String] == ["identity_id": "idt_1"])
    #expect(intent["streamed"] == nil)
    let outcome = try #require(records.outcomes.first)
    #expect(outcome["outcome"] as? String == "done" && outcome["status"] as? Int == 200)
    #expect(outcome["request_id"] as? String == answer?["X-Request-Id"])
    #expect(try AuditRecords.findings(gateway.statePath).isEmpty)
  }

  @Test func `never shows a token, a key or a body`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("a", core.port)], gateway: Self.settings)
    _ = try gateway.ask("POST", "/proxy/balances?instance_id=a", body: #"{"ledger_id":"l","note":"of-the-body"}"#)
    _ = try gateway.ask("POST", "/proxy/balances?instance_id=a", body: "{}", token: TestPolicyFolder.readToken)
    gateway.stop()
    let text = try String(contentsOfFile: "\(gateway.statePath)/audit.log", encoding: .utf8)
    for secret in [TestPolicyFolder.token, TestPolicyFolder.readToken, TestPolicyFolder.key, "of-the-body"] {
      #expect(!text.contains(secret))
    }
    // A rejected request is not a write.
    #expect(try AuditRecords(gateway.statePath).intents.count == 1)
  }

  @Test func `the intent is in the file when Core has the request`() throws {
    let path = Mutex("")
    let missing = Atomic<Int>(0)
    let core = try ScriptedUpstream { request in
      let text = path.withLock { try? String(contentsOfFile: $0, encoding: .utf8) }
      let id = request.message["X-Request-Id"] ?? ""
      if text?.contains(#""kind":"intent","request_id":"\#(id)""#) != true { missing.add(1, ordering: .relaxed) }
      return .bytes(ScriptedUpstream.json("{}"))
    }
    let gateway = try RunningGateway(upstreams: [("a", core.port)], loops: 2, gateway: Self.settings)
    path.withLock { $0 = "\(gateway.statePath)/audit.log" }
    DispatchQueue.concurrentPerform(iterations: 8) { _ in
      for _ in 0..<10 { _ = try? gateway.ask("PUT", Self.link, body: Self.body) }
    }
    gateway.stop()
    #expect(missing.load(ordering: .relaxed) == 0)
    #expect(core.requests.count == 80)
    #expect(try AuditRecords(gateway.statePath).words() == [String](repeating: "done", count: 80))
    #expect(try AuditRecords.findings(gateway.statePath).isEmpty)
  }

  static let answers: [(ScriptedUpstream.Answer, String, Int)] = [
    (.bytes(ScriptedUpstream.json("{}", status: "201 Created")), "done", 201),
    (.bytes(ScriptedUpstream.json("{}", status: "400 Bad Request")), "refused", 400),
    (.bytes(ScriptedUpstream.json("{}", status: "500 Internal Server Error")), "unknown", 500),
    (.last([]), "unknown", 502),
    (.last(Array("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".utf8)), "done", 200),
  ]

  @Test(arguments: answers)
  func `records the outcome of a write`(answer: ScriptedUpstream.Answer, word: String, status: Int) throws {
    let core = try ScriptedUpstream { _ in answer }
    let gateway = try RunningGateway(upstreams: [("a", core.port)], gateway: Self.settings)
    _ = try gateway.ask("PUT", Self.link, body: Self.body)
    gateway.stop()
    let records = try AuditRecords(gateway.statePath)
    #expect(try records.words() == [word])
    #expect(records.outcomes.first?["status"] as? Int == status)
  }

  private static let write: [String: any Sendable] = ["POST": ["scope": "proxy:write", "operation": "write"]]
  private static let queued = #"{"transaction_id":"txn_1","reference":"r","status":"QUEUED","meta_data":null}"#

  static let accepted: [(path: String, status: String, body: String, word: String, id: String?)] = [
    ("/transactions", "201 Created", queued, "accepted", "txn_1"),
    ("/transactions", "201 Created", queued.replacing("QUEUED", with: "APPLIED"), "done", "txn_1"),
    ("/transactions", "201 Created", "{}", "accepted", nil),
    ("/transactions", "400 Bad Request", queued, "refused", nil),
    ("/transactions", "500 Internal Server Error", queued, "unknown", nil),
    ("/transactions/bulk", "201 Created", #"{"batch_id":"b","status":"applied"}"#, "done", nil),
    ("/transactions/bulk", "202 Accepted", #"{"batch_id":"b","status":"processing"}"#, "accepted", nil),
    ("/refund-transaction/txn_0", "201 Created", queued, "accepted", "txn_1"),
    ("/balances", "201 Created", queued, "done", "txn_1"), ("/balances", "202 Accepted", "{}", "accepted", nil),
  ]

  @Test(arguments: accepted)
  func `a write that Core only queues is accepted, not done`(
    path: String, status: String, body: String, word: String, id: String?
  ) throws {
    // Read at once, and in several parts.
    for padding in ["", String(repeating: " ", count: 60_000)] {
      let answer = ScriptedUpstream.json(padding + body, status: status)
      let core = try ScriptedUpstream { _ in .bytes(answer) }
      let routes = [
        "/proxy/transactions", "/proxy/transactions/bulk", "/proxy/refund-transaction/:id", "/proxy/balances",
      ]
      let gateway = try RunningGateway(
        upstreams: [("a", core.port)], gateway: Self.settings,
        routes: Dictionary(uniqueKeysWithValues: routes.map { ($0, Self.write) }))
      for _ in 0..<2 { _ = try gateway.ask("POST", "/proxy\(path)?instance_id=a", body: #"{"reference":"r"}"#) }
      gateway.stop()
      let records = try AuditRecords(gateway.statePath)
      #expect(try records.words() == [word, word])
      #expect(records.outcomes.allSatisfy { $0["transaction_id"] as? String == id })
      #expect(try AuditRecords.findings(gateway.statePath).isEmpty)
    }
  }

  /// The bodies, and the reference that the log has.
  static let references: [(String, String?)] = [
    (#"{"reference":"r1","sources":null,"destinations":[]}"#, "r1"), (#"{"REFERENCE":"a","reference":"r2"}"#, "r2"),
    (#"{"reference":"r3","destinations":[{"identifier":"a","distribution":"left"}]}"#, "r3"),
    (#"{"reference":"r4","Sources":[{}]}"#, "r4"), ("{\"reference\":\"r5\",\"\u{17F}ources\":[{}]}", "r5"),
    (#"{"reference":1}"#, nil),
  ]

  @Test(arguments: references)
  func `an intent has the reference of a transaction, and whether it is split`(body: String, reference: String?) throws
  {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json(Self.queued, status: "201 Created")) }
    let gateway = try RunningGateway(
      upstreams: [("a", core.port)], gateway: Self.settings,
      routes: ["/proxy/transactions": Self.write, "/proxy/balances": Self.write])
    for path in ["transactions", "balances"] {
      #expect(try gateway.ask("POST", "/proxy/\(path)?instance_id=a", body: body)?.status == 201)
    }
    gateway.stop()
    let named = try AuditRecords(gateway.statePath).intents.map { ($0["named"] as? [String: String])?["reference"] }
    #expect(named == [reference, nil])
    let isSplit = try AuditRecords(gateway.statePath).intents.map { $0["destinations"] != nil || $0["sources"] != nil }
    #expect(isSplit == [["r3", "r4", "r5"].contains(reference), false])
  }

  @Test func `a write to an unreachable Core is not_sent`() throws {
    // Nothing listens on port 1.
    let gateway = try RunningGateway(upstreams: [("a", 1)], gateway: Self.settings)
    let answer = try gateway.ask("PUT", Self.link, body: Self.body)
    #expect(answer?.member("code") == "GATEWAY_UPSTREAM_REFUSED")
    gateway.stop()
    let records = try AuditRecords(gateway.statePath)
    #expect(try records.words() == ["not_sent"])
    #expect(records.outcomes.first?["code"] as? String == "GATEWAY_UPSTREAM_REFUSED")
  }

  @Test func `a write that Core never answers is unknown, even when the gateway ends`() throws {
    let core = try ScriptedUpstream { _ in .stall([]) }
    let gateway = try RunningGateway(
      upstreams: [("a", core.port)], gateway: Self.settings.merging(["timeouts": ["drain_s": 0.2]]) { $1 })
    let socket = try gateway.connect()
    try socket.send(testRequest("PUT", Self.link, body: Self.body))
    #expect(eventually { !core.requests.isEmpty })
    let isDrained = gateway.stop()
    #expect(!isDrained)
    #expect(try AuditRecords(gateway.statePath).words() == ["unknown"])
    #expect(try AuditRecords(gateway.statePath).entries.last?["kind"] as? String == "end")
  }

  @Test func `reads are not audited`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("[]")) }
    let gateway = try RunningGateway(upstreams: [("a", core.port)], gateway: Self.settings)
    #expect(try gateway.ask("GET", "/proxy/balances?instance_id=a")?.status == 200)
    #expect(try gateway.ask("POST", "/proxy/balances/filter?instance_id=a", body: "{}")?.status == 200)
    gateway.stop()
    #expect(try AuditRecords(gateway.statePath).entries.compactMap { $0["kind"] as? String } == ["start", "end"])
  }

  /// Lengths around the buffer sizes and around the longest body that is read whole; a chunk of one byte takes six on
  /// the wire.
  static let bodies = [
    (0, 0), (0, 1), (1, 0), (5_000, 1), (16_000, 0), (16_384, 1_000), (16_384, 1), (40_000, 0), (40_000, 70_000),
    (65_536, 0), (65_536, 1_000), (65_536, 70_000), (65_537, 0), (65_537, 1_000), (65_537, 70_000), (300_000, 0),
    (300_000, 70_000),
  ]

  @Test(.serialized, arguments: bodies)
  func `records the body's hash, however it is framed`(length: Int, chunk: Int) throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("a", core.port)], gateway: Self.settings)
    let body = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
    let socket = try gateway.connect()
    try socket.send(Self.request(body, chunk: chunk))
    var reader = TestMessageReader(socket)
    #expect(try reader.next()?.status == 200)
    gateway.stop()
    #expect(core.requests.first.map { hex($0.message.body) } == hex(body))
    let records = try AuditRecords(gateway.statePath)
    let streams = length > 65_536
    #expect(records.intents.first?["streamed"] as? Bool == (streams ? true : nil))
    let place = streams ? records.outcomes.first : records.intents.first
    #expect(place?["body_sha256"] as? String == hex(body))
    #expect(place?["body_bytes"] as? Int == length)
    #expect(place?["body_whole"] == nil)
    #expect((streams ? records.intents.first : records.outcomes.first)?["body_sha256"] == nil)
  }

  private static func request(_ body: [UInt8], chunk: Int) -> [UInt8] {
    let framing = chunk == 0 ? "Content-Length: \(body.count)" : "Transfer-Encoding: chunked"
    var out = Array(testRequest("POST", "/proxy/balances?instance_id=a", fields: [framing]).utf8)
    guard chunk > 0 else { return out + body }
    var rest = body[...]
    while !rest.isEmpty {
      out += Array("\(String(min(chunk, rest.count), radix: 16))\r\n".utf8) + rest.prefix(chunk) + Array("\r\n".utf8)
      rest = rest.dropFirst(chunk)
    }
    return out + Array("0\r\n\r\n".utf8)
  }

  @Test func `a client that leaves during a short body leaves no entry, during a long one an unknown outcome`()
    throws
  {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("a", core.port)], gateway: Self.settings)
    for (length, sent) in [(40_000, 30_000), (200_000, 100_000)] {
      let socket = try gateway.connect()
      let fields = ["Content-Length: \(length)"]
      let head = Array(testRequest("POST", "/proxy/balances?instance_id=a", fields: fields).utf8)
      try socket.send(head + [UInt8](repeating: 0x20, count: sent))
      // Part of the long one has been sent to Core when its client leaves.
      if length == 200_000 { #expect(eventually { core.connectionCount == 1 }) }
      socket.end()
      _ = try? socket.receive()
    }
    gateway.stop()
    let records = try AuditRecords(gateway.statePath)
    #expect(try records.words() == ["unknown"])
    #expect(records.outcomes.first?["body_whole"] as? Bool == false)
  }

  @Test func `a rotation under load loses nothing`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("a", core.port)], loops: 2, gateway: Self.settings)
    let isDone = Atomic<Bool>(false)
    let rotated = Mutex<[String]>([])
    DispatchQueue.concurrentPerform(iterations: 5) { worker in
      guard worker > 0 else {
        while !isDone.load(ordering: .relaxed) {
          let name = rotated.withLock { names in
            names.append("audit.log.\(names.count + 1)")
            return names[names.count - 1]
          }
          try? FileManager.default.moveItem(
            atPath: "\(gateway.statePath)/audit.log", toPath: "\(gateway.statePath)/\(name)")
          gateway.reopenLogs()
          guard eventually({ FileManager.default.fileExists(atPath: "\(gateway.statePath)/audit.log") }) else { return }
        }
        return
      }
      for _ in 0..<25 { _ = try? gateway.ask("PUT", Self.link, body: Self.body) }
      if worker == 1 { isDone.store(true, ordering: .relaxed) }
    }
    gateway.stop()
    let names = rotated.withLock { $0 } + ["audit.log"]
    #expect(names.count > 1)
    #expect(try AuditRecords(gateway.statePath, names).words() == [String](repeating: "done", count: 100))
    #expect(try AuditRecords.findings(gateway.statePath, names).isEmpty)
  }

  @Test func `does not start without its file`() throws {
    #expect(throws: StartFault.self) {
      _ = try RunningGateway(upstreams: [("a", 1)], gateway: ["audit_log": "missing/audit.log"])
    }
  }
}
