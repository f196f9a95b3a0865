import Foundation
import TestSupport
import Testing

/// What the audit log has of a write's body, and of what Core has created.
@Suite(.scopedFixtures) struct CreatedRecordTests {
  private static let settings: [String: any Sendable] = ["audit_log": "audit.log", "audit_key": ["env": "TEST_KEY"]]
  private static let write: [String: any Sendable] = ["POST": ["scope": "proxy:write", "operation": "write"]]
  private static let ids = ["balance_id", "identity_id", "ledger_id", "transaction_id"]

  /// The entries of one write.
  private func entries(
    _ path: String, _ body: String, fields: [String] = [], answer: [UInt8]
  ) throws -> (intent: [String: any Sendable], outcome: [String: any Sendable]) {
    let core = try ScriptedUpstream { _ in .bytes(answer) }
    let gateway = try RunningGateway(
      upstreams: [("a", core.port)], gateway: Self.settings,
      routes: Dictionary(
        uniqueKeysWithValues: ["balances", "transactions", "transactions/bulk", "transactions/inflight"].map {
          ("/proxy/\($0)", Self.write)
        }))
    let socket = try gateway.connect()
    try socket.send(testRequest("POST", "\(path)?instance_id=a", fields: fields, body: body))
    var reader = TestMessageReader(socket)
    _ = try reader.next()
    gateway.stop()
    let records = try AuditRecords(gateway.statePath)
    #expect(try AuditRecords.findings(gateway.statePath).isEmpty)
    return (try #require(records.intents.first), try #require(records.outcomes.first))
  }

  private static func answer(_ body: [UInt8], _ fields: String = "", status: String = "201 Created") -> [UInt8] {
    Array("HTTP/1.1 \(status)\r\nContent-Length: \(body.count)\r\n\(fields)\r\n".utf8) + body
  }

  private static func answer(_ body: String, _ fields: String = "", status: String = "201 Created") -> [UInt8] {
    answer(Array(body.utf8), fields, status: status)
  }

  private static let created =
    #"{"balance":0,"ledger_id":"ldg_1","identity_id":"","balance_id":"bln_1","currency":"USD","meta_data":null}"#
  private static let long = String(repeating: "x", count: 70_000)

  /// Responses, and the ids in the log, in the order of `ids`.
  static let responses: [(String, [UInt8], [String?])] = [
    ("of Core", answer(created), ["bln_1", nil, "ldg_1", nil]),
    (
      "in chunks of one byte",
      Array("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n".utf8)
        + created.utf8.flatMap { Array("1\r\n".utf8) + [$0] + Array("\r\n".utf8) } + Array("0\r\n\r\n".utf8),
      ["bln_1", nil, "ldg_1", nil]
    ),
    ("with an unnecessary encoding", answer(created, "Content-Encoding: Identity\r\n"), ["bln_1", nil, "ldg_1", nil]),
    ("encoded", answer(created, "content-encoding: gzip\r\n"), [nil, nil, nil, nil]),
    ("refused", answer(created, status: "400 Bad Request"), [nil, nil, nil, nil]),
    ("faulty", answer(created, status: "500 Internal Server Error"), [nil, nil, nil, nil]),
    ("nested", answer(#"{"a":{"balance_id":"x"},"b":[{"ledger_id":"y"}],"identity_id":["z"]}"#), [nil, nil, nil, nil]),
    (
      "repeated", answer(#"{"balance_id":"a","Balance_ID":"b","ledger_id":"c","ledger_id":null}"#),
      ["b", nil, "c", nil]
    ),
    (
      "escaped", answer(#"{"note":"\"balance_id\":\"x\"","balance_\u0069d":"a\"\u000a\\b"}"#),
      ["a\"\n\\b", nil, nil, nil]
    ),
    ("a token", answer(#"{"balance_id":"blnk_at_secret"}"#), ["blnk_at_***", nil, nil, nil]),
    ("no JSON", answer(#"{"balance_id":"a",}"#), [nil, nil, nil, nil]),
    ("another value", answer(#"["balance_id","a"]"#), [nil, nil, nil, nil]),
    ("deep", answer(#"{"balance_id":"a","x":"# + String(repeating: "[", count: 60_000)), [nil, nil, nil, nil]),
    ("a long text", answer(#"{"balance_id":"\#(long)","ledger_id":"a"}"#), [nil, nil, nil, nil]),
    ("behind the bound", answer(#"{"balance_id":"a","x":"\#(long)","ledger_id":"b"}"#), ["a", nil, nil, nil]),
    (
      "not UTF-8", answer(Array(#"{"balance_id":"a"#.utf8) + [0xFF] + Array(#""}"#.utf8)), ["a\u{FFFD}", nil, nil, nil]
    ),
  ]

  @Test(arguments: responses.map(\.0))
  func `an outcome has the ids at the top level of the response`(name: String) throws {
    let (_, response, expected) = try #require(Self.responses.first { $0.0 == name })
    let outcome = try entries("/proxy/balances", #"{"currency":"USD"}"#, answer: response).outcome
    #expect(Self.ids.map { outcome[$0] as? String } == expected)
  }

  @Test func `an intent has what the body of a transaction names, and the client's request id`() throws {
    let body = #"""
      {"reference":"order-1","source":"@bank","destination":"bln_b","amount":10.50,"precise_amount":1050,"currency":"USD",
      "identity_id":"idt_1","description":"not in the log","meta_data":{"source":"inner"}}
      """#
    let intent = try entries(
      "/proxy/transactions", body, fields: ["X-Request-Id: order-4711 blnk_at_secret"], answer: Self.answer("{}")
    ).intent
    #expect(
      intent["named"] as? [String: String] == [
        "reference": "order-1", "source": "@bank", "destination": "bln_b", "amount": "10.50", "precise_amount": "1050",
        "currency": "USD", "identity_id": "idt_1",
      ])
    #expect(intent["client_request_id"] as? String == "order-4711 blnk_at_***")
    #expect(intent["sources"] == nil && intent["destinations"] == nil)
    // Of other writes, the log has ids only.
    let other = try entries("/proxy/balances", body, answer: Self.answer("{}")).intent
    #expect(other["named"] as? [String: String] == ["identity_id": "idt_1"] && other["client_request_id"] == nil)
  }

  @Test func `an intent has the parts of a split payment, and those of a bulk`() throws {
    let parts = (0..<25).map { #"{"identifier":"bln_\#($0)","distribution":"4%","narration":"n"}"# }
    let split = try entries(
      "/proxy/transactions", #"{"reference":"r","source":"@a","destinations":[\#(parts.joined(separator: ","))]}"#,
      answer: Self.answer("{}")
    ).intent
    let destinations = split["destinations"] as? [[String: String]]
    #expect(destinations?.count == 20 && destinations?.last == ["identifier": "bln_19", "distribution": "4%"])
    #expect(split["more_destinations"] as? Int == 5 && split["sources"] == nil)
    #expect(split["named"] as? [String: String] == ["reference": "r", "source": "@a"])
    let bulk = try entries(
      "/proxy/transactions/bulk",
      #"{"reference":"not one","transactions":[{"reference":"a","amount":1.0,"source":"@a","destination":"@b"},null]}"#,
      answer: Self.answer(#"{"batch_id":"b","status":"applied"}"#)
    ).intent
    #expect(
      bulk["transactions"] as? [[String: String]] == [
        ["reference": "a", "amount": "1.0", "source": "@a", "destination": "@b"]
      ])
    #expect(bulk["more_transactions"] as? Int == 1 && bulk["named"] == nil)
    let change = try entries(
      "/proxy/transactions/inflight", #"{"status":"commit","amount":5,"source":"x"}"#, answer: Self.answer("{}")
    ).intent
    #expect(change["named"] as? [String: String] == ["status": "commit", "amount": "5"])
  }
}
