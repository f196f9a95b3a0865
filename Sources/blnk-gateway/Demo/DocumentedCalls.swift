import Policies
import SandboxCore

extension DemoRun {
  /// The calls of Blnk's documents, and what reached the Core by them.
  func makeDocumentedCalls() throws(CommandFault) {
    try heading("The calls of Blnk's documents")
    let token = stage.folder.app.text
    let query = "instance_id=inst_demo"
    var answers: [GatewayResponse] = []

    let identity = try call(
      "Create an identity", DemoRequest("POST /proxy/identities?\(query)", token: token, body: DocumentedBody.identity))
    let identityID = identity.text("identity_id") ?? ""
    try judge([differs("status", identity.status, from: 201), identityID.hasPrefix("idt_") ? nil : "no identity_id"])

    let balance = try call(
      "Create a balance", DemoRequest("POST /proxy/balances?\(query)", token: token, body: DocumentedBody.balance))
    let balanceID = balance.text("balance_id") ?? ""
    try judge([differs("status", balance.status, from: 201), balanceID.hasPrefix("bln_") ? nil : "no balance_id"])

    let link = try call(
      "Link the balance to the identity",
      DemoRequest(
        "PUT /proxy/balances/\(balanceID)/identity?\(query)", token: token,
        body: #"{"identity_id": "\#(identityID)"}"#))
    try judge([differs("status", link.status, from: 200)])

    let read = try call("Read the balance back", DemoRequest("GET /proxy/balances/\(balanceID)?\(query)", token: token))
    try judge([
      differs("status", read.status, from: 200), differs("identity_id", read.text("identity_id"), from: identityID),
    ])

    let list = try call(
      "List balances, the caller's own query beside instance_id",
      DemoRequest("GET /proxy/balances?limit=5&\(query)&offset=0", token: token))
    try judge([
      differs("status", list.status, from: 200),
      list.bodyText.contains("\"\(balanceID)\"") ? nil : "the balance is not in it",
      differs("what Core got", stage.cores[0].received.last?.target, from: "/balances?limit=5&offset=0"),
    ])

    answers = [identity, balance, link, read, list]
    answers.append(try sendSplitPayment(token, query))
    try checkWhatCoreGot(answers, sender: token)
  }

  /// One page of Core's documents shows this body on POST /balances, where Core wants a ledger; the bytes are what counts.
  private func sendSplitPayment(_ token: String, _ query: String) throws(CommandFault) -> GatewayResponse {
    let body = DocumentedBody.splitPayment
    let answer = try call(
      "Send a split payment, which reaches Core byte for byte",
      DemoRequest("POST /proxy/balances?\(query)", token: token, body: body))
    let got = stage.cores[0].received.last
    try judge([
      differs("status", answer.status, from: 400), differs("code", answer.text("code"), from: "GEN_VALIDATION_ERROR"),
      differs("the path at Core", got?.target, from: "/balances"),
      got?.body == Array(body.utf8) ? nil : "the body at Core is another one",
    ])
    return answer
  }

  private func checkWhatCoreGot(_ answers: [GatewayResponse], sender token: String) throws(CommandFault) {
    let received = stage.cores[0].received
    try Console.print("\n\(Console.painted("What Core got, the last of \(received.count)", .bold))")
    if let last = received.last {
      let head = String(decoding: last.head, as: UTF8.self).replacing(stage.keys[0], with: "(the Core's own key)")
      for line in head.split(separator: "\r\n") { try Console.print("  > \(line)") }
    }
    try judge([
      differs("the number of requests", received.count, from: answers.count),
      received.contains { !$0.values(of: "Authorization").isEmpty } ? "Core got an Authorization" : nil,
      received.contains { String(decoding: $0.head, as: UTF8.self).contains(token) } ? "Core got the token" : nil,
      received.allSatisfy { $0.values(of: "X-Blnk-Key") == [stage.keys[0]] } ? nil : "Core did not get its key",
      differs(
        "X-Request-Id", received.map { $0.values(of: "X-Request-Id") },
        from: answers.map { [$0.value(of: "X-Request-Id") ?? "none"] }),
    ])
  }
}
