import HTTP1
import Testing

@testable import Policies

/// Tokens that may use only some of their client's instances, or have their own default.
@Suite struct TokenBindingTests {
  /// A client of `one`, `two` and `three`; `members` are those of its token.
  private static func result(
    _ members: String, instances: String = #"["one", "two", "three"]"#, byDefault: String? = "one"
  ) throws -> LoadResult {
    let stated = byDefault.map { #""default_instance": "\#($0)", "# } ?? ""
    let entries = ["zero", "one", "two", "three"].map { name in
      #""\#(name)": {"url": "http://127.0.0.1:1", "key": {"env": "DEMO_KEY"}}"#
    }
    let clients = """
      {"clients": {
        "c-bound": {"scopes": ["proxy:read"], "instances": \(instances), \(stated)"networks": ["10.0.0.0/8"],
          "limits": {"concurrent": 3},
          "tokens": [{"sha256": "\(Token.digest(of: "bound"))"\(members)}]},
        "c-last": {"scopes": ["*"], "instances": ["zero"], "tokens": [{"sha256": "\(Token.digest(of: "last"))"}]} } }
      """
    return try FolderFiles([
      "clients.json": clients, "instances.json": "{\"instances\": {\(entries.joined(separator: ", "))}}",
    ]).load()
  }

  private static func reached(_ line: String, _ token: String, by policy: Policy) throws -> String {
    let request = Request(line, ["X-Blnk-Key: \(token)"])
    if let rejection = request.rejection(by: policy) { return rejection.code.text }
    return policy.instances[Int(try request.admit(by: policy).instanceIndex)].id.text
  }

  @Test(arguments: [
    (#", "instances": ["two"]"#, "two", "GATEWAY_INSTANCE_FORBIDDEN", "two"),
    (#", "instances": ["two", "three"]"#, "GATEWAY_INSTANCE_REQUIRED", "GATEWAY_INSTANCE_FORBIDDEN", "two"),
    (#", "instances": ["one", "two"]"#, "one", "one", "two"),
    (#", "instances": ["one"]"#, "one", "one", "GATEWAY_INSTANCE_FORBIDDEN"),
    (#", "default_instance": "two""#, "two", "one", "two"),
    (#", "default_instance": null"#, "GATEWAY_INSTANCE_REQUIRED", "one", "two"),
    (
      #", "instances": ["two", "three"], "default_instance": "three""#, "three", "GATEWAY_INSTANCE_FORBIDDEN", "two"
    ),
    (
      #", "instances": ["two"], "default_instance": null"#, "GATEWAY_INSTANCE_REQUIRED", "GATEWAY_INSTANCE_FORBIDDEN",
      "two"
    ),
  ])
  func `a bound token reaches what it is bound to`(members: String, bare: String, one: String, two: String) throws {
    for instances in [#"["one", "two", "three"]"#, #"["*"]"#] {
      let policy = try #require(try Self.result(members, instances: instances).policy)
      #expect(try Self.reached("GET /balances", "bound", by: policy) == bare)
      #expect(try Self.reached("GET /instances/one/balances", "bound", by: policy) == one)
      #expect(try Self.reached("GET /proxy/balances?instance_id=two", "bound", by: policy) == two)
      #expect(try Self.reached("GET /balances?instance_id=two", "bound", by: policy) == two)
      #expect(try Self.reached("GET /instances/zero/balances", "last", by: policy) == "zero")
    }
  }

  @Test func `its row is not a client, and has everything else of its client`() throws {
    let policy = try #require(try Self.result(#", "instances": ["two"]"#).policy)
    #expect(policy.clients.count == 2 && policy.clients.map(\.id.text) == ["c-bound", "c-last"])
    let request = Request("GET /balances", ["X-Blnk-Key: bound"])
    let row = Int(try request.admit(by: policy).clientIndex)
    #expect(row == 2 && policy.clients.id(of: row) == policy.clients.id(of: 0))
    #expect(policy.clients.clientKey(of: row) == policy.clients.clientKey(of: 0))
    #expect(
      policy.clients.limitsSlot(of: row) == policy.clients.limitsSlot(of: 0) && policy.clients.limitsSlot(of: 0) > 0)
    #expect(policy.clients.scopes(of: row) == policy.clients.scopes(of: 0))
    #expect(policy.clients[0].instances == .only([1, 2, 3]) && policy.clients[row].instances == .only([2]))
    var trace = AdmissionTrace()
    #expect(request.rejection(from: .unix, by: policy, noting: &trace) == .networkForbidden)
    #expect(Request("POST /balances", ["X-Blnk-Key: bound"]).rejection(by: policy) == .scopeInsufficient(.write))
  }

  @Test(arguments: [
    (
      #", "instances": ["zero"]"#, "instances[0]",
      #""zero" is not one of the client's "instances"; a token cannot have more than its client"#
    ),
    (#", "instances": ["none"]"#, "instances[0]", "there is no such instance"),
    (
      #", "instances": []"#, "instances",
      "an empty list allows no instance; name instances, or remove the key"
    ),
    (
      #", "instances": ["*"]"#, "instances[0]", #""*" is not allowed here; remove the key to allow all of the client's"#
    ),
    (#", "default_instance": "zero""#, "default_instance", #"must be one of the client's "instances""#),
    (
      #", "instances": ["two"], "default_instance": "one""#, "default_instance",
      #"must be one of the token's "instances""#
    ),
    (#", "default_instance": "none""#, "default_instance", "there is no such instance"),
    (#", "instance": "one""#, "instance", #"unknown key (did you mean "instances"?)"#),
  ])
  func `names what is wrong with a binding`(members: String, key: String, message: String) throws {
    let result = try Self.result(members)
    #expect(result.policy == nil)
    let finding = try #require(result.findings.first { $0.severity == .error })
    #expect(finding.keyPath == "clients.c-bound.tokens[0].\(key)" && finding.message.hasPrefix(message))
  }

  @Test(
    arguments: [
      ("", #"["one", "two"]"#, "one", true), ("", #"["*"]"#, "one", true), ("", #"["one"]"#, "one", false),
      ("", #"["one", "two"]"#, nil, false), (#", "instances": ["two"]"#, #"["one", "two"]"#, "one", false),
      (#", "default_instance": "two""#, #"["one", "two"]"#, "one", false),
      (#", "expires": "2020-01-01T00:00:00Z""#, #"["one", "two"]"#, "one", false),
    ] as [(String, String, String?, Bool)])
  func `warns of a token whose bare calls could mean another instance`(
    members: String, instances: String, byDefault: String?, isWarned: Bool
  ) throws {
    let findings = try Self.result(members, instances: instances, byDefault: byDefault).findings
    let found = findings.filter { $0.message.contains("bind the token to one instance") }
    #expect(found.map(\.keyPath) == (isWarned ? ["clients.c-bound.tokens[0]"] : []))
    #expect(found.allSatisfy { $0.severity == .warning && $0.message.hasSuffix(#""instances": ["one"]"#) })
  }
}
