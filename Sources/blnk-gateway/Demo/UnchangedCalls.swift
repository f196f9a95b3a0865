import Policies
import SandboxCore

extension DemoRun {
  /// What a caller of Core sends that knows nothing of the gateway but its host and a token, such as Blnk's SDKs.
  func makeCallsOfCoreUnchanged() throws(CommandFault) {
    try heading("Callers of Core unchanged, such as Blnk's SDKs")
    let known = stage.cores[0].received.count
    let balanceID = try makeCallsWithBaseURL()
    try makeCallsWithDefaultInstance(balanceID)
    try checkWhatCoreGotUnchanged(since: known)
    try makeUnchangedCallsThatFail()
  }

  /// Base URL `http://gateway/instances/inst_demo`: any client may use it for its instances.
  private func makeCallsWithBaseURL() throws(CommandFault) -> String {
    let token = stage.folder.app.text
    let made = try call(
      "Open an internal balance, with the base URL http://gateway/instances/inst_demo",
      DemoRequest(
        "POST /instances/inst_demo/balances", coreKey: token,
        body: #"{"ledger_id": "general_ledger_id", "currency": "USD", "indicator": "@World"}"#))
    let id = made.text("balance_id") ?? ""
    try judge([differs("status", made.status, from: 201), id.hasPrefix("bln_") ? nil : "no balance_id"])
    let found = try call(
      "Find it by its indicator, as the Go SDK writes it",
      DemoRequest("GET /instances/inst_demo/balances/indicator/@World/currency/USD", coreKey: token))
    try judge([
      differs("status", found.status, from: 200), differs("balance_id", found.text("balance_id"), from: id),
      differs("what Core got", lastTarget, from: "/balances/indicator/@World/currency/USD"),
    ])
    return id
  }

  /// Base URL `http://gateway`: for a client with a default instance.
  private func makeCallsWithDefaultInstance(_ balanceID: String) throws(CommandFault) {
    let token = stage.folder.direct.text
    let found = try call(
      "The same, as the TypeScript SDK writes it, from a client with a default instance",
      DemoRequest("GET /balances/indicator/%40World/currency/USD", coreKey: token))
    try judge([
      differs("status", found.status, from: 200), differs("balance_id", found.text("balance_id"), from: balanceID),
      differs("what Core got", lastTarget, from: "/balances/indicator/%40World/currency/USD"),
    ])
    let identity = try call(
      "Create an identity", DemoRequest("POST /identities", coreKey: token, body: #"{"first_name": "Ada"}"#))
    let identityID = identity.text("identity_id") ?? ""
    try judge([differs("status", identity.status, from: 201)])
    let link = try call(
      "Link the two",
      DemoRequest(
        "PUT /balances/\(balanceID)/identity", coreKey: token, body: #"{"identity_id": "\#(identityID)"}"#))
    try judge([differs("status", link.status, from: 200)])
    let read = try call("Read it back", DemoRequest("GET /balances/\(balanceID)", coreKey: token))
    try judge([
      differs("status", read.status, from: 200), differs("identity_id", read.text("identity_id"), from: identityID),
    ])
    let missing = try call(
      "An error of Core's comes through", DemoRequest("GET /balances/bln_unknown", coreKey: token))
    try judge([
      differs("status", missing.status, from: 404), differs("code", missing.text("code"), from: "BAL_NOT_FOUND"),
    ])
  }

  private func checkWhatCoreGotUnchanged(since known: Int) throws(CommandFault) {
    let received = stage.cores[0].received.dropFirst(known)
    try Console.print("\n\(Console.painted("The key that Core got with these \(received.count)", .bold))")
    try judge([
      received.allSatisfy { $0.values(of: "X-Blnk-Key") == [stage.keys[0]] } ? nil : "Core did not get its own key",
      received.contains { String(decoding: $0.head, as: UTF8.self).contains("blnk_at_") } ? "Core got a token" : nil,
      differs("the number of requests", received.count, from: 7),
    ])
  }

  private func makeUnchangedCallsThatFail() throws(CommandFault) {
    let bare = "GET /balances"
    let refusals = [
      Refusal(
        title: "A Core's key is no token", request: DemoRequest(bare, coreKey: "core-master-key"), status: 401,
        code: "TOKEN_INVALID", challenge: #"Bearer realm="blnk", error="invalid_token""#),
      Refusal(
        title: "A client without a default instance", request: DemoRequest(bare, coreKey: stage.folder.app.text),
        status: 400, code: "INSTANCE_REQUIRED"),
      Refusal(
        title: "A query that names another instance than the path",
        request: DemoRequest(
          "GET /instances/inst_demo/balances?instance_id=inst_paused", coreKey: stage.folder.app.text),
        status: 400, code: "INSTANCE_MALFORMED"),
    ]
    for refusal in refusals { try judge(refusal.complaints(try call(refusal.title, refusal.request))) }
  }

  private var lastTarget: String? { stage.cores[0].received.last?.target }
}
