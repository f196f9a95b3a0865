import SandboxCore
import Testing

/// What Core does with a write that it gets twice.
struct UniquenessTests {
  private static let key = "core-master-key-0001"
  private static let identity = "idt_9f0c1a52-4a7e-4d3f-8a51-0e6c5cf0a001"

  private func answer(_ ledger: inout SandboxLedger, _ method: String, _ target: String) -> (status: Int, body: String)
  {
    let answer = ledger.answer(SandboxRequest(method: method, target: target, key: Self.key))
    return (answer.status, String(decoding: answer.body, as: UTF8.self))
  }

  private func post(_ ledger: inout SandboxLedger, _ target: String, _ body: String) -> (status: Int, body: String) {
    let answer = ledger.create(target, body)
    return (answer.status, String(decoding: answer.body, as: UTF8.self))
  }

  private func pay(_ ledger: inout SandboxLedger, _ fields: String) -> (status: Int, body: String) {
    post(
      &ledger, "/transactions",
      #"{"amount":10,"currency":"USD","description":"d","source":"@World","allow_overdraft":true,\#(fields)}"#)
  }

  private func balance(_ ledger: inout SandboxLedger, _ indicator: String) -> String {
    let text = answer(&ledger, "GET", "/balances/indicator/\(indicator)/currency/USD").body
    return text.firstMatch(of: /"balance":(-?[0-9]+)/).map { String($0.1) } ?? "none"
  }

  @Test(arguments: [
    (CoreDialect.measured, 400, "IDT_VALIDATION_ERROR", "Identity already exists: \(identity)"),
    (.documented, 409, "GEN_CONFLICT", "Identity with ID '\(identity)' already exists"),
  ])
  func `an identity id is created once, whatever the body`(
    dialect: CoreDialect, status: Int, code: String, message: String
  ) {
    var ledger = SandboxLedger.numbered(key: Self.key, dialect: dialect)
    #expect(post(&ledger, "/identities", #"{"identity_id":"\#(Self.identity)","city":"Rome"}"#).status == 201)
    for city in ["Rome", "Bonn"] {
      let again = post(&ledger, "/identities", #"{"identity_id":"\#(Self.identity)","city":"\#(city)"}"#)
      #expect(again.status == status)
      #expect(again.body.hasPrefix(#"{"error":"\#(message)","error_detail":{"code":"\#(code)","#), "\(again.body)")
    }
    #expect(answer(&ledger, "GET", "/identities/\(Self.identity)").body.contains(#""city":"Rome""#))
    #expect(ledger.executions == [.created(id: Self.identity): 1])
  }

  @Test func `a deleted identity id can be created again`() {
    var ledger = SandboxLedger.numbered(key: Self.key)
    for _ in 0..<2 {
      #expect(post(&ledger, "/identities", #"{"identity_id":"\#(Self.identity)"}"#).status == 201)
      #expect(answer(&ledger, "DELETE", "/identities/\(Self.identity)").status == 200)
    }
    #expect(ledger.executions == [.created(id: Self.identity): 2, .changed(id: Self.identity): 2])
  }

  @Test func `a repeated queued reference gets an id that never exists`() throws {
    var ledger = SandboxLedger.numbered(key: Self.key)
    let made = (0..<3).map { _ in pay(&ledger, #""destination":"@A","reference":"r""#) }
    #expect(made.map(\.status) == [201, 201, 201])
    let ids = made.map { $0.body.ids.first ?? "" }
    #expect(Set(ids).count == 3)
    let found = answer(&ledger, "GET", "/transactions/reference/r")
    #expect(found.status == 200 && found.body.contains(#""transaction_id":"\#(ids[0])""#), "\(found.body)")
    #expect(ids.map { answer(&ledger, "GET", "/transactions/\($0)").status } == [200, 404, 404])
    #expect(balance(&ledger, "@A") == "10")
    #expect(ledger.executions == [.moved(reference: "r"): 1])
  }

  @Test func `a queued transaction that cannot be paid is stored and moves nothing`() {
    var ledger = SandboxLedger.numbered(key: Self.key)
    #expect(pay(&ledger, #""destination":"@A","reference":"r","allow_overdraft":false"#).status == 201)
    #expect(answer(&ledger, "GET", "/transactions/reference/r").status == 200)
    #expect(ledger.executions.isEmpty && balance(&ledger, "@A") == "0")
    #expect(pay(&ledger, #""destination":"bln_unknown","reference":"s""#).status == 201)
    #expect(answer(&ledger, "GET", "/transactions/reference/s").status == 404)
  }

  @Test(arguments: [("true", "-", [201, 409]), ("false", "_", [201, 201])])
  func `a split payment stores its parts and not its reference`(skips: String, mark: String, statuses: [Int]) {
    var ledger = SandboxLedger.numbered(key: Self.key)
    let fields =
      #""reference":"r","skip_queue":\#(skips),"#
      + #""destinations":[{"identifier":"@A","distribution":"30%"},{"identifier":"@B","distribution":"left"}]"#
    let made = (0..<2).map { _ in pay(&ledger, fields) }
    #expect(made.map(\.status) == statuses)
    #expect(answer(&ledger, "GET", "/transactions/reference/r").status == 404)
    let ids = made[0].body.ids
    #expect(answer(&ledger, "GET", "/transactions/\(ids[0])").status == 404)
    for (number, amount) in [(1, 3), (2, 7)] {
      let part = answer(&ledger, "GET", "/transactions/reference/r\(mark)\(number)")
      #expect(part.status == 200)
      #expect(part.body.hasPrefix(#"{"precise_amount":\#(amount),"amount":\#(amount),"#), "\(part.body)")
      #expect(part.body.contains(#""parent_transaction":"\#(ids[0])""#), "\(part.body)")
      #expect(made[0].body.contains(#""transaction_id":"\#(part.body.ids.first ?? "none")"}"#), "\(part.body)")
    }
    #expect(balance(&ledger, "@A") == "3" && balance(&ledger, "@B") == "7" && balance(&ledger, "@World") == "-10")
    #expect(ledger.executions == [.moved(reference: "r\(mark)1"): 1, .moved(reference: "r\(mark)2"): 1])
    if statuses[1] == 409 { #expect(made[1].body.contains(#""code":"TXN_DUPLICATE_REFERENCE""#)) }
  }

  @Test func `a failed part of a split payment does not undo those before it`() {
    var ledger = SandboxLedger.numbered(key: Self.key)
    _ = pay(&ledger, #""destination":"@Poor","reference":"grant","skip_queue":true"#)
    let fields =
      #""reference":"r","skip_queue":true,"source":"@Poor","amount":16,"allow_overdraft":false,"#
      + #""destinations":[{"identifier":"@A","distribution":"50%"},{"identifier":"@B","distribution":"left"}]"#
    #expect(pay(&ledger, fields).status == 400)
    #expect(balance(&ledger, "@A") == "8" && balance(&ledger, "@B") == "none" && balance(&ledger, "@Poor") == "2")
    #expect(pay(&ledger, fields).status == 409)
  }

  @Test(arguments: [
    (#""reference":"a","Reference":"b""#, "b"), (#""Reference":"b","reference":"a""#, "a"),
    (#""REFERENCE":"a","rEFERENCE":"b","reference":"c""#, "c"), (#""reference":"a","Reference":null"#, "a"),
    (#""reference":"a","reference_":"b""#, "a"), (#""\u0052eference":"a""#, "a"),
  ])
  func `the last of the members whose names differ in case wins`(members: String, reference: String) {
    var ledger = SandboxLedger.numbered(key: Self.key)
    #expect(pay(&ledger, #""destination":"@A",\#(members)"#).status == 201)
    for name in ["a", "b", "c"] {
      #expect(answer(&ledger, "GET", "/transactions/reference/\(name)").status == (name == reference ? 200 : 404))
    }
  }

  @Test(arguments: [
    #"{"identity_id":"idt_x","Identity_Id":"\#(identity)"}"#, #"{"IDENTITY_ID":"\#(identity)"}"#,
    "{\"identity_id\":\"\(identity)\"}{\"identity_id\":\"idt_x\"}",
  ])
  func `an identity id is recognized in any case, and in the first of two objects`(body: String) {
    var ledger = SandboxLedger.numbered(key: Self.key)
    #expect(post(&ledger, "/identities", body).status == 201)
    #expect(ledger.executions == [.created(id: Self.identity): 1])
  }

  @Test func `names are folded as Go folds them`() {
    var ledger = SandboxLedger.numbered(key: Self.key)
    let body =
      #"{"amount":1,"currency":"USD","description":"d","reference":"r","#
      + #""\u017Fource":"@World","de\u017Ftination":"@A","allow_overdraft":true,"\u017FKIP_QUEUE":true}"#
    #expect(post(&ledger, "/transactions", body).status == 201)
    #expect(balance(&ledger, "@A") == "1")
    #expect(answer(&ledger, "GET", "/transactions/reference/r").body.contains(#""status":"APPLIED""#))
  }

  @Test func `references differ by bytes`() {
    var ledger = SandboxLedger.numbered(key: Self.key)
    for reference in ["\u{E9}", "e\u{301}", "E"] {
      #expect(pay(&ledger, #""destination":"@A","skip_queue":true,"reference":"\#(reference)""#).status == 201)
    }
  }

  @Test func `ledgers, links and metadata can be written again and are counted`() {
    var ledger = SandboxLedger.numbered(key: Self.key)
    _ = post(&ledger, "/identities", #"{"identity_id":"\#(Self.identity)"}"#)
    let ledgers = (0..<2).map { _ in post(&ledger, "/ledgers", #"{"name":"n"}"#).body.ids.first ?? "" }
    let made = (0..<2).map { _ in
      post(&ledger, "/balances", #"{"ledger_id":"\#(ledgers[0])","currency":"USD"}"#).body.ids.last ?? ""
    }
    for _ in 0..<3 {
      let link = SandboxRequest(
        method: "PUT", target: "/balances/\(made[0])/identity", key: Self.key,
        body: Array(#"{"identity_id":"\#(Self.identity)"}"#.utf8))
      #expect(ledger.answer(link).status == 200)
    }
    #expect(post(&ledger, "/\(ledgers[1])/metadata", #"{"meta_data":{"a":1}}"#).status == 200)
    #expect(post(&ledger, "/\(ledgers[1])/metadata", "{}").status == 400)
    #expect(
      ledger.executions == [
        .created(id: Self.identity): 1, .created(id: ledgers[0]): 1, .created(id: ledgers[1]): 1,
        .created(id: made[0]): 1, .created(id: made[1]): 1, .changed(id: made[0]): 3, .changed(id: ledgers[1]): 1,
      ])
  }

  @Test func `parts of a split payment count as records, and so do queued ones`() {
    var ledger = SandboxLedger.numbered(key: Self.key, recordsMax: 5)
    let parts = (0..<5).map { #"{"identifier":"@\#($0)","distribution":"20%"}"# }.joined(separator: ",")
    #expect(pay(&ledger, #""reference":"r","destinations":[\#(parts)]"#).status == 500)
    let late = SandboxRequest(
      method: "POST", target: "/transactions", key: Self.key,
      body: Array(
        #"{"amount":1,"currency":"USD","description":"d","reference":"r","source":"@W","destination":"@A"}"#.utf8))
    let statuses = (0..<5).map { _ in ledger.answer(late, runsQueue: false).status }
    #expect(statuses == [201, 201, 201, 201, 500])
  }

  @Test func `creating and deleting forever ends, because counts are kept`() {
    var ledger = SandboxLedger.numbered(key: Self.key, recordsMax: 3)
    let statuses = (0..<4).map { _ in
      let made = post(&ledger, "/identities", "{}")
      _ = answer(&ledger, "DELETE", "/identities/\(made.body.ids.first ?? "")")
      return made.status
    }
    #expect(statuses == [201, 201, 201, 500])
  }
}
