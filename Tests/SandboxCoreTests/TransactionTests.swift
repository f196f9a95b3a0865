import Foundation
import SandboxCore
import Testing

struct TransactionTests {
  private static let key = "core-master-key-0001"

  private func post(
    _ ledger: inout SandboxLedger, _ fields: String, reference: String = UUID().uuidString
  ) -> (status: Int, body: String) {
    let body = #"{"currency":"USD","description":"d","reference":"\#(reference)",\#(fields)}"#
    let answer = ledger.create("/transactions", body)
    return (answer.status, String(decoding: answer.body, as: UTF8.self))
  }

  private func balance(_ ledger: inout SandboxLedger, _ indicator: String) -> String {
    let request = SandboxRequest(method: "GET", target: "/balances/indicator/\(indicator)/currency/USD", key: Self.key)
    let text = String(decoding: ledger.answer(request).body, as: UTF8.self)
    return text.firstMatch(of: /"balance":(-?[0-9]+)/).map { String($0.1) } ?? "none"
  }

  @Test(arguments: [
    (#""amount":100.5,"precision":100"#, "10050", "100.5"),
    (#""amount":1e3,"precision":100"#, "100000", "1000"),
    (#""amount":0.005,"precision":100"#, "1", "0.005"),
    (#""amount":0.0049,"precision":100"#, "0", "0.0049"),
    (#""amount":7"#, "7", "7"),
    (#""precise_amount":12345678901234567890123,"precision":100"#, "12345678901234567890123", "123456789012345680000"),
    (#""amount":12345678901234567890.12,"precision":100"#, "1234567890123456789012", "12345678901234567000"),
  ])
  func `counts in the smallest unit with every digit`(amount: String, precise: String, shown: String) {
    var ledger = SandboxLedger.numbered(key: Self.key)
    let fields = #"\#(amount),"source":"@World","destination":"@A","allow_overdraft":true,"skip_queue":true"#
    let (status, body) = post(&ledger, fields)
    guard precise != "0" else {
      #expect(status == 400)
      return
    }
    #expect(status == 201)
    #expect(body.hasPrefix(#"{"precise_amount":\#(precise),"amount":\#(shown),"#), "\(body)")
    #expect(balance(&ledger, "@A") == precise)
    #expect(balance(&ledger, "@World") == "-" + precise)
  }

  @Test(arguments: [
    (["20%", "100", "left"], ["200", "100", "700"]),
    (["33.3%", "left", "left"], ["333", "667", "0"]),
    (["100%"], ["1000"]),
    (["left", "1000"], ["0", "1000"]),
    (["60%", "50%"], []),
    (["1001"], []),
    (["10%", "899"], []),
    (["-1", "left"], []),
    (["some"], []),
    ([""], []),
  ])
  func `splits an amount over its destinations or moves nothing`(distributions: [String], amounts: [String]) {
    var ledger = SandboxLedger.numbered(key: Self.key)
    let destinations = distributions.enumerated().map { #"{"identifier":"@D\#($0)","distribution":"\#($1)"}"# }
    let fields =
      #""amount":1000,"source":"@World","allow_overdraft":true,"skip_queue":true,"#
      + #""destinations":[\#(destinations.joined(separator: ","))]"#
    #expect(post(&ledger, fields).status == (amounts.isEmpty ? 400 : 201))
    #expect(amounts.indices.map { balance(&ledger, "@D\($0)") } == amounts)
    #expect(balance(&ledger, "@World") == (amounts.isEmpty ? "none" : "-1000"))
  }

  @Test
  func `takes no more than is there without an overdraft`() {
    var ledger = SandboxLedger.numbered(key: Self.key)
    let grant = #""amount":5,"source":"@World","destination":"@A","allow_overdraft":true"#
    #expect(post(&ledger, grant).status == 201)
    #expect(post(&ledger, #""amount":6,"source":"@A","destination":"@B","skip_queue":true"#).status == 400)
    #expect(post(&ledger, #""amount":6,"source":"@A","destination":"@B""#).status == 201)
    #expect(balance(&ledger, "@A") == "5")
    #expect(post(&ledger, #""amount":5,"source":"@A","destination":"@B","skip_queue":true"#).status == 201)
    #expect(balance(&ledger, "@B") == "5")
  }

  @Test
  func `moves a reference once`() {
    var ledger = SandboxLedger.numbered(key: Self.key)
    let fields = #""amount":5,"source":"@World","destination":"@A","allow_overdraft":true"#
    #expect(post(&ledger, fields, reference: "once").status == 201)
    #expect(post(&ledger, fields, reference: "once").status == 201)
    #expect(post(&ledger, fields + #","skip_queue":true"#, reference: "once").status == 409)
    #expect(balance(&ledger, "@A") == "5")
  }

  @Test(arguments: [
    (#""amount":1,"source":"@A""#, "destination: either destination or destinations is required, not both."),
    (#""amount":1,"destination":"@A""#, "source: either source or sources is required, not both."),
    (#""amount":0,"source":"@A","destination":"@B""#, "amount: cannot be blank."),
    (#""amount":1e30,"precision":1000000000,"source":"@A","destination":"@B""#, "more than 38 digits"),
    (#""amount":1e300,"source":"@A","destination":"@B""#, "more than 38 digits"),
  ])
  func `refuses an invalid movement`(fields: String, message: String) {
    var ledger = SandboxLedger.numbered(key: Self.key)
    let (status, body) = post(&ledger, fields)
    #expect(status == 400)
    #expect(body.contains(message), "\(body)")
  }

  @Test
  func `merges metadata into whatever has it`() {
    var ledger = SandboxLedger.numbered(key: Self.key)
    ledger.create("/general_ledger_id/metadata", #"{"meta_data":{"b":1,"a":2}}"#)
    let answer = ledger.create("/general_ledger_id/metadata", #"{"meta_data":{"b":3,"c":null}}"#)
    #expect(String(decoding: answer.body, as: UTF8.self) == #"{"meta_data":{"a":2,"b":3,"c":null}}"#)
    #expect(ledger.create("/txn_x/metadata", #"{"meta_data":{}}"#).status == 404)
    #expect(ledger.create("/general_ledger_id/metadata", "{}").status == 400)
  }
}
