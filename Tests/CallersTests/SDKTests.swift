import Foundation
import Reactor
import SandboxCore
import TestSupport
import Testing

/// A caller of Core with Blnk's SDK changes its base URL and its key only, and gets the same responses as from Core.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct SDKTests {
  enum Base: CaseIterable {
    /// `http://host/instances/<id>`
    case prefix
    /// `http://host`, for a client with a default instance.
    case bare
  }

  @Test(arguments: ScriptedSDK.Language.allCases, Base.allCases)
  func `gets the same responses through the gateway as from Core`(language: ScriptedSDK.Language, base: Base) throws {
    let reference = try stage { core, _ in
      try transcript(ScriptedSDK(language: language, baseURL: "http://127.0.0.1:\(core)", key: TestPolicyFolder.key))
    }
    let relayed = try stage { _, gateway in try transcript(Self.sdk(language, base, gateway)) }
    #expect(relayed == reference)
    #expect(relayed.count == 17 && relayed.contains("200 message: Balance identity updated successfully"))
  }

  @Test(arguments: ScriptedSDK.Language.allCases, Base.allCases)
  func `Core gets the path as the SDK wrote it, with Core's key`(language: ScriptedSDK.Language, base: Base) throws {
    let core = try sandbox()
    let gateway = try RunningGateway(upstreams: [("one", try #require(core.address.port))])
    _ = try transcript(Self.sdk(language, base, gateway.port))
    expectOwnKeyOnly(core)
    #expect(core.received.count == 17)
    #expect(core.received.allSatisfy { !$0.target.contains("instances") && !$0.target.contains("instance_id") })
    #expect(core.received.contains { $0.target == "/balances/indicator/\(language.world)/currency/USD" })
    #expect(core.received.contains { $0.target == "/balances?limit=1&offset=0" })
    #expect(core.received.allSatisfy { $0.values(of: "Accept-Encoding") == ["gzip"] })
    #expect(core.received.allSatisfy { $0.values(of: "Content-Type") == ["application/json"] })
  }

  @Test(arguments: [
    ("/instances/one", "blnk_at_unknown", 401, "GATEWAY_TOKEN_INVALID"),
    ("", "blnk_at_unknown", 401, "GATEWAY_TOKEN_INVALID"),
    ("/instances/one", TestPolicyFolder.readToken, 403, "GATEWAY_SCOPE_INSUFFICIENT"),
    ("/instances/none", TestPolicyFolder.token, 403, "GATEWAY_INSTANCE_FORBIDDEN"),
    ("", TestPolicyFolder.token, 400, "GATEWAY_INSTANCE_REQUIRED"),
    ("/proxy", TestPolicyFolder.token, 400, "GATEWAY_INSTANCE_REQUIRED"),
  ])
  func `reads the gateway's rejections as errors`(prefix: String, token: String, status: Int, code: String) throws {
    try stage { _, gateway in
      for language in ScriptedSDK.Language.allCases {
        let sdk = ScriptedSDK(language: language, baseURL: "http://127.0.0.1:\(gateway)\(prefix)", key: token)
        let failure = #expect(throws: ScriptedSDK.Failure.self) { try sdk.call("POST", "identities", "{}") }
        #expect(failure?.status == status && failure?.code == code && failure?.message.isEmpty == false)
      }
    }
  }

  @Test func `reads the documented error of Core`() throws {
    try stage(.documented) { _, gateway in
      let failure = #expect(throws: ScriptedSDK.Failure.self) {
        try Self.sdk(.go, .prefix, gateway).call("PUT", "balances/bal_1/identity", #"{"identity_id":"usr_1"}"#)
      }
      let message = "balance validation failed: balance not found"
      #expect(failure == ScriptedSDK.Failure(status: 400, code: "", message: message))
    }
  }

  private static func sdk(_ language: ScriptedSDK.Language, _ base: Base, _ port: UInt16) -> ScriptedSDK {
    switch base {
    case .prefix:
      ScriptedSDK(
        language: language, baseURL: "http://127.0.0.1:\(port)/instances/one", key: TestPolicyFolder.token)
    case .bare:
      ScriptedSDK(language: language, baseURL: "http://127.0.0.1:\(port)", key: TestPolicyFolder.directToken)
    }
  }

  /// A new stand-in and a gateway in front of it; the body gets their ports.
  private func stage<Result>(
    _ dialect: CoreDialect = .measured, _ body: (_ core: UInt16, _ gateway: UInt16) throws -> Result
  ) throws -> Result {
    let core = try sandbox(dialect)
    let port = try #require(core.address.port)
    let gateway = try RunningGateway(upstreams: [("one", port)])
    return try body(port, gateway.port)
  }
}

/// Typical calls of an application and their results: create, link, read, list, filter, errors.
private func transcript(_ sdk: ScriptedSDK) throws -> [String] {
  var seen: [String] = []
  @discardableResult
  func call(_ method: String, _ path: String, _ body: String? = nil) throws -> [String: Any] {
    do throws(any Error) {
      let object = try sdk.call(method, path, body)
      let message = (object["message"] as? String).map { "message: \($0)" }
      seen.append("200 \(message ?? object.keys.sorted().joined(separator: " "))")
      return object
    } catch let failure as ScriptedSDK.Failure {
      seen.append("\(failure.status) \(failure.code) \(failure.message)")
      return [:]
    }
  }
  let general = #""ledger_id":"general_ledger_id","currency":"USD""#
  let identity = try call("POST", "identities", #"{"first_name":"Ada"}"#)["identity_id"] as? String ?? ""
  let balance = try call("POST", "balances", "{\(general)}")["balance_id"] as? String ?? ""
  try call("POST", "balances", #"{\#(general),"indicator":"@World"}"#)
  try call("PUT", "balances/\(balance)/identity", #"{"identity_id":"\#(identity)"}"#)
  let read = try call("GET", "balances/\(balance)?include=identity")
  #expect(read["identity_id"] as? String == identity)
  try call("GET", "balances/indicator/\(sdk.language.world)/currency/USD")
  try call("GET", "balances/\(balance)/at")
  let list = try call("GET", "balances?limit=1&offset=0")["list"] as? [Any]
  #expect(list?.count == 1)
  let filter = #"{"filters":[{"field":"identity_id","operator":"eq","value":"\#(identity)"}],"include_count":true}"#
  let found = try call("POST", "balances/filter", filter)
  #expect((found["data"] as? [[String: Any]])?.first?["balance_id"] as? String == balance)
  try call("PUT", "identities/\(identity)", #"{"city":"London"}"#)
  try call("POST", "identities/\(identity)/tokenize", #"{"fields":["FirstName"]}"#)
  try call("GET", "identities/\(identity)/detokenize/FirstName")
  try call("GET", "balances/bln_unknown")
  try call("POST", "balances", "{}")
  try call("PUT", "balances/\(balance)/identity", #"{"identity_id":"idt_unknown"}"#)
  try call("DELETE", "identities/\(identity)")
  try call("GET", "identities/\(identity)")
  return seen.map { $0.replacing(identity, with: "IDENTITY").replacing(balance, with: "BALANCE") }
}
