import SandboxCore
import Testing

/// `--as documented`: the call that links a balance to an identity, refused in the words of the product's documents.
struct DocumentedLinkTests {
  private static let key = "core-master-key-0001"

  private func answer(
    _ dialect: CoreDialect, _ target: String, _ body: String, method: String = "PUT"
  ) -> (status: Int, body: String) {
    var ledger = SandboxLedger.numbered(key: Self.key, dialect: dialect)
    let identity = "idt_9f0c1a52-4a7e-4d3f-8a51-0e6c5cf0a001"
    ledger.create("/identities", #"{"identity_id":"\#(identity)"}"#)
    let made = ledger.create("/balances", #"{"ledger_id":"general_ledger_id","currency":"USD"}"#)
    let balance = String(decoding: made.body, as: UTF8.self).ids.first ?? ""
    let answer = ledger.answer(
      SandboxRequest(
        method: method, target: target.replacing("BALANCE", with: balance), key: Self.key,
        body: Array(body.replacing("IDENTITY", with: identity).utf8)))
    return (answer.status, String(decoding: answer.body, as: UTF8.self))
  }

  @Test(arguments: [
    ("/balances/bal_123abc/identity", #"{"identity_id":"IDENTITY"}"#, "balance validation failed: balance not found"),
    (
      "/balances/BALANCE/identity", #"{"identity_id":"usr_new_owner_456"}"#,
      "identity validation failed: identity not found"
    ),
    ("/balances/BALANCE/identity", "{}", "identity_id is required"),
    ("/balances/BALANCE/identity", #"{"identity_id":""}"#, "identity_id is required"),
    ("/balances//identity", #"{"identity_id":"IDENTITY"}"#, "balance id is required. pass id in the route /:id"),
  ])
  func `is refused as documented`(target: String, body: String, message: String) {
    let (status, text) = answer(.documented, target, body)
    #expect(status == 400)
    #expect(text == #"{"error":"\#(message)"}"#)
  }

  @Test func `succeeds in both dialects`() {
    for dialect in CoreDialect.allCases {
      let (status, text) = answer(dialect, "/balances/BALANCE/identity", #"{"identity_id":"IDENTITY"}"#)
      #expect(status == 200 && text == #"{"message":"Balance identity updated successfully"}"#)
    }
  }

  @Test func `differs from what Core was seen to answer`() {
    #expect(answer(.measured, "/balances/bal_123abc/identity", #"{"identity_id":"IDENTITY"}"#).status == 404)
    #expect(answer(.measured, "/balances//identity", #"{"identity_id":"IDENTITY"}"#).body == "404 page not found")
    #expect(answer(.measured, "/balances/BALANCE/identity", "{}").body.contains("GEN_MALFORMED_REQUEST"))
    #expect(answer(.documented, "/balances/bal_123abc", "", method: "GET").status == 404)
  }
}
