import Reactor
import SandboxCore
import TestSupport
import Testing

/// Every curl call of the product's documents, run by curl(1) through the gateway. Only host, token and the ids that
/// must exist are replaced.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct DocumentedCallTests {
  /// The number of calls in each document.
  @Test(arguments: [
    ("create-balance", 2), ("create-identity", 2), ("go-sdk-update-identity", 0), ("multiple-destinations", 3),
    ("update-balance-identity", 11),
  ])
  func `finds every call`(document: String, count: Int) throws {
    let calls = try DocumentedCall.all(in: document)
    #expect(calls.count == count)
    #expect(calls.allSatisfy { $0.command.hasSuffix("'") || $0.command.hasSuffix("\"") })
  }

  @Test func `creates a balance as documented`() throws {
    try withStage { stage in
      for call in try DocumentedCall.all(in: "create-balance") {
        let answer = try call.run(replacing: stage.replacements(for: call))
        #expect(answer.status == 201, "\(call.name)")
        #expect(call.documentedNames.count == 12)
        #expect(Set(call.documentedNames).isSubset(of: answer.names), "\(call.name): \(answer.body)")
        #expect(stage.core.received.last?.target == "/balances")
      }
    }
  }

  /// Core v0.15.2 requires RFC 3339 where the document has a date; the gateway does not interfere.
  @Test func `creates an identity as documented, except for the format of the birthday`() throws {
    try withStage { stage in
      for call in try DocumentedCall.all(in: "create-identity") {
        let refused = try call.run(replacing: stage.replacements(for: call))
        #expect(refused.status == 400 && refused.names == ["error", "error_detail"], "\(refused.body)")
        #expect(stage.core.received.last.map { String(decoding: $0.body, as: UTF8.self) } == call.body)
        let dated = stage.replacements(for: call) + [(#""1990-01-01""#, #""1990-01-01T00:00:00Z""#)]
        let answer = try call.run(replacing: dated)
        #expect(answer.status == 201, "\(call.name): \(answer.body)")
        #expect(call.documentedNames.count == 19 && call.documentedNames == answer.names)
      }
    }
  }

  /// The page shows a transaction's body for POST /balances, where Core requires a balance's fields.
  @Test func `sends a split payment byte for byte`() throws {
    try withStage { stage in
      for call in try DocumentedCall.all(in: "multiple-destinations") {
        let answer = try call.run(replacing: stage.replacements(for: call))
        #expect(answer.status == 400 && answer.names == ["error_detail", "errors"], "\(answer.body)")
        #expect(answer.body.contains(#""code":"GEN_VALIDATION_ERROR""#))
        #expect(stage.core.received.last.map { String(decoding: $0.body, as: UTF8.self) } == call.body)
        #expect(stage.core.received.last?.target == "/balances")
      }
    }
  }

  @Test func `links a balance to an identity as documented, and reads both`() throws {
    try withStage { stage in
      for call in try DocumentedCall.all(in: "update-balance-identity") {
        let answer = try call.run(replacing: stage.replacements(for: call))
        let count = stage.core.received.count
        switch (call.credentials, call.command.contains("-X PUT")) {
        case (.none, _):
          // The document shows no credentials; a Core in secure mode refuses that as well.
          #expect(answer.status == 401 && answer.names == ["error", "error_detail", "request_id"], "\(answer.body)")
          #expect(answer.body.contains("GATEWAY_TOKEN_REQUIRED") && stage.core.received.count == count)
        case (_, true):
          #expect(answer.status == 200, "\(call.name)")
          #expect(answer.body == #"{"message":"Balance identity updated successfully"}"#)
        case (_, false):
          let id = call.command.contains("/identities/") ? "identity_id" : "balance_id"
          #expect(answer.status == 200 && answer.names.contains(id), "\(call.name): \(answer.body)")
        }
      }
      let read = try #require(try stage.gateway.ask("GET", "/proxy/balances/\(stage.balance)?instance_id=one"))
      #expect(read.member("identity_id") == stage.identity)
    }
  }
}

/// A stand-in with an identity and a balance, and a gateway in front of it.
private struct Stage {
  let core: SandboxServer
  let gateway: RunningGateway
  let identity: String
  let balance: String

  init(_ core: SandboxServer) throws {
    self.core = core
    gateway = try RunningGateway(upstreams: [("one", try #require(core.address.port))])
    let made = try gateway.ask("POST", "/proxy/identities?instance_id=one", body: "{}")
    identity = try #require(made?.member("identity_id"))
    let body = #"{"ledger_id":"general_ledger_id","currency":"USD"}"#
    let opened = try gateway.ask("POST", "/proxy/balances?instance_id=one", body: body)
    balance = try #require(opened?.member("balance_id"))
  }

  /// Host, instance, token, and the ids that must exist.
  func replacements(for call: DocumentedCall) -> [(String, String)] {
    let host = "http://127.0.0.1:\(gateway.port)"
    let hosts = ["https://api.cloud.blnkfinance.com", "https://api.blnk.io", "http://localhost:5001"]
    let tokens = [
      ("blnk_at_YOUR_ACCESS_TOKEN", TestPolicyFolder.token), ("YOUR_API_KEY", TestPolicyFolder.directToken),
      ("<api-key>", TestPolicyFolder.directToken),
    ]
    let identities = [
      "usr_new_owner_456", "usr_new_owner", "usr_primary", "org_acquiring_company", "usr_correct_owner",
    ]
    let balances = ["bal_123abc", "bal_123", "bal_secondary_1", "bal_secondary_2", "bal_merchant_old", "bal_wrong"]
    return hosts.map { ($0, host) } + tokens + [("YOUR_INSTANCE_ID", "one")]
      + [("ldg_073f7ffe-9dfd-42ce-aa50-d1dca1788adc", "general_ledger_id")]
      + (identities + ["dept_marketing"]).map { ($0, identity) } + (balances + ["bal_dept_123"]).map { ($0, balance) }
  }
}

/// Checks afterwards that Core got its own key with each request, and never a token.
private func withStage(_ body: (Stage) throws -> Void) throws {
  let core = try sandbox()
  let stage = try Stage(core)
  try body(stage)
  expectOwnKeyOnly(core)
}

/// Expects Core's own key in each request, and none of the client's credentials.
func expectOwnKeyOnly(_ core: SandboxServer) {
  #expect(!core.received.isEmpty)
  for request in core.received {
    #expect(request.values(of: "X-Blnk-Key") == [TestPolicyFolder.key])
    #expect(request.values(of: "Authorization").isEmpty)
    #expect(!String(decoding: request.head, as: UTF8.self).contains("blnk_at_"))
  }
}
