import Foundation
import Reactor
import SandboxCore
import Synchronization
import TestFolders
import TestSupport
import Testing

/// Repeats of keyed writes of unknown outcome, at an instance with `"reconcile": true`.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct ReconcileTests {
  private static let identity = "idt_9f0c1a52-4a7e-4d3f-8a51-0e6c5cf0a001"

  private final class Stage {
    private let root: TemporaryFolder
    let folder: TestPolicyFolder
    private(set) var gateway: GatewayProcess

    init(
      _ port: UInt16, reconciles: Bool = true, instance: [String: any Sendable] = [:],
      idempotency: [String: any Sendable] = [:]
    ) throws {
      let write: [String: any Sendable] = ["scope": "proxy:write", "operation": "write"]
      root = try TemporaryFolder()
      folder = try TestPolicyFolder(
        instances: [("one", "http://127.0.0.1:\(port)")],
        instance: ["timeouts": ["total_s": 1, "first_byte_s": 1], "breaker": ["failures": 0], "reconcile": reconciles]
          .merging(instance) { $1 },
        gateway: [
          "idempotency": idempotency, "audit_log": "audit.log", "audit_key": ["env": "TEST_KEY"],
          "admin": "unix:\(root.path("admin.sock"))",
        ],
        routes: [
          "/proxy/transactions": ["POST": write], "/proxy/identities": ["POST": write],
          "/proxy/identities/:id": ["DELETE": write], "/proxy/balances": ["POST": write],
        ])
      gateway = try GatewayProcess(folder)
    }

    func write(
      _ key: String, _ method: String, _ path: String, _ body: String? = nil, token: String = TestPolicyFolder.token,
      query: String = ""
    ) throws -> TestMessage {
      let socket = try TestSocket(port: gateway.port)
      try socket.send(
        testRequest(
          method, "/proxy\(path)?instance_id=one\(query)", fields: ["Idempotency-Key: \(key)", "Connection: close"],
          body: body,
          token: token))
      var reader = TestMessageReader(socket)
      return try #require(try reader.next())
    }

    func pay(_ key: String, _ body: String = ReconcileTests.payment) throws -> TestMessage {
      try write(key, "POST", "/transactions", body)
    }

    /// The keys of unknown outcome.
    func keys() throws -> [String] {
      let told = try runCommand(
        ["idempotency", "list", "--json", "--policies", folder.path], environment: ["TEST_KEY": TestPolicyFolder.key])
      return try JSONDecoder().decode(Keys.self, from: Data(told.output.utf8)).keys.map(\.key)
    }

    private struct Keys: Decodable {
      struct Key: Decodable { let key: String }
      let keys: [Key]
    }

    func restartKilled() throws {
      gateway.signal(SIGKILL)
      _ = gateway.waitForEnd()
      gateway = try GatewayProcess(folder)
    }
  }

  private static let payment =
    #"{"amount":10.5,"precision":100,"currency":"USD","description":"d","source":"@World","destination":"@A","#
    + #""allow_overdraft":true,"skip_queue":true,"reference":"pay 1","meta_data":{"order":17}}"#
  private static let person = #"{"identity_id":"\#(identity)","first_name":"Ada"}"#

  private func sandbox() throws -> (SandboxServer, UInt16) {
    let fixtures = try Fixtures.ofTest()
    let core = try SandboxServer(listen: .tcp(host: "127.0.0.1", port: 0), key: TestPolicyFolder.key)
    fixtures.add { core.stop() }
    guard case .ipv4(_, let port) = core.address else { throw NoPort() }
    return (core, port)
  }

  private struct NoPort: Error {}

  private static func questions(_ core: SandboxServer) -> Int { core.received.filter { $0.method == "GET" }.count }

  @Test(arguments: [payment, payment.replacing(#""skip_queue":true,"#, with: "")])
  func `a repeat gets Core's record, from then on without asking, also after a kill`(body: String) throws {
    let (core, port) = try sandbox()
    let stage = try Stage(port)
    core.failNextWrites(.responseLost)
    let lost = try stage.pay("a", body)
    #expect(lost.status == 502)
    let repeated = try stage.pay("a", body)
    #expect(
      repeated.status == 201 && repeated.values("Idempotent-Replayed") == ["reconstructed"], "\(repeated.bodyText)")
    #expect(
      repeated["X-Original-Request-Id"] == lost["X-Request-Id"] && repeated["X-Request-Id"] != lost["X-Request-Id"])
    #expect(repeated["Content-Type"] == "application/json; charset=utf-8")
    #expect(repeated.member("reference") == "pay 1" && repeated.member("transaction_id")?.hasPrefix("txn_") == true)
    #expect(Self.questions(core) > 0)
    // Once the journal has stored it, a moment later.
    let isStored = try eventually {
      let before = Self.questions(core)
      let again = try stage.pay("a", body)
      return again.bodyText == repeated.bodyText && Self.questions(core) == before
    }
    #expect(isStored)
    let asked = Self.questions(core)
    try stage.restartKilled()
    let later = try stage.pay("a", body)
    #expect(later.values("Idempotent-Replayed") == ["reconstructed"] && later.bodyText == repeated.bodyText)
    #expect(later["X-Original-Request-Id"] == lost["X-Request-Id"])
    #expect(try stage.pay("a", body.replacing("17", with: "18")).verdict == "422 GATEWAY_IDEMPOTENCY_KEY_REUSED")
    #expect(Self.questions(core) == asked && core.executions.values.allSatisfy { $0 == 1 })
    let records = try eventuallyRecords(stage) { $0.contains { $0["outcome"] as? String == "reconstructed" } }
    #expect(records)
  }

  private func eventuallyRecords(
    _ stage: Stage, _ condition: ([[String: any Sendable]]) -> Bool
  ) throws -> Bool { try eventually { condition(try stage.folder.records()) } }

  @Test func `identities and their deletions are found, too`() throws {
    let (core, port) = try sandbox()
    let stage = try Stage(port)
    core.failNextWrites(.responseLost)
    #expect(try stage.write("a", "POST", "/identities", Self.person).status == 502)
    let created = try stage.write("a", "POST", "/identities", Self.person)
    #expect(created.status == 201 && created.member("identity_id") == Self.identity, "\(created.bodyText)")
    #expect(created.values("Idempotent-Replayed") == ["reconstructed"])
    core.failNextWrites(.responseStalled)
    #expect(try stage.write("b", "DELETE", "/identities/\(Self.identity)").status == 504)
    let deleted = try stage.write("b", "DELETE", "/identities/\(Self.identity)")
    #expect(deleted.status == 200 && deleted.values("Idempotent-Replayed") == ["reconstructed"], "\(deleted.bodyText)")
    #expect(deleted.bodyText == #"{"message":"Identity deleted successfully"}"#)
    #expect(core.executions == [.created(id: Self.identity): 1, .changed(id: Self.identity): 1])
  }

  @Test func `what Core does not have stays unknown, and is never sent again, until Core has it`() throws {
    let (core, port) = try sandbox()
    let stage = try Stage(port)
    core.failNextWrites(.executedLate)
    #expect(try stage.pay("a").status == 504)
    for _ in 0..<3 { #expect(try stage.pay("a").verdict == "409 GATEWAY_OUTCOME_UNKNOWN") }
    try stage.restartKilled()
    #expect(try stage.pay("a").verdict == "409 GATEWAY_OUTCOME_UNKNOWN")
    #expect(core.received.filter { $0.method == "POST" }.count == 1)
    core.executeLateWrites()
    let late = try stage.pay("a")
    #expect(late.status == 201 && late.values("Idempotent-Replayed") == ["reconstructed"], "\(late.bodyText)")
    #expect(core.received.filter { $0.method == "POST" }.count == 1)
  }

  @Test func `Core is asked in the background, so that the first repeat gets the stored record`() throws {
    let (core, port) = try sandbox()
    let stage = try Stage(port)
    core.failNextWrites(.responseLost, .executedLate)
    #expect(try stage.pay("a").status == 502)
    let late = Self.payment.replacing("pay 1", with: "pay 2")
    #expect(try stage.pay("b", late).status == 504)
    #expect(eventually { (try? stage.keys()) == ["b"] })
    core.executeLateWrites()
    #expect(eventually { (try? stage.keys()) == [] })
    let asked = Self.questions(core)
    for (key, body) in [("a", Self.payment), ("b", late)] {
      let repeated = try stage.pay(key, body)
      #expect(repeated.status == 201 && repeated.values("Idempotent-Replayed") == ["reconstructed"])
    }
    #expect(Self.questions(core) == asked && core.received.filter { $0.method == "POST" }.count == 2)
  }

  @Test func `without reconcile, and where Core cannot be asked, Core is not asked`() throws {
    let (core, port) = try sandbox()
    let off = try Stage(port, reconciles: false)
    core.failNextWrites(.responseLost)
    #expect(try off.pay("a").status == 502)
    #expect(try off.pay("a").verdict == "409 GATEWAY_OUTCOME_UNKNOWN")

    let stage = try Stage(port)
    let split = Self.payment.replacing(
      #""destination":"@A""#, with: #""destinations":[{"identifier":"@A","distribution":"left"}]"#)
    for (number, (path, body)) in [
      ("/transactions", split.replacing("pay 1", with: "pay 2")), ("/identities", #"{"first_name":"Ada"}"#),
      ("/balances", #"{"currency":"USD"}"#), ("/transactions", Self.payment.replacing("pay 1", with: "a/b")),
      ("/transactions", Self.payment.replacing("pay 1", with: "pay 3") + "{}"),
      ("/transactions", Self.payment.replacing(#""amount""#, with: #""Reference":"pay 1","amount""#)),
    ].enumerated() {
      core.failNextWrites(.responseLost)
      #expect(try stage.write("k\(number)", "POST", path, body).status == 502)
      #expect(try stage.write("k\(number)", "POST", path, body).verdict == "409 GATEWAY_OUTCOME_UNKNOWN", "\(body)")
    }
    core.failNextWrites(.responseLost)
    let other = Self.payment.replacing("pay 1", with: "pay 4")
    #expect(try stage.write("q", "POST", "/transactions", other, query: "&dry_run=true").status == 502)
    let repeated = try stage.write("q", "POST", "/transactions", other, query: "&dry_run=true")
    #expect(repeated.verdict == "409 GATEWAY_OUTCOME_UNKNOWN")
    #expect(Self.questions(core) == 0)
  }

  @Test func `an identity of another client is not shown, and the key stays unknown`() throws {
    let (core, port) = try sandbox()
    let stage = try Stage(port)
    let theirs = #"{"identity_id":"\#(Self.identity)","first_name":"Ada","phone_number":"+44 20"}"#
    #expect(try stage.write("x", "POST", "/identities", theirs, token: TestPolicyFolder.directToken).status == 201)
    core.failNextWrites(.responseLost)
    #expect(try stage.write("a", "POST", "/identities", Self.person).status == 502)
    for _ in 0..<2 {
      let repeated = try stage.write("a", "POST", "/identities", Self.person)
      #expect(repeated.verdict == "422 GATEWAY_IDEMPOTENCY_RECORD_DIFFERS", "\(repeated.bodyText)")
      #expect(!repeated.bodyText.contains("+44 20"))
      try stage.restartKilled()
    }
  }

  // MARK: What Core answers

  private static func record(_ more: String = "", created: String = "2100-01-01T00:00:00Z") -> String {
    #"{"precise_amount":1050,"amount":10.5,"currency":"USD","description":"d","source":"bln_w","destination":"bln_a","#
      + #""transaction_id":"txn_1","status":"APPLIED","reference":"pay 1","created_at":"\#(created)","#
      + #""meta_data":{"order":17}\#(more)}"#
  }

  private static let missing = #"{"error_detail":{"code":"TXN_NOT_FOUND"}}"#
  private static let unknown = "409 GATEWAY_OUTCOME_UNKNOWN"
  private static let differs = "422 GATEWAY_IDEMPOTENCY_RECORD_DIFFERS"

  private static let answers: [(status: String, body: String, verdict: String)] = [
    ("200 OK", record(), "201"), ("200 OK", record(created: "2020-01-01T00:00:00Z"), differs),
    ("200 OK", record().replacing("1050", with: "1051"), differs),
    ("200 OK", record().replacing("bln_a", with: "bln_x"), differs),
    ("200 OK", record().replacing("pay 1", with: "pay 2"), differs),
    ("200 OK", record().replacing(#""created_at""#, with: #""created""#), differs),
    ("200 OK", record(#","Amount":10.5"#), unknown), ("200 OK", "garbage", unknown), ("200 OK", "[]", unknown),
    ("200 OK", String(repeating: " ", count: 300_000) + record(), unknown),
    ("404 Not Found", missing, unknown), ("404 Not Found", "404 page not found", unknown),
    ("500 Internal Server Error", "{}", unknown), ("401 Unauthorized", "{}", unknown), ("302 Found", "{}", unknown),
  ]

  private static func balance(_ target: String) -> String? {
    ["World": "bln_w", "A": "bln_a"].first { target == "/balances/indicator/%40\($0.key)/currency/USD" }
      .map { #"{"balance_id":"\#($0.value)","indicator":"@\#($0.key)"}"# }
  }

  @Test(arguments: answers.indices)
  func `only a record that matches is an answer`(index: Int) throws {
    let (status, body, verdict) = Self.answers[index]
    let core = try ScriptedUpstream { request in
      let words = request.message.startLine.split(separator: " ")
      guard words[0] == "GET" else { return .reset([]) }
      if let balance = Self.balance(String(words[1])) { return .bytes(ScriptedUpstream.json(balance)) }
      return .bytes(ScriptedUpstream.json(body, status: status))
    }
    let stage = try Stage(core.port)
    #expect(try stage.pay("a").status == 502)
    let repeated = try stage.pay("a")
    #expect(repeated.verdict == verdict, "\(repeated.bodyText)")
    #expect(repeated.values("Idempotent-Replayed") == (verdict == "201" ? ["reconstructed"] : []))
    #expect(core.requests.filter { $0.message.startLine.hasPrefix("POST ") }.count == 1)
  }

  @Test func `a Core that hangs or lacks an indicator leaves it unknown, and others are served meanwhile`() throws {
    let hangs = Mutex(true)
    let core = try ScriptedUpstream { request in
      guard request.message.startLine.hasPrefix("GET ") else { return .reset([]) }
      if hangs.withLock(\.self) { return .stall([]) }
      return request.message.startLine.contains("/balances/")
        ? .bytes(ScriptedUpstream.json(#"{"error_detail":{"code":"BAL_NOT_FOUND"}}"#, status: "404 Not Found"))
        : .bytes(ScriptedUpstream.json(Self.record()))
    }
    let stage = try Stage(core.port)
    #expect(try stage.pay("a").status == 502)
    let began = Date()
    let waiting = try (0..<4).map { _ in
      let socket = try TestSocket(port: stage.gateway.port)
      try socket.send(
        testRequest(
          "POST", "/proxy/transactions?instance_id=one", fields: ["Idempotency-Key: a", "Connection: close"],
          body: Self.payment))
      return socket
    }
    #expect(eventually { core.requests.count == 2 })
    #expect(try stage.pay("b", Self.payment.replacing("pay 1", with: "pay 9")).status == 502)
    for socket in waiting {
      var reader = TestMessageReader(socket)
      #expect(try reader.next()?.verdict == Self.unknown)
    }
    // One question for all of them, and perhaps one in the background.
    #expect(core.requests.filter { $0.message.startLine.hasPrefix("GET ") }.count <= 2)
    #expect(Date().timeIntervalSince(began) < 30)
    hangs.withLock { $0 = false }
    // After the pause.
    let isAsked = try eventually {
      let repeated = try stage.pay("a")
      #expect(repeated.verdict == Self.unknown)
      return core.requests.contains { $0.message.startLine.contains("/balances/") }
    }
    #expect(isAsked)
  }

  /// A kill would make it unknown again.
  @Test func `a result is shown only once it is durable`() throws {
    let core = try ScriptedUpstream { request in
      let words = request.message.startLine.split(separator: " ")
      guard words[0] == "GET" else { return .reset([]) }
      return .bytes(ScriptedUpstream.json(Self.balance(String(words[1])) ?? Self.record()))
    }
    let stage = try Stage(core.port)
    let strace = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO"]
    #expect(try stage.pay("a").status == 502)
    _ = try Strace.attach(to: stage.gateway.identifier, strace)
    for _ in 0..<4 { #expect(try stage.pay("a").verdict == Self.unknown) }
    #expect(eventually { core.requests.contains { $0.message.startLine.contains("/transactions/reference/") } })
    try stage.restartKilled()
    #expect(try eventually { try stage.pay("a")["Idempotent-Replayed"] == "reconstructed" })
  }

  @Test func `a record that is too long to read keeps no other write from being asked about`() throws {
    let core = try ScriptedUpstream { request in
      let words = request.message.startLine.split(separator: " ")
      guard words[0] == "GET" else { return .reset([]) }
      if let balance = Self.balance(String(words[1])) { return .bytes(ScriptedUpstream.json(balance)) }
      let space = words[1].contains("9") ? String(repeating: " ", count: 300 << 10) : ""
      return .bytes(ScriptedUpstream.json(space + Self.record()))
    }
    let stage = try Stage(core.port)
    let long = Self.payment.replacing("pay 1", with: "pay 9")
    #expect(try stage.pay("long", long).status == 502 && stage.pay("a").status == 502)
    #expect(try stage.pay("long", long).verdict == Self.unknown)
    #expect(try stage.pay("a")["Idempotent-Replayed"] == "reconstructed")
  }

  @Test func `a record that is too large to keep is shown each time`() throws {
    let core = try ScriptedUpstream { request in
      let words = request.message.startLine.split(separator: " ")
      guard words[0] == "GET" else { return .reset([]) }
      if let balance = Self.balance(String(words[1])) { return .bytes(ScriptedUpstream.json(balance)) }
      return .bytes(ScriptedUpstream.json(String(repeating: " ", count: 2_000) + Self.record()))
    }
    let stage = try Stage(core.port, idempotency: ["response_bytes_max": 1_024])
    #expect(try stage.pay("a").status == 502)
    for number in 1...2 {
      #expect(try stage.pay("a").values("Idempotent-Replayed") == ["reconstructed"])
      #expect(core.requests.filter { $0.message.startLine.contains("/transactions/reference/") }.count >= number)
    }
    #expect(try stage.keys() == ["a"])
  }
}
