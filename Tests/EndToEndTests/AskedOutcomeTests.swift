import Foundation
import Reactor
import SandboxCore
import Synchronization
import TestFolders
import TestSupport
import Testing

/// `audit outcomes --ask`: what Core says about writes whose outcome the log does not have, through a running gateway.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct AskedOutcomeTests {
  private static let identity = "idt_9f0c1a52-4a7e-4d3f-8a51-0e6c5cf0a001"

  /// A gateway with an audit log and an admin endpoint on a Unix socket.
  private final class Stage {
    let root: TemporaryFolder
    let folder: TestPolicyFolder
    let gateway: GatewayProcess

    init(_ port: UInt16, instance: [String: any Sendable] = [:], admin: String? = nil) throws {
      root = try TemporaryFolder()
      let write: [String: any Sendable] = ["scope": "proxy:write", "operation": "write"]
      folder = try TestPolicyFolder(
        instances: [("one", "http://127.0.0.1:\(port)")],
        instance: ["timeouts": ["total_s": 1, "first_byte_s": 1]].merging(instance) { $1 },
        gateway: [
          "audit_log": "audit.log", "audit_key": ["env": "TEST_KEY"],
          "admin": admin ?? "unix:\(root.path("admin.sock"))",
        ],
        routes: [
          "/proxy/transactions": ["POST": write], "/proxy/identities": ["POST": write],
          "/proxy/identities/:id": ["DELETE": write, "PUT": write], "/proxy/balances": ["POST": write],
        ])
      gateway = try GatewayProcess(folder)
    }

    var log: String { "\(folder.statePath)/audit.log" }

    /// A write on a new connection; its status, 0 without a response.
    @discardableResult
    func write(_ method: String, _ path: String, _ body: String? = nil) throws -> Int {
      let socket = try TestSocket(port: gateway.port)
      try socket.send(
        testRequest(method, "\(path)?instance_id=one", fields: ["Connection: close"], body: body))
      var reader = TestMessageReader(socket)
      return try reader.next()?.status ?? 0
    }

    @discardableResult
    func pay(_ reference: String, _ more: String = "") throws -> Int {
      try write("POST", "/proxy/transactions", AskedOutcomeTests.payment(reference, more))
    }

    /// Runs the command, once the log has the outcomes of all writes.
    func outcomes(_ options: [String]) throws -> (status: Int32, output: String, errors: String) {
      let isComplete = try eventually {
        let records = try AuditRecords(folder.statePath)
        return records.intents.count == records.outcomes.count
      }
      #expect(isComplete)
      return try runCommand(
        ["audit", "outcomes"] + options + ["--policies", folder.path, log],
        environment: ["TEST_KEY": TestPolicyFolder.key])
    }

    /// What Core says about each write, in the order of the log.
    func ask() throws -> (status: Int32, asked: [Asked]) {
      let told = try outcomes(["--ask", "--json"])
      let asked = try told.output.split(separator: "\n").map { line in
        try JSONDecoder().decode(Line.self, from: Data(line.utf8)).asked
      }
      return (told.status, asked)
    }

    /// The settling entries of the log, which must be intact.
    func settlements() throws -> [[String: any Sendable]] {
      #expect(try AuditRecords.findings(folder.statePath).isEmpty)
      return try AuditRecords(folder.statePath).entries.filter { $0["kind"] as? String == "command" }
    }
  }

  private struct Line: Decodable { let asked: Asked }

  private struct Asked: Decodable {
    let outcome: String
    let id: String?
    let status: String?
    let execution_id: String?
    let reason: String?
    let recorded: Bool
  }

  private static func payment(_ reference: String, _ more: String = "") -> String {
    #"{"amount":10,"precision":100,"currency":"USD","description":"d","source":"@World","destination":"@A","#
      + #""allow_overdraft":true,"reference":"\#(reference)"\#(more)}"#
  }

  private static let skips = #","skip_queue":true"#

  private func sandbox() throws -> (SandboxServer, UInt16) {
    let fixtures = try Fixtures.ofTest()
    let core = try SandboxServer(listen: .tcp(host: "127.0.0.1", port: 0), key: TestPolicyFolder.key)
    fixtures.add { core.stop() }
    guard case .ipv4(_, let port) = core.address else { throw NoPort() }
    return (core, port)
  }

  private struct NoPort: Error {}

  @Test func `finds transactions by reference, identities by id, and deletions, and notes them in the log`() throws {
    let (core, port) = try sandbox()
    let stage = try Stage(port)
    core.failNextWrites(.responseLost, .responseLost)
    #expect(try stage.pay("pay 1", Self.skips) == 502)
    #expect(try stage.write("POST", "/proxy/identities", #"{"identity_id":"\#(Self.identity)"}"#) == 502)
    #expect(try stage.write("POST", "/proxy/identities", #"{"first_name":"b"}"#) == 201)
    let before = try stage.outcomes([])
    #expect(before.status == 1 && before.errors == "3 writes, 2 with an unknown outcome\n", "\(before)")

    let first = try stage.ask()
    try #require(first.asked.count == 2)
    #expect(first.status == 0 && first.asked.map(\.outcome) == ["done", "done"], "\(first)")
    #expect(first.asked[0].id?.hasPrefix("txn_") == true && first.asked[0].status == "APPLIED")
    #expect(first.asked[1].id == Self.identity && first.asked.allSatisfy(\.recorded))
    core.failNextWrites(.responseLost)
    #expect(try stage.write("DELETE", "/proxy/identities/\(Self.identity)") == 502)
    let deletion = try stage.outcomes(["--ask"])
    #expect(
      deletion.status == 0 && deletion.output.contains("\n    asked now: done, \(Self.identity)\n"), "\(deletion)")
    #expect(deletion.errors == "4 writes, 1 settled by asking Core, 0 not settled\n")

    // Nothing is left to ask, with and without --ask; the log has it.
    #expect(try stage.outcomes([]).status == 0)
    #expect(try stage.outcomes(["--ask"]).output.isEmpty)
    let settled = try stage.settlements()
    try #require(settled.count == 3)
    #expect(settled.map { $0["outcome"] as? String } == ["done", "done", "done"])
    #expect(
      settled.allSatisfy { $0["command"] as? String == "audit outcomes --ask" && $0["user"] as? String == NSUserName() }
    )
    #expect(settled[0]["transaction"] as? String == "pay 1" && settled[0]["id"] as? String == first.asked[0].id)
    let intents = try AuditRecords(stage.folder.statePath).intents.map { $0["request_id"] as? String }
    #expect(settled.map { $0["request_id"] as? String } == [intents[0], intents[1], intents[3]])
    let shown = try runCommand(["audit", "show", "--identity", Self.identity, stage.log])
    #expect(shown.output.contains("\n    done, \(Self.identity), as Core said at "), "\(shown)")
    let verified = try runCommand(
      ["audit", "verify", "--key-file", "/dev/stdin", stage.log], input: TestPolicyFolder.key)
    #expect(verified.status == 0, "\(verified)")
  }

  @Test func `what Core does not have stays unknown, until Core has it`() throws {
    let (core, port) = try sandbox()
    let stage = try Stage(port)
    core.failNextWrites(.executedLate, .executedLate)
    #expect(try stage.pay("late", Self.skips) == 504)
    #expect(try stage.write("POST", "/proxy/identities", #"{"identity_id":"\#(Self.identity)"}"#) == 504)
    for _ in 0..<2 {
      let early = try stage.ask()
      #expect(early.status == 1 && early.asked.map(\.outcome) == ["unknown", "unknown"])
      #expect(early.asked.allSatisfy { $0.reason?.contains("proves nothing") == true && !$0.recorded }, "\(early)")
    }
    #expect(try stage.settlements().isEmpty)
    core.executeLateWrites()
    let late = try stage.ask()
    #expect(late.status == 0 && late.asked.map(\.outcome) == ["done", "done"], "\(late)")
  }

  @Test func `a queued transaction is accepted, and its id tells it from others with its reference`() throws {
    let (core, port) = try sandbox()
    let stage = try Stage(port)
    core.failNextWrites(.queuedLate)
    #expect(try stage.pay("twice") == 201)
    // Not listed without --ask: it needs no attention.
    #expect(try stage.outcomes([]).status == 0)
    #expect(try stage.ask().asked.map(\.outcome) == ["unknown"])
    core.executeLateWrites()
    // Core drops it.
    #expect(try stage.pay("twice") == 201)
    let told = try stage.ask()
    try #require(told.asked.count == 2)
    #expect(told.status == 1 && told.asked.map(\.outcome) == ["accepted", "unknown"], "\(told)")
    #expect(
      told.asked[0].status == "QUEUED" && told.asked[0].reason?.contains("no record that it has executed it") == true)
    #expect(told.asked[1].reason?.contains("another request with this reference") == true)
    #expect(told.asked[0].id == told.asked[1].id && core.executions.values.allSatisfy { $0 == 1 })
    #expect(try stage.settlements().isEmpty)
  }

  @Test func `a write that another one may have executed stays unknown`() throws {
    let (core, port) = try sandbox()
    let stage = try Stage(port)
    // Two of unknown outcome; after one that was executed; split payments; without a name.
    core.failNextWrites(.responseLost, .responseLost)
    for _ in 0..<2 { #expect(try stage.pay("both", Self.skips) == 502) }
    #expect(try stage.pay("known", Self.skips) == 201)
    core.failNextWrites(.responseLost, .responseLost, .responseLost, .responseLost)
    #expect(try stage.pay("known", Self.skips) == 502)
    let split = Self.payment("split", Self.skips).replacing(
      #""destination":"@A""#, with: #""destinations":[{"identifier":"@A","distribution":"left"}]"#)
    #expect(try stage.write("POST", "/proxy/transactions", split) == 502)
    #expect(try stage.write("POST", "/proxy/identities", #"{"first_name":"c"}"#) == 502)
    #expect(try stage.write("POST", "/proxy/balances", #"{"currency":"USD"}"#) == 502)
    let told = try stage.ask()
    try #require(told.asked.count == 6)
    #expect(told.status == 1 && told.asked.allSatisfy { $0.outcome == "unknown" && !$0.recorded }, "\(told)")
    for (index, words) in [
      "2 writes in these files may have created it", "2 writes in these files",
      "another write with this name was executed",
      "no reference to ask for", "has not chosen the identity's id", "cannot be asked about this kind of write",
    ].enumerated() {
      #expect(told.asked[index].reason?.contains(words) == true, "\(told.asked[index])")
    }
    #expect(try stage.settlements().isEmpty)
  }

  private static func record(_ members: String, created: String = "2100-01-01T00:00:00Z") -> String {
    #"{"transaction_id":"txn_1","reference":"r","status":"APPLIED","created_at":"\#(created)"\#(members)}"#
  }

  private static let missing = #"{"error_detail":{"code":"TXN_NOT_FOUND"}}"#

  /// Core's answers to the reference and to its execution, and what follows.
  private static let answers: [(String, String, String?, outcome: String, reason: String?)] = [
    ("200 OK", record(""), nil, "done", nil),
    ("200 OK", record(#","status":"REJECTED""#).replacing(#""status":"APPLIED","#, with: ""), nil, "refused", nil),
    ("200 OK", record("", created: "2020-01-01T00:00:00Z"), nil, "unknown", "before this write"),
    ("200 OK", record("").replacing(#""r""#, with: #""R""#), nil, "unknown", "not a record with this name"),
    ("200 OK", record("").replacing("APPLIED", with: "ODD"), nil, "unknown", "status that is not known"),
    ("200 OK", record("").replacing("txn_1", with: "\\u001b[2J"), nil, "unknown", "not a record with this name"),
    ("200 OK", record(#","Status":"REJECTED""#), nil, "unknown", "is not a record"),
    ("200 OK", "garbage", nil, "unknown", "is not a record"), ("200 OK", "", nil, "unknown", "is not a record"),
    ("200 OK", "[]", nil, "unknown", "is not a record"),
    ("200 OK", #"{"a":"\#(String(repeating: "x", count: 300_000))"}"#, nil, "unknown", "longer than 256 KiB"),
    ("500 Internal Server Error", "{}", nil, "unknown", "status 500"),
    ("404 Not Found", "404 page not found", nil, "unknown", "no such page"),
    ("404 Not Found", missing, nil, "unknown", "proves nothing"),
    ("404 Not Found", missing.replacing("TXN", with: "IDT"), nil, "unknown", "404 IDT_NOT_FOUND"),
    ("401 Unauthorized", "{}", nil, "unknown", "refuses the gateway's key"),
    ("302 Found", "{}", nil, "unknown", "status 302"),
    ("200 OK", record("").replacing("APPLIED", with: "QUEUED"), nil, "accepted", "no record that it has executed it"),
    ("200 OK", record("").replacing("APPLIED", with: "QUEUED"), "APPLIED", "done", nil),
    ("200 OK", record("").replacing("APPLIED", with: "QUEUED"), "REJECTED", "refused", nil),
    ("200 OK", record("").replacing("APPLIED", with: "QUEUED"), "QUEUED", "accepted", "not executed it so far"),
    (
      "200 OK", record("").replacing("APPLIED", with: "QUEUED"), #"APPLIED","parent_transaction":"txn_9"#, "accepted",
      "whether it has executed it"
    ),
  ]

  @Test(arguments: answers.indices)
  func `judges Core's answers`(index: Int) throws {
    let (status, record, execution, outcome, reason) = Self.answers[index]
    let core = try ScriptedUpstream { request in
      guard request.message.startLine.hasPrefix("GET ") else { return .reset([]) }
      guard request.message.startLine.contains("r_q") else {
        return .bytes(ScriptedUpstream.json(record, status: status))
      }
      guard let execution else { return .bytes(ScriptedUpstream.json(Self.missing, status: "404 Not Found")) }
      return .bytes(
        ScriptedUpstream.json(
          #"{"transaction_id":"txn_2","reference":"r_q","parent_transaction":"txn_1","status":"\#(execution)"}"#))
    }
    let stage = try Stage(core.port)
    #expect(try stage.pay("r") == 502)
    let told = try stage.ask()
    let asked = try #require(told.asked.first)
    let isSettled = ["done", "refused"].contains(outcome)
    #expect(asked.outcome == outcome && told.status == (isSettled ? 0 : 1) && asked.recorded == isSettled, "\(asked)")
    if let reason { #expect(asked.reason?.contains(reason) == true, "\(asked)") } else { #expect(asked.reason == nil) }
    #expect(try stage.settlements().map { $0["outcome"] as? String } == (isSettled ? [outcome] : []))
    let questions = core.requests.filter { $0.message.startLine.hasPrefix("GET ") }
    #expect(questions.allSatisfy { $0.message.values("X-Blnk-Key") == [TestPolicyFolder.key] })
    #expect(questions.allSatisfy { $0.message["Host"] == "127.0.0.1:\(core.port)" })
    #expect(questions.first?.message.startLine == "GET /transactions/reference/r HTTP/1.1")
  }

  @Test func `a Core that hangs is asked once, and not again for a moment`() throws {
    let core = try ScriptedUpstream { request in
      request.message.startLine.hasPrefix("GET ") ? .stall([]) : .reset([])
    }
    let stage = try Stage(core.port, instance: ["breaker": ["failures": 0]])
    for name in ["a", "b", "c"] { #expect(try stage.pay(name) == 502) }
    let told = try stage.ask()
    try #require(told.asked.count == 3)
    #expect(told.status == 1)
    #expect(told.asked[0].reason?.hasPrefix("Core did not answer: ") == true, "\(told)")
    #expect(told.asked[1].reason == "Core was not asked: the instance did not answer a moment ago", "\(told)")
    #expect(core.requests.filter { $0.message.startLine.hasPrefix("GET ") }.count <= 2)
  }

  @Test func `references are escaped, and those that Core has no path for are not asked`() throws {
    let core = try ScriptedUpstream { request in
      request.message.startLine.hasPrefix("GET ")
        ? .bytes(ScriptedUpstream.json(Self.missing, status: "404 Not Found")) : .reset([])
    }
    let stage = try Stage(core.port, instance: ["breaker": ["failures": 0]])
    let names = [#"a b?c#d%2F&é"#, "a/b", "..", #"a\nb"#, "blnk_at_secret", String(repeating: "x", count: 256)]
    for name in names { #expect(try stage.pay(name) == 502) }
    let told = try stage.ask()
    try #require(told.asked.count == names.count)
    #expect(told.asked.allSatisfy { $0.outcome == "unknown" })
    let lines = core.requests.map(\.message.startLine).filter { $0.hasPrefix("GET ") }
    #expect(lines == ["GET /transactions/reference/a%20b%3Fc%23d%252F%26%C3%A9 HTTP/1.1"], "\(told)")
    #expect(told.asked[1].reason == "Core cannot be asked for this name", "\(told)")
    #expect(told.asked[4].reason?.hasPrefix("the log has no reference") == true, "\(told)")
  }

  @Test func `a local address without a token asks nothing, and a gateway that is gone is an error`() throws {
    let core = try ScriptedUpstream { _ in .reset([]) }
    let stage = try Stage(core.port, admin: "127.0.0.1:0")
    let port = try #require(stage.gateway.adminPort)
    #expect(try stage.pay("r") == 502)
    let told = try stage.outcomes(["--ask", "--admin", "127.0.0.1:\(port)"])
    #expect(told.status == 1 && told.errors.contains("403: Changes need an admin token"), "\(told)")
    #expect(try TestMessage.asking(port: port, "/outcome")?.status == 405)
    #expect(core.requests.count == 1)
    #expect(stage.gateway.stop() == 0)
    let gone = try stage.outcomes(["--ask", "--admin", "127.0.0.1:\(port)"])
    #expect(gone.status == 1 && gone.errors.contains("no gateway answers"), "\(gone)")
  }
}
