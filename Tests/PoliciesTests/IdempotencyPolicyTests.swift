import Foundation
import HTTP1
import Testing

@testable import Policies

/// The keys `idempotency` of `gateway.json` and `routes.json`.
@Suite struct IdempotencyPolicyTests {
  private func load(_ gateway: String, routes: String? = nil) throws -> LoadResult {
    let result = try FolderFiles(["gateway.json": gateway].merging(routes.map { ["routes.json": $0] } ?? [:]) { $1 })
      .load()
    // The client's scope is not always one of a test's routes.
    let findings = result.findings.filter { $0.file != "policies/clients.json" }
    return LoadResult(policy: result.policy, findings: findings)
  }

  private func settings(_ idempotency: String) throws -> IdempotencySettings? {
    let result = try load(#"{"idempotency": \#(idempotency)}"#)
    #expect(result.findings.isEmpty)
    return try #require(result.policy).settings.idempotency
  }

  // MARK: gateway.json

  @Test func `is off unless gateway.json has it`() throws {
    #expect(try FolderFiles().load().policy?.settings.idempotency == nil)
    #expect(try load("{}").policy?.settings.idempotency == nil)
    #expect(try settings("null") == nil)
  }

  @Test func `has a default for every key, and a folder relative to the state folder`() throws {
    let settings = try #require(try settings("{}"))
    #expect(settings == IdempotencySettings(folder: "/nonexistent/idempotency"))
    #expect(settings.ttlHours == 24 && settings.ttlSeconds == 86_400)
    #expect(settings.keysMax == 1_000_000 && settings.keysPerClientMax == 100_000)
    #expect(settings.diskBytesMax == 4_294_967_296)
    #expect(settings.bodyBytesMax == 65_536 && settings.responseBytesMax == 65_536)
    #expect(try self.settings(#"{"folder": "a/b"}"#)?.folder == "/nonexistent/a/b")
  }

  @Test func `reads every key`() throws {
    let settings = try #require(
      try settings(
        #"{"folder": "/keys", "ttl_h": 1, "keys_max": 2000, "keys_per_client_max": 3, "disk_bytes_max": 67108864, "#
          + #""body_bytes_max": 5000, "response_bytes_max": 6000}"#))
    #expect(settings.folder == "/keys" && settings.ttlHours == 1)
    #expect(settings.keysMax == 2_000 && settings.keysPerClientMax == 3)
    #expect(settings.diskBytesMax == 67_108_864)
    #expect(settings.bodyBytesMax == 5_000 && settings.responseBytesMax == 6_000)
  }

  @Test func `a client may have at most all keys, also by default`() throws {
    #expect(try settings(#"{"keys_max": 50000}"#)?.keysPerClientMax == 50_000)
    #expect(try settings(#"{"keys_max": 50000, "keys_per_client_max": 50000}"#)?.keysPerClientMax == 50_000)
  }

  @Test(arguments: [
    ("[]", "idempotency: must be an object, not a list"),
    (#"{"ttl_s": 1}"#, #"idempotency.ttl_s: unknown key (did you mean "ttl_h"?)"#),
    (#"{"ttl_h": 0}"#, "idempotency.ttl_h: must be 1 to 720"),
    (#"{"ttl_h": 721}"#, "idempotency.ttl_h: must be 1 to 720"),
    (#"{"ttl_h": 1.5}"#, "idempotency.ttl_h: must be a whole number without decimal point and exponent"),
    (#"{"keys_max": 999}"#, "idempotency.keys_max: must be 1000 to 10000000"),
    (#"{"keys_per_client_max": 0}"#, "idempotency.keys_per_client_max: must be 1 to 10000000"),
    (
      #"{"keys_per_client_max": 1000001}"#,
      #"idempotency.keys_per_client_max: must be at most "keys_max", which is 1000000"#
    ),
    (
      #"{"keys_max": 1000, "keys_per_client_max": 1001}"#,
      #"idempotency.keys_per_client_max: must be at most "keys_max", which is 1000"#
    ),
    (#"{"disk_bytes_max": 67108863}"#, "idempotency.disk_bytes_max: must be 67108864 to 1099511627776"),
    (#"{"body_bytes_max": 65537}"#, "idempotency.body_bytes_max: must be 1024 to 65536"),
    (#"{"response_bytes_max": 1023}"#, "idempotency.response_bytes_max: must be 1024 to 65536"),
    (#"{"folder": ""}"#, "idempotency.folder: must be 1 to 4096 bytes without control characters"),
    (#"{"folder": null}"#, "idempotency.folder: must be a string, not null"),
  ])
  func `names what is wrong`(value: String, message: String) throws {
    let result = try load(#"{"idempotency": \#(value)}"#)
    #expect(result.findings.map(\.description) == ["policies/gateway.json:1: \(message)"])
    #expect(result.policy == nil)
  }

  @Test(arguments: [
    ("/x/audit.log", #""audit_log": "/x/audit.log""#, #"contains the file of "audit_log""#),
    ("/x", #""audit_log": "/x/logs/audit.log""#, #"contains the file of "audit_log""#),
    (".", #""audit_log": "audit.log""#, #"contains the file of "audit_log""#),
    ("/x/../y", #""access_log": "/y/access.log""#, #"contains the file of "access_log""#),
    ("/x", #""oauth": {"revocations": "/x"}"#, #"overlaps with the folder of "oauth.revocations""#),
    ("/x/y/", #""oauth": {"revocations": "/x"}"#, #"overlaps with the folder of "oauth.revocations""#),
    ("/x", #""oauth": {"revocations": "/x/y"}"#, #"overlaps with the folder of "oauth.revocations""#),
  ])
  func `rejects a folder that holds something else`(folder: String, other: String, words: String) throws {
    let keys = #""issuer": "https://a.example", "keys": [{"id": "k", "env": "TOKEN_KEY"}], "revocations""#
    let text = #"{"audit_key": null, \#(other), "idempotency": {"folder": "\#(folder)"}}"#
      .replacing(#""revocations""#, with: keys)
    var files = FolderFiles(["gateway.json": text])
    files.environment["TOKEN_KEY"] = String(repeating: "k", count: 32)
    let result = try files.load()
    let errors = result.findings.filter { $0.severity == .error }
    #expect(errors.map(\.keyPath) == ["idempotency.folder"], "\(result.findings)")
    #expect(errors.first?.message == "\(words); use a folder for the journal alone")
    #expect(result.policy == nil)
    // A folder next to it is accepted.
    files.files["gateway.json"] = text.replacing(#""folder": "\#(folder)""#, with: #""folder": "/keys""#)
    #expect(try files.load().policy != nil)
  }

  @Test func `rejects a folder in the policy folder, also by default`() throws {
    try FolderFiles().withFolder { folder in
      let message = "must not be inside the policy folder; use a folder outside it or another --state folder"
      for (state, value, key) in [
        (folder.path, "{}", "idempotency"), ("/s", #"{"folder": "\#(folder.path)/keys"}"#, "idempotency.folder"),
        (folder.path, #"{"folder": "."}"#, "idempotency.folder"),
      ] {
        var files = FolderFiles(["gateway.json": #"{"idempotency": \#(value)}"#])
        files.files = ["gateway.json": files.files["gateway.json"] ?? ""]
        try #require(files.files["gateway.json"]).write(
          toFile: "\(folder.path)/gateway.json", atomically: true, encoding: .utf8)
        let here = PolicyFolder(path: folder.path, stateFolder: state, environment: folder.environment)
        let findings = Policy.load(here, now: UnixSeconds(1_800_000_000)).findings
        #expect(findings.map(\.keyPath) == [key] && findings.map(\.message) == [message], "\(findings)")
      }
    }
  }

  @Test func `a reload keeps the folder, the ttl, and whether there is a journal at all`() {
    var (old, new) = (GatewaySettings(), GatewaySettings())
    new.idempotency = IdempotencySettings(folder: "/new")
    new.idempotency?.ttlHours = 48
    new.idempotency?.keysMax = 5_000
    var changed = new
    changed.keepJournal(of: old)
    #expect(changed.idempotency == nil)

    old.idempotency = IdempotencySettings(folder: "/old")
    changed = new
    changed.keepJournal(of: old)
    #expect(changed.idempotency?.folder == "/old" && changed.idempotency?.ttlHours == 24)
    #expect(changed.idempotency?.keysMax == 5_000)

    changed = GatewaySettings()
    changed.keepJournal(of: old)
    #expect(changed.idempotency == old.idempotency)
  }

  // MARK: routes.json

  private static func rules(_ table: RouteTable) -> [String: KeyRule] {
    Dictionary(
      uniqueKeysWithValues: table.routes.map { route in
        ("\(route.method.text) \(String(decoding: route.pattern, as: UTF8.self))", route.keyRule)
      })
  }

  private static let off: Set<String> = [
    "POST /proxy/identities/:id/detokenize", "GET /proxy/identities/:id/detokenize/:field",
    "POST /proxy/reconciliation/upload",
  ]

  @Test func `writes of the default table take keys, except those that return plain text`() {
    let table = RouteTable(defaultRoutes)
    let rules = Self.rules(table)
    for route in table.routes {
      let name = "\(route.method.text) \(String(decoding: route.pattern, as: UTF8.self))"
      #expect(rules[name] == (route.isWrite && !Self.off.contains(name) ? .optional : .off), "\(name)")
    }
    #expect(rules.values.count { $0 == .optional } == 7)
    #expect(rules["POST /proxy/identities/:id/tokenize"] == .optional)
    #expect(rules["POST /proxy/identities/:id/detokenize"] == .off)
  }

  @Test(arguments: ["routes.full.json", "routes.core.json"])
  func `writes of the shipped tables take keys, except uploads and those that return plain text`(file: String) throws {
    let text = try String(contentsOfFile: "\(ShippedPolicyTests.folder)/\(file)", encoding: .utf8)
    let result = try load(#"{"idempotency": {}}"#, routes: text)
    #expect(result.findings.isEmpty)
    let table = try #require(result.policy).routes
    for route in table.routes {
      let name = "\(route.method.text) \(String(decoding: route.pattern, as: UTF8.self))"
      #expect(route.keyRule == (route.isWrite && !Self.off.contains(name) ? .optional : .off), "\(name)")
    }
  }

  private func route(
    _ path: String, _ method: String = "POST", _ members: String = "", scope: String = "proxy:write"
  ) -> String {
    let rest = members.isEmpty ? "" : ", \(members)"
    return #"{"routes": {"\#(path)": {"\#(method)": {"scope": "\#(scope)", "operation": "o"\#(rest)}}}}"#
  }

  @Test(arguments: [
    ("/proxy/a", "POST", "proxy:write", "", KeyRule.optional), ("/proxy/a", "PUT", "x:y", "", .optional),
    ("/proxy/a", "DELETE", "proxy:write", "", .optional), ("/proxy/a", "PATCH", "proxy:write", "", .optional),
    ("/proxy/a", "POST", "proxy:read", "", .off), ("/proxy/a", "GET", "proxy:read", "", .off),
    ("/proxy/a", "GET", "proxy:write", "", .off),
    ("/proxy/a", "POST", "proxy:write", #""body_bytes": 65536"#, .optional),
    ("/proxy/a", "POST", "proxy:write", #""body_bytes": 65537"#, .off),
    ("/proxy/a", "POST", "proxy:write", #""idempotency": "required""#, .required),
    ("/proxy/a", "POST", "proxy:write", #""idempotency": "optional""#, .optional),
    ("/proxy/a", "POST", "proxy:write", #""idempotency": "off""#, .off),
    ("/proxy/a", "POST", "proxy:write", #""body_bytes": 65537, "idempotency": "required""#, .required),
    ("/proxy/reconciliation/upload", "POST", "proxy:write", "", .off),
    ("/proxy/reconciliation/upload", "POST", "proxy:write", #""idempotency": "optional""#, .optional),
    ("/proxy/a", "GET", "proxy:write", #""idempotency": "required""#, .off),
    ("/proxy/a", "POST", "proxy:read", #""idempotency": "required""#, .off),
    ("/proxy/identities/:id/detokenize", "POST", "proxy:write", "", .off),
    ("/proxy/identities/:id/detokenize/:field", "POST", "proxy:write", "", .off),
    ("/proxy/identities/:id/:call", "POST", "proxy:write", "", .off), ("/proxy/:a/:b/:c", "PUT", "x:y", "", .off),
    ("/proxy/:a/:b/:c/:d", "POST", "x:y", "", .off), ("/proxy/identities/:id/tokenize", "POST", "x:y", "", .optional),
    ("/proxy/identities/:id/tokenize/:field", "POST", "x:y", "", .optional),
    ("/proxy/balances/:id/detokenize", "POST", "x:y", "", .optional), ("/proxy/:a/:b", "POST", "x:y", "", .optional),
  ])
  func `a route has its own rule, or one by what it does`(
    path: String, method: String, scope: String, members: String, rule: KeyRule
  ) throws {
    let result = try load(#"{"idempotency": {}}"#, routes: route(path, method, members, scope: scope))
    let table = try #require(result.policy, "\(result.findings)").routes
    #expect(table.routes.map(\.keyRule) == [rule])
  }

  @Test(arguments: [
    ("/proxy/identities/:id/detokenize", "POST"), ("/proxy/identities/:id/detokenize/:field", "GET"),
    ("/proxy/identities/:id/:call", "POST"), ("/proxy/:a/:b/:c", "PUT"), ("/proxy/identities/i/detokenize", "POST"),
  ])
  func `a path that can return plain text takes no keys, and says why`(path: String, method: String) throws {
    for rule in ["required", "optional"] {
      let result = try load(#"{"idempotency": {}}"#, routes: route(path, method, #""idempotency": "\#(rule)""#))
      #expect(
        result.findings.map(\.description) == [
          "policies/routes.json:1: routes.\(path).\(method).idempotency: must be \"off\": the path matches Core's "
            + "detokenize calls, and the journal would keep the plain text that they return"
        ])
      #expect(result.policy == nil)
    }
    #expect(try load("{}", routes: route(path, method, #""idempotency": "off""#)).findings.isEmpty)
  }

  @Test(arguments: [
    ("{}", "/proxy/a", "POST", #""idempotency": "required""#, Finding.Severity.error, "without \"idempotency\" in"),
    ("{}", "/proxy/a", "POST", #""idempotency": "optional""#, .warning, "has no effect without \"idempotency\" in"),
    (#"{"idempotency": {}}"#, "/proxy/a", "GET", #""idempotency": "optional""#, .warning, "has no effect on a read"),
    (
      #"{"idempotency": {"body_bytes_max": 2000}}"#, "/proxy/reconciliation/upload", "POST",
      #""idempotency": "optional""#, .warning, "of more than 2000 bytes (idempotency.body_bytes_max) gets 413"
    ),
    (
      #"{"idempotency": {}}"#, "/proxy/a", "POST", #""body_bytes": 70000, "idempotency": "required""#, .warning,
      "of more than 65536 bytes"
    ),
    (#"{"idempotency": {}}"#, "/proxy/a", "POST", #""body_bytes": 70000"#, .note, "ignores idempotency keys"),
    (#"{"idempotency": {}}"#, "/proxy/a", "POST", #""idempotency": "on""#, .error, #"must be "required", "optional""#),
    (#"{"idempotency": {}}"#, "/proxy/a", "POST", #""idempotency": true"#, .error, "must be a string, not true"),
  ])
  func `reports a rule without effect, and one that cannot be kept`(
    gateway: String, path: String, method: String, members: String, severity: Finding.Severity, words: String
  ) throws {
    let result = try load(gateway, routes: route(path, method, members))
    #expect(result.findings.map(\.severity) == [severity])
    #expect(result.findings.first?.message.contains(words) == true, "\(result.findings)")
    #expect(result.findings.first?.keyPath.hasPrefix("routes.\(path).\(method)") == true)
    #expect((result.policy == nil) == (severity == .error))
  }

  @Test(arguments: [
    (#""idempotency": "off""#, "{}"), (#""idempotency": "off""#, #"{"idempotency": {}}"#),
    ("", #"{"idempotency": {}}"#),
    (#""idempotency": "required""#, #"{"idempotency": {}}"#), (#""body_bytes": 70000"#, "{}"),
  ])
  func `reports nothing otherwise`(members: String, gateway: String) throws {
    #expect(try load(gateway, routes: route("/proxy/a", "POST", members)).findings.isEmpty)
  }

  @Test(arguments: [
    ("POST /proxy/balances", KeyRule.optional), ("GET /proxy/balances", .off), ("HEAD /proxy/balances", .off),
    ("POST /proxy/balances/filter", .off), ("POST /proxy/identities/i/detokenize", .off),
  ])
  func `an admission has the rule of its route`(line: String, rule: KeyRule) throws {
    let request = Request("\(line)?instance_id=inst_a", ["Authorization: Bearer star"])
    #expect(try request.admit().keyRule == rule)
  }

  // MARK: Replies

  @Test(
    arguments: [
      (Rejection.idempotencyKeyRequired, 400, "IDEMPOTENCY_KEY_REQUIRED", nil, false),
      (.idempotencyKeyMalformed(.list), 400, "IDEMPOTENCY_KEY_MALFORMED", nil, false),
      (.idempotencyKeyReused, 422, "IDEMPOTENCY_KEY_REUSED", nil, false),
      (.idempotencyRecordDiffers, 422, "IDEMPOTENCY_RECORD_DIFFERS", nil, false),
      (.idempotencyInProgress, 409, "IDEMPOTENCY_IN_PROGRESS", 1, false),
      (.idempotencyResponseNotKept(status: 201), 409, "IDEMPOTENCY_RESPONSE_NOT_KEPT", nil, false),
      (.outcomeUnknown, 409, "OUTCOME_UNKNOWN", nil, false),
      (.journalUnavailable, 503, "JOURNAL_UNAVAILABLE", 1, true),
    ] as [(Rejection, Int, String, Int?, Bool)])
  func `each reply about a key has its status and code, and says not_sent only if nothing was`(
    rejection: Rejection, status: Int, code: String, retryAfter: Int?, saysNotSent: Bool
  ) {
    #expect(rejection.code.status == status && rejection.code.text == "GATEWAY_\(code)")
    #expect(rejection.retryAfterSeconds == retryAfter && rejection.code.retryAfterSeconds == retryAfter)
    #expect(rejection.saysNotSent == saysNotSent && rejection.code.saysNotSent == saysNotSent)
    #expect(rejection.code.breaker == .nothing && !rejection.closesConnection && !rejection.code.endsConnection)
    #expect(rejection.allow == nil && rejection.rateBudget == nil && rejection.challenge(.plain) == nil)
    for message in [rejection.message, rejection.code.message] {
      #expect(
        message.hasSuffix(".") && message.utf8.allSatisfy { (0x20...0x7e).contains($0) && $0 != 0x22 && $0 != 0x5c })
    }
  }

  @Test func `a malformed key's reply says what is wrong, and that of a lost response has its status`() {
    for fault in IdempotencyKeyFault.allCases {
      #expect(Rejection.idempotencyKeyMalformed(fault).message.contains(fault.text))
    }
    #expect(Rejection.idempotencyResponseNotKept(status: 201).message.contains("status 201"))
  }
}
