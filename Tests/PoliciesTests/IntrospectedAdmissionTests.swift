import Digests
import HTTP1
import Testing

@testable import Policies

/// Admission of tokens that an introspection endpoint vouches for: the answer is remembered, decisions are not.
@Suite struct IntrospectedAdmissionTests {
  private struct Files {
    var corp = ""
    var scopes = #"{"ledger.read": ["proxy:read"], "ledger.write": ["proxy:write"]}"#
    var clients = #"{"by_client_id": {"svc": "app"}, "by_sub": {"alice": "alice", "app": "alice"}}"#
    var audience = #""gw""#
    var others = ""
    var app = ""
    var files: [String: String] = [:]
    var secret = "hunter2"

    func load() throws -> LoadResult {
      let members = #""scopes": ["proxy:read"], "instances": ["inst_demo"], "tokens": []"#
      var changes: [String: String?] = [
        "gateway.json": #"""
        {"introspection": {"corp": {"url": "https://a.example/introspect", "client_id": "gw",
          "client_secret": {"env": "DEMO_KEY"}, "prefixes": ["corp_"], "audience": \#(audience), "scopes": \#(scopes),
          "clients": \#(clients)\#(corp)}\#(others)}}
        """#,
        "clients.json": #"{"clients": {"app": {\#(members)\#(app)}, "alice": {\#(members)}}}"#,
      ]
      for (name, text) in files { changes[name] = text }
      var folder = FolderFiles(changes)
      folder.environment["DEMO_KEY"] = secret
      return try folder.load()
    }

    func policy() throws -> Policy {
      let result = try load()
      return try #require(result.policy, "\(result.findings)")
    }
  }

  enum Outcome: Equatable {
    case admitted(client: String)
    case rejected(Rejection)
    case pending(provider: String)
  }

  private static let read = "GET /proxy/balances?instance_id=inst_demo"
  private static let write = "POST /proxy/balances?instance_id=inst_demo"

  private static func outcome(
    _ line: String = read, token: String = "corp_abc", by policy: Policy, _ caches: inout TokenCaches,
    from peer: PeerAddress = near, at now: UnixSeconds = admissionTime
  ) throws -> Outcome {
    let request = Request(line, ["Authorization: Bearer \(token)"])
    let parser = try request.parsed()
    var trace = AdmissionTrace()
    do throws(Rejection) {
      switch try policy.admit(parser.head, request.bytes.span, from: Caller(peer), at: now, &caches, noting: &trace) {
      case .admitted(let admission):
        return .admitted(client: policy.clients[Int(admission.clientIndex)].id.text)
      case .pending(let pending):
        #expect(request.text(pending.token) == token)
        return .pending(provider: policy.introspection?.provider(pending.provider).name ?? "")
      }
    } catch {
      return .rejected(error)
    }
  }

  private static func insert(
    _ answer: String?, for token: String = "corp_abc", by policy: Policy, _ caches: inout TokenCaches,
    askedAt: UnixSeconds = admissionTime
  ) throws {
    let table = try #require(policy.introspection)
    let bytes = Array(token.utf8)
    let found = table.provider(for: bytes.span)
    let index = try #require(found)
    var result = IntrospectionResult.inactive
    if let answer { result = .active(try #require(try IntrospectionAnswer.read(Array(answer.utf8)))) }
    let standing = policy.standing(result, by: table.provider(index), at: askedAt)
    caches.introspected.insert(
      SettledIntrospection(key: table.key(of: bytes.span, askedAt: index), result, askedAt: askedAt), standing,
      at: askedAt, secondsMax: table.provider(index).cacheSeconds)
  }

  private static let good = #"{"active":true,"client_id":"svc","aud":"gw","scope":"ledger.read ledger.write"}"#

  // MARK: Who is asked

  @Test func `a token goes to the provider with the longest prefix, else to the default one, and to no other`() throws {
    let entry =
      #""url": "https://b.example/i", "client_id": "gw", "client_secret": {"env": "DEMO_KEY"}, "#
      + #""audience": null, "scopes": {"a": ["proxy:read"]}, "clients": {"by_sub": {"bob": "app"}}"#
    var files = Files()
    files.others = #", "long": {\#(entry), "prefixes": ["corp_long_"]}, "rest": {\#(entry), "default": true}"#
    let policy = try files.policy()
    var caches = TokenCaches()
    #expect(try Self.outcome(token: "corp_abc", by: policy, &caches) == .pending(provider: "corp"))
    #expect(try Self.outcome(token: "corp_long_abc", by: policy, &caches) == .pending(provider: "long"))
    #expect(try Self.outcome(token: "corp", by: policy, &caches) == .pending(provider: "rest"))
    #expect(try Self.outcome(token: "Corp_abc", by: policy, &caches) == .pending(provider: "rest"))
    let withoutDefault = try Files().policy()
    #expect(try Self.outcome(token: "other", by: withoutDefault, &caches) == .rejected(.tokenUnknown))
    // An answer of one provider is none of another.
    try Self.insert(Self.good, for: "corp_abc", by: policy, &caches)
    files.others = ""
    files.corp = #", "default": true"#
    #expect(try Self.outcome(token: "corp_abc", by: try files.policy(), &caches) == .admitted(client: "app"))
    files.others = #", "long": {\#(entry), "prefixes": ["corp_a"]}"#
    #expect(try Self.outcome(token: "corp_abc", by: try files.policy(), &caches) == .pending(provider: "long"))
  }

  @Test(arguments: [
    "blnk_at_unknown", "blnk_rt_x", "blnk_ac_x", "blnk_cs_x", "blnk_at_" + String(repeating: "A", count: 120),
  ])
  func `the gateway's own tokens and client secrets, also forged and unknown ones, are sent to no one`(token: String)
    throws
  {
    var files = Files()
    files.corp = #", "default": true"#
    var caches = TokenCaches()
    #expect(try Self.outcome(token: token, by: try files.policy(), &caches) == .rejected(.tokenUnknown))
  }

  @Test func `malformed, very long and file tokens are sent to no one`() throws {
    var files = Files()
    files.corp = #", "default": true"#
    let digest = SHA256.digest(of: Array("corp_file".utf8).span).hex
    files.files["clients.json"] = #"""
      {"clients": {"app": {"scopes": ["proxy:read"], "instances": ["inst_demo"], "tokens": [{"sha256": "\#(digest)"}]},
       "alice": {"scopes": [], "instances": [], "tokens": []}}}
      """#
    let policy = try files.policy()
    var caches = TokenCaches()
    #expect(try Self.outcome(token: "corp_file", by: policy, &caches) == .admitted(client: "app"))
    #expect(try Self.outcome(token: "corp_*", by: policy, &caches) == .rejected(.authorizationMalformed))
    let long = "corp_" + String(repeating: "a", count: 9_000)
    #expect(try Self.outcome(token: long, by: policy, &caches) == .rejected(.tokenUnknown))
    files.files["revoked.json"] =
      #"{"revoked": {"tokens": ["\#(SHA256.digest(of: Array("corp_abc".utf8).span).hex)"], "clients": []}}"#
    #expect(try Self.outcome(by: try files.policy(), &caches) == .rejected(.tokenRevoked))
  }

  // MARK: What an answer allows

  @Test(arguments: [
    (#""client_id":"svc""#, Outcome.admitted(client: "app")), (#""sub":"alice""#, .admitted(client: "alice")),
    (#""client_id":"web","sub":"alice""#, .admitted(client: "alice")),
    (#""client_id":"svc","sub":"bob""#, .admitted(client: "app")),
    // A user named like a client of the server, and a server's client named like a user.
    (#""client_id":"web","sub":"svc""#, .rejected(.tokenUnknown)),
    (#""client_id":"alice","sub":"bob""#, .rejected(.tokenUnknown)),
    (#""client_id":"alice","sub":"alice""#, .rejected(.tokenUnknown)),
    (#""client_id":"svc","sub":"alice""#, .rejected(.tokenUnknown)),
    (#""client_id":"app""#, .rejected(.tokenUnknown)), (#""username":"alice""#, .rejected(.tokenUnknown)),
    (#""client_id":"SVC""#, .rejected(.tokenUnknown)),
  ])
  func `client_id and sub name clients by a map each`(members: String, outcome: Outcome) throws {
    let policy = try Files().policy()
    var caches = TokenCaches()
    try Self.insert(#"{"active":true,"aud":"gw","scope":"ledger.read",\#(members)}"#, by: policy, &caches)
    #expect(try Self.outcome(by: policy, &caches) == outcome)
  }

  @Test func `scopes are mapped, and cut to those of the client`() throws {
    var files = Files()
    let policy = try files.policy()
    var caches = TokenCaches()
    for (scope, isAllowed) in [("ledger.read", true), ("proxy:read", false), ("", false), ("x ledger.read y", true)] {
      try Self.insert(#"{"active":true,"aud":"gw","client_id":"svc","scope":"\#(scope)"}"#, by: policy, &caches)
      let expected: Outcome = isAllowed ? .admitted(client: "app") : .rejected(.scopeInsufficient(.read))
      #expect(try Self.outcome(by: policy, &caches) == expected, "\(scope)")
    }
    // The server grants what the client does not have.
    files.corp = #", "cache_write_s": 10"#
    try Self.insert(Self.good, by: policy, &caches)
    #expect(
      try Self.outcome(Self.write, by: try files.policy(), &caches) == .rejected(.scopeInsufficient(.write)))
  }

  /// U+212A (KELVIN SIGN) equals K to `String`, and a decomposed é a composed one; to the server they are other names.
  @Test(arguments: [
    (#""sub":"Kim""#, true), (#""sub":"\u212aim""#, false), (#""sub":"\u{212a}im""#, false), (#""sub":"kim""#, false),
    (#""sub":"Jos\u00e9""#, true), (#""sub":"Jos\u{e9}""#, true), (#""sub":"Jose\u0301""#, false),
    (#""client_id":"KeyApp""#, true), (#""client_id":"\u212aeyApp""#, false),
    (#""sub":"Kim","aud":"\u212anox""#, false), (#""sub":"Kim","iss":"\u212a""#, false),
    (#""sub":"Kim","scope":"\u212a.read""#, false),
    // As text they would be equal, and the user counted as the server's client itself.
    (#""client_id":"\u212aim","sub":"Kim""#, true),
    (#""sub":"Kim","token_type":"to\u212aen""#, false), (#""sub":"Kim","typ":"access_to\u212aen""#, false),
  ])
  func `names are compared byte by byte, not by Unicode equivalence`(members: String, isAdmitted: Bool) throws {
    var files = Files()
    files.audience = #""Knox""#
    files.scopes = #"{"K.read": ["proxy:read"]}"#
    files.clients = #"{"by_client_id": {"KeyApp": "app"}, "by_sub": {"Kim": "alice", "Jos\u00e9": "alice"}}"#
    files.corp = #", "issuer": "K""#
    let policy = try files.policy()
    var caches = TokenCaches()
    var members = members.replacing("\\u{212a}", with: "\u{212a}").replacing("\\u{e9}", with: "\u{e9}")
    for (key, value) in [("aud", "Knox"), ("iss", "K"), ("scope", "K.read")] where !members.contains("\"\(key)\"") {
      members += #","\#(key)":"\#(value)""#
    }
    try Self.insert("{\"active\":true,\(members)}", by: policy, &caches)
    let outcome = try Self.outcome(by: policy, &caches)
    if case .admitted = outcome {
      #expect(isAdmitted, "\(members)")
    } else {
      #expect(!isAdmitted, "\(members): \(outcome)")
    }
  }

  // MARK: Tokens that are active and not a client's

  @Test func `an active token of no client is refused for 10 s without another question, and admitted by none`() throws
  {
    var files = Files()
    let foreign = #"{"active":true,"client_id":"other-app","aud":"gw","scope":"ledger.read"}"#
    let policy = try files.policy()
    var caches = TokenCaches()
    try Self.insert(foreign, by: policy, &caches)
    for line in [Self.read, Self.write] {
      #expect(try Self.outcome(line, by: policy, &caches) == .rejected(.tokenUnknown))
      #expect(caches.introspected.refusal == .unknownClient)
    }
    let later = UnixSeconds(admissionTime.rawValue + 10)
    #expect(try Self.outcome(by: policy, &caches, at: later) == .pending(provider: "corp"))
    // A policy that maps it since then asks: the answer was kept to refuse, and for no `cache_s`.
    files.clients = #"{"by_client_id": {"other-app": "app"}}"#
    #expect(try Self.outcome(by: try files.policy(), &caches) == .pending(provider: "corp"))
  }

  @Test func `an answer is judged by the policy in force, whatever is requested`() throws {
    var files = Files()
    func standing(_ answer: String?) throws -> TokenStanding {
      let provider = try #require(try Files().policy().introspection).provider(0)
      var result = IntrospectionResult.inactive
      if let answer { result = .active(try #require(try IntrospectionAnswer.read(Array(answer.utf8)))) }
      return try files.policy().standing(result, by: provider, at: admissionTime)
    }
    #expect(try standing(Self.good) == .admitted)
    #expect(try standing(#"{"active":true,"client_id":"svc","aud":"gw"}"#) == .admitted)
    #expect(try standing(nil) == .refused)
    #expect(try standing(#"{"active":true,"client_id":"x","aud":"gw"}"#) == .refused)
    #expect(try standing(#"{"active":true,"client_id":"svc","aud":"x"}"#) == .refused)
    #expect(try standing(#"{"active":true,"client_id":"svc","aud":"gw","exp":1800000000}"#) == .refused)
    // A thief elsewhere must not make the token unknown.
    files.app = #", "networks": ["192.0.2.0/24"]"#
    #expect(try standing(Self.good) == .admitted)
    files.app = #", "revoked": true"#
    #expect(try standing(Self.good) == .refused)
    files = Files()
    files.secret = "changed"
    #expect(try standing(Self.good) == .unknown)
    let fault = try Files().policy().standing(
      .unavailable(reason: ""), by: try #require(try Files().policy().introspection).provider(0),
      at: admissionTime)
    #expect(fault == .unknown)
  }

  @Test func `why one token was refused is not said about another`() throws {
    let policy = try Files().policy()
    var caches = TokenCaches()
    try Self.insert(#"{"active":true,"client_id":"svc","aud":"x"}"#, by: policy, &caches)
    #expect(try Self.outcome(by: policy, &caches) == .rejected(.tokenUnknown))
    #expect(caches.introspected.refusal == .wrongAudience)
    // No server is asked about this one.
    #expect(try Self.outcome(token: "other", by: policy, &caches) == .rejected(.tokenUnknown))
    #expect(caches.introspected.refusal == nil && caches.introspected.used == nil)
  }

  // MARK: What is decided on every request

  @Test func `a remembered answer is judged again by each policy and at each time`() throws {
    var files = Files()
    let policy = try files.policy()
    var caches = TokenCaches()
    let answer =
      #"{"active":true,"client_id":"svc","aud":"gw","iss":"i","scope":"ledger.read","iat":1799999000,"exp":1800000005}"#
    try Self.insert(answer, by: policy, &caches)
    #expect(try Self.outcome(by: policy, &caches) == .admitted(client: "app"))
    #expect(
      try Self.outcome(by: policy, &caches, at: UnixSeconds(1_800_000_005)) == .rejected(.tokenExpired))
    #expect(
      try Self.outcome("GET /proxy/balances?instance_id=inst_second", by: policy, &caches)
        == .rejected(.instanceForbidden))
    let changes: [(String, Rejection, (inout Files) -> Void)] = [
      ("audience", .tokenUnknown, { $0.audience = #""another""# }),
      ("issuer", .tokenUnknown, { $0.corp = #", "issuer": "j""# }),
      ("map", .tokenUnknown, { $0.clients = #"{"by_sub": {"alice": "alice"}}"# }),
      ("scopes", .scopeInsufficient(.read), { $0.scopes = #"{"other": ["proxy:read"]}"# }),
      ("revoked client", .tokenRevoked, { $0.app = #", "revoked": true"# }),
      ("networks", .networkForbidden, { $0.app = #", "networks": ["192.0.2.0/24"]"# }),
      ("tokens_not_before", .tokenRevoked, { $0.app = #", "tokens_not_before": "2027-01-15T08:00:00Z""# }),
      (
        "revoked.json", .tokenRevoked,
        { $0.files["revoked.json"] = #"{"revoked": {"tokens": [], "clients": ["app"]}}"# }
      ),
    ]
    for (what, rejection, change) in changes {
      files = Files()
      change(&files)
      #expect(try Self.outcome(by: try files.policy(), &caches) == .rejected(rejection), "\(what)")
    }
    // A token without iat may be older than tokens_not_before.
    files = Files()
    files.app = #", "tokens_not_before": "2000-01-01T00:00:00Z""#
    #expect(try Self.outcome(by: try files.policy(), &caches) == .admitted(client: "app"))
    try Self.insert(Self.good, by: policy, &caches)
    #expect(try Self.outcome(by: try files.policy(), &caches) == .rejected(.tokenRevoked))
  }

  @Test func `a changed definition of the provider makes its answers unknown`() throws {
    var files = Files()
    var caches = TokenCaches()
    try Self.insert(Self.good, by: try files.policy(), &caches)
    #expect(try Self.outcome(by: try files.policy(), &caches) == .admitted(client: "app"))
    files.secret = "changed"
    #expect(try Self.outcome(by: try files.policy(), &caches) == .pending(provider: "corp"))
  }

  @Test func `a write asks again unless cache_write_s allows otherwise`() throws {
    var files = Files()
    files.files["clients.json"] = #"""
      {"clients": {"app": {"scopes": ["*"], "instances": ["*"], "tokens": []},
       "alice": {"scopes": [], "instances": [], "tokens": []}}}
      """#
    let policy = try files.policy()
    var caches = TokenCaches()
    try Self.insert(Self.good, by: policy, &caches)
    #expect(try Self.outcome(by: policy, &caches) == .admitted(client: "app"))
    #expect(try Self.outcome(Self.write, by: policy, &caches) == .pending(provider: "corp"))
    files.corp = #", "cache_write_s": 2"#
    let patient = try files.policy()
    #expect(try Self.outcome(Self.write, by: patient, &caches) == .admitted(client: "app"))
    #expect(
      try Self.outcome(Self.write, by: patient, &caches, at: UnixSeconds(admissionTime.rawValue + 2))
        == .pending(provider: "corp"))
    // Neither a GET of a write's path nor a path without a route is a write.
    #expect(
      try Self.outcome("GET /proxy/balances/b?instance_id=inst_demo", by: policy, &caches) == .admitted(client: "app"))
    #expect(
      try Self.outcome("POST /proxy/nowhere?instance_id=inst_demo", by: policy, &caches) == .rejected(.routeUnknown))
    try Self.insert(nil, by: policy, &caches)
    #expect(try Self.outcome(Self.write, by: policy, &caches) == .rejected(.tokenUnknown))
    #expect(try Self.outcome(by: policy, &caches) == .rejected(.tokenUnknown))
  }

  @Test func `admission before the first byte uses the answer that admitted, under the policy of that moment`() throws {
    var files = Files()
    files.corp = #", "cache_s": 0"#
    let policy = try files.policy()
    let request = Request(Self.read, ["Authorization: Bearer corp_abc"])
    let parser = try request.parsed()
    var caches = TokenCaches()
    var trace = AdmissionTrace()
    let table = try #require(policy.introspection)
    let answer = try #require(
      try IntrospectionAnswer.read(
        Array(#"{"active":true,"client_id":"svc","aud":"gw","scope":"ledger.read","exp":1800000005}"#.utf8)))
    let key = table.key(of: Array("corp_abc".utf8).span, askedAt: 0)
    caches.introspected.held = SettledIntrospection(key: key, .active(answer), askedAt: admissionTime)
    let decision = try policy.admit(
      parser.head, request.bytes.span, from: Caller(near), at: admissionTime, &caches, noting: &trace)
    guard case .admitted(let admission) = decision else {
      Issue.record("not admitted")
      return
    }
    #expect(caches.introspected.used?.key == key)
    func readmission(_ current: Policy, at now: UnixSeconds = admissionTime) -> Rejection? {
      do throws(Rejection) {
        _ = try current.readmit(
          parser.head, request.bytes.span, from: Caller(near), at: now, &caches, sameAs: admission, by: policy)
        return nil
      } catch {
        return error
      }
    }
    #expect(readmission(try files.policy(), at: UnixSeconds(1_800_000_004)) == nil)
    #expect(readmission(try files.policy(), at: UnixSeconds(1_800_000_005)) == .tokenExpired)
    files.app = #", "revoked": true"#
    #expect(readmission(try files.policy()) == .tokenRevoked)
    files.app = ""
    files.audience = #""another""#
    #expect(readmission(try files.policy()) == .tokenUnknown)
    // The same client name by way of another server: the answer is not that server's.
    files = Files()
    files.secret = "changed"
    #expect(readmission(try files.policy()) == .introspectionUnavailable)
    caches.introspected.held = nil
    #expect(readmission(policy) == .introspectionUnavailable)
  }

  // MARK: The file

  @Test(arguments: [
    (#", "url": "x""#, "repeated key"), (#", "x": 1"#, "unknown key"), (#", "cache_s": 301"#, "must be 0 to 300"),
    (#", "cache_write_s": 11"#, "must be at most \"cache_s\" (10)"), (#", "timeout_s": 5"#, "must be 0.1 to 4.5"),
    (#", "tls": {"ca_file": "missing.pem"}"#, "does not exist"), (#", "tls": {"cert_file": "x"}"#, "unknown key"),
  ])
  func `rejects`(members: String, message: String) throws {
    var files = Files()
    files.corp = members
    let findings = try files.load().findings
    #expect(findings.contains { $0.severity == .error && $0.message.contains(message) }, "\(findings)")
  }

  @Test(arguments: [
    ("http://a.example/i", true), ("http://10.0.0.1/i", true), ("http://127.0.0.1:1/i", false),
    ("http://[::1]:1/i", false), ("http://localhost/i", false), ("http://localhost.example/i", true),
    ("https://10.0.0.1/i", false), ("https://u:p@a.example/i", true), ("ftp://a.example", true),
  ])
  func `requires https except to a loopback address`(url: String, isRejected: Bool) throws {
    let files = FolderFiles([
      "gateway.json": #"""
      {"introspection": {"corp": {"url": "\#(url)", "client_id": "gw", "client_secret": {"env": "DEMO_KEY"},
        "default": true, "audience": null, "scopes": {"a": ["proxy:read"]}, "clients": {"by_sub": {"a": "demo"}}}}}
      """#
    ])
    let errors = try files.load().findings.filter { $0.severity == .error }
    #expect(!errors.isEmpty == isRejected, "\(errors)")
  }

  @Test func `reports providers that overlap, and names that do not exist`() throws {
    let entry =
      #""url": "https://b.example/i", "client_id": "gw", "client_secret": {"env": "DEMO_KEY"}, "#
      + #""audience": null, "scopes": {"a": ["proxy:red"]}, "clients": {"by_sub": {"bob": "bob"}}"#
    var files = Files()
    files.others = #", "same": {\#(entry), "prefixes": ["corp_"]}, "none": {\#(entry)}"#
    var texts = try files.load().findings.map(\.description)
    #expect(texts.contains { $0.contains("\"corp_\" is also one of corp") }, "\(texts)")
    #expect(texts.contains { $0.contains("needs \"prefixes\" of its tokens, or \"default\": true") })
    files.others = #", "own": {\#(entry), "prefixes": ["blnk_at_"]}"#
    texts = try files.load().findings.map(\.description)
    #expect(texts.contains { $0.contains("are the gateway's own") })
    files.corp = #", "default": true"#
    files.others = #", "rest": {\#(entry), "default": true}"#
    texts = try files.load().findings.map(\.description)
    #expect(texts.contains { $0.contains("\"default\" is also true for corp") })
    files.corp = ""
    texts = try files.load().findings.map(\.description)
    #expect(
      texts.contains { $0.contains("warning: introspection.rest.clients.by_sub.bob: there is no client \"bob\"") })
    #expect(texts.contains { $0.contains("no route has the scope \"proxy:red\" (did you mean \"proxy:read\"?)") })
    #expect(texts.contains { $0.contains("note: introspection.rest.audience: every active token") })
  }

  @Test func `check says what Keycloak needs`() throws {
    var files = Files()
    let url = #"https://kc.example/realms/r/protocol/openid-connect/token/introspect"#
    files.others = #"""
      , "kc": {"url": "\#(url)", "client_id": "gw", "client_secret": {"env": "DEMO_KEY"}, "default": true,
        "audience": "gw", "scopes": {"a": ["proxy:read"]}, "clients": {"by_sub": {"a": "app"}}}
      """#
    let texts = try files.load().findings.map(\.description)
    #expect(texts.contains { $0.contains("note: introspection.kc.url: Keycloak 26.6.2 and later") }, "\(texts)")
  }
}
