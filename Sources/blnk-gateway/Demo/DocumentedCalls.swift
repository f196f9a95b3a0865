import Policies
import SandboxCore

extension DemoRun {
  /// Makes the calls of Blnk's documents, and checks what Core received.
  func makeDocumentedCalls() throws(CommandFault) {
    try heading("Calls from Blnk's documentation")
    let token = demo.folder.app.text
    let query = "instance_id=inst_demo"
    var responses: [GatewayResponse] = []

    let identity = try call(
      "Create an identity", DemoRequest("POST /proxy/identities?\(query)", token: token, body: DocumentedBody.identity))
    let identityID = identity.text("identity_id") ?? ""
    try check([
      mismatch("status", identity.status, expected: 201), identityID.hasPrefix("idt_") ? nil : "no identity_id",
    ])

    let balance = try call(
      "Create a balance", DemoRequest("POST /proxy/balances?\(query)", token: token, body: DocumentedBody.balance))
    let balanceID = balance.text("balance_id") ?? ""
    try check([mismatch("status", balance.status, expected: 201), balanceID.hasPrefix("bln_") ? nil : "no balance_id"])

    let link = try call(
      "Link the balance to the identity",
      DemoRequest(
        "PUT /proxy/balances/\(balanceID)/identity?\(query)", token: token,
        body: #"{"identity_id": "\#(identityID)"}"#))
    try check([mismatch("status", link.status, expected: 200)])

    let read = try call("Read the balance back", DemoRequest("GET /proxy/balances/\(balanceID)?\(query)", token: token))
    try check([
      mismatch("status", read.status, expected: 200),
      mismatch("identity_id", read.text("identity_id"), expected: identityID),
    ])

    let list = try call(
      "List balances, with query parameters besides instance_id",
      DemoRequest("GET /proxy/balances?limit=5&\(query)&offset=0", token: token))
    try check([
      mismatch("status", list.status, expected: 200),
      list.bodyText.contains("\"\(balanceID)\"") ? nil : "the balance is missing",
      mismatch("the target at Core", demo.cores[0].received.last?.target, expected: "/balances?limit=5&offset=0"),
    ])

    responses = [identity, balance, link, read, list]
    responses.append(try sendSplitPayment(token, query))
    try checkReceived(responses, token)
  }

  /// One page of Core's documents sends this body to POST /balances, where Core rejects it: only the bytes matter here.
  private func sendSplitPayment(_ token: String, _ query: String) throws(CommandFault) -> GatewayResponse {
    let body = DocumentedBody.splitPayment
    let response = try call(
      "Send a split payment: Core gets the same bytes",
      DemoRequest("POST /proxy/balances?\(query)", token: token, body: body))
    let got = demo.cores[0].received.last
    try check([
      mismatch("status", response.status, expected: 400),
      mismatch("code", response.text("code"), expected: "GEN_VALIDATION_ERROR"),
      mismatch("the target at Core", got?.target, expected: "/balances"),
      got?.body == Array(body.utf8) ? nil : "Core got a different body",
    ])
    return response
  }

  private func checkReceived(_ responses: [GatewayResponse], _ token: String) throws(CommandFault) {
    let received = demo.cores[0].received
    try Console.print("\n\(Console.styled("What Core received: the last of \(received.count) requests", .bold))")
    if let last = received.last {
      let head = String(decoding: last.head, as: UTF8.self).replacing(demo.keys[0], with: "(the Core's key)")
      for line in head.split(separator: "\r\n") { try Console.print("  > \(line)") }
    }
    try check([
      mismatch("the number of requests", received.count, expected: responses.count),
      received.contains { !$0.values(of: "Authorization").isEmpty } ? "Core got an Authorization" : nil,
      received.contains { String(decoding: $0.head, as: UTF8.self).contains(token) } ? "Core got the token" : nil,
      received.allSatisfy { $0.values(of: "X-Blnk-Key") == [demo.keys[0]] } ? nil : "Core did not get its own key",
      mismatch(
        "X-Request-Id", received.map { $0.values(of: "X-Request-Id") },
        expected: responses.map { [$0.value(of: "X-Request-Id") ?? "none"] }),
    ])
  }
}
