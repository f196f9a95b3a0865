import Policies
import SandboxCore

extension DemoRun {
  /// Makes calls as Blnk's SDKs do, which know only a base URL and a key.
  func makeCallsForCore() throws(CommandFault) {
    try heading("Calls of clients written for Core, such as Blnk's SDKs")
    let known = demo.cores[0].received.count
    let balanceID = try makeCallsWithBaseURL()
    try makeCallsWithDefaultInstance(balanceID)
    try checkReceivedForCore(since: known)
    try makeRejectedCallsForCore()
  }

  /// Base URL `http://gateway/instances/inst_demo`, which works for any client and each of its instances.
  private func makeCallsWithBaseURL() throws(CommandFault) -> String {
    let token = demo.folder.app.text
    let made = try call(
      "Open an internal balance, with the base URL http://gateway/instances/inst_demo",
      DemoRequest(
        "POST /instances/inst_demo/balances", coreKey: token,
        body: #"{"ledger_id": "general_ledger_id", "currency": "USD", "indicator": "@World"}"#))
    let id = made.text("balance_id") ?? ""
    try check([mismatch("status", made.status, expected: 201), id.hasPrefix("bln_") ? nil : "no balance_id"])
    let found = try call(
      "Find it by its indicator, as the Go SDK does",
      DemoRequest("GET /instances/inst_demo/balances/indicator/@World/currency/USD", coreKey: token))
    try check([
      mismatch("status", found.status, expected: 200), mismatch("balance_id", found.text("balance_id"), expected: id),
      mismatch("the target at Core", lastTarget, expected: "/balances/indicator/@World/currency/USD"),
    ])
    return id
  }

  /// Base URL `http://gateway`, which works for a client with a default instance.
  private func makeCallsWithDefaultInstance(_ balanceID: String) throws(CommandFault) {
    let token = demo.folder.direct.text
    let found = try call(
      "The same as the TypeScript SDK does, for a client with a default instance",
      DemoRequest("GET /balances/indicator/%40World/currency/USD", coreKey: token))
    try check([
      mismatch("status", found.status, expected: 200),
      mismatch("balance_id", found.text("balance_id"), expected: balanceID),
      mismatch("the target at Core", lastTarget, expected: "/balances/indicator/%40World/currency/USD"),
    ])
    let identity = try call(
      "Create an identity", DemoRequest("POST /identities", coreKey: token, body: #"{"first_name": "Ada"}"#))
    let identityID = identity.text("identity_id") ?? ""
    try check([mismatch("status", identity.status, expected: 201)])
    let link = try call(
      "Link them",
      DemoRequest(
        "PUT /balances/\(balanceID)/identity", coreKey: token, body: #"{"identity_id": "\#(identityID)"}"#))
    try check([mismatch("status", link.status, expected: 200)])
    let read = try call("Read the balance", DemoRequest("GET /balances/\(balanceID)", coreKey: token))
    try check([
      mismatch("status", read.status, expected: 200),
      mismatch("identity_id", read.text("identity_id"), expected: identityID),
    ])
    let missing = try call(
      "An error from Core is passed through", DemoRequest("GET /balances/bln_unknown", coreKey: token))
    try check([
      mismatch("status", missing.status, expected: 404),
      mismatch("code", missing.text("code"), expected: "BAL_NOT_FOUND"),
    ])
  }

  private func checkReceivedForCore(since known: Int) throws(CommandFault) {
    let received = demo.cores[0].received.dropFirst(known)
    try Console.print("\n\(Console.styled("The key that Core received in these \(received.count) requests", .bold))")
    try check([
      received.allSatisfy { $0.values(of: "X-Blnk-Key") == [demo.keys[0]] } ? nil : "Core did not get its own key",
      received.contains { String(decoding: $0.head, as: UTF8.self).contains("blnk_at_") } ? "Core got a token" : nil,
      mismatch("the number of requests", received.count, expected: 7),
    ])
  }

  private func makeRejectedCallsForCore() throws(CommandFault) {
    let bare = "GET /balances"
    let rejections = [
      ExpectedReply(
        title: "A Core's key instead of a token", request: DemoRequest(bare, coreKey: "core-master-key"), status: 401,
        code: "TOKEN_INVALID", challenge: Self.invalidToken),
      ExpectedReply(
        title: "No instance, and the client has no default instance",
        request: DemoRequest(bare, coreKey: demo.folder.app.text),
        status: 400, code: "INSTANCE_REQUIRED"),
      ExpectedReply(
        title: "Different instances in path and query",
        request: DemoRequest(
          "GET /instances/inst_demo/balances?instance_id=inst_paused", coreKey: demo.folder.app.text),
        status: 400, code: "INSTANCE_MALFORMED"),
    ]
    for expected in rejections { try check(expected.mismatches(try call(expected.title, expected.request))) }
  }

  private var lastTarget: String? { demo.cores[0].received.last?.target }
}
