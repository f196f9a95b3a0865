import Digests
import HTTP1
import OAuth
import Testing

@testable import Policies

private let read = "GET /proxy/balances?instance_id=inst_a"
private let write = "POST /proxy/balances?instance_id=inst_a"

/// How admission ends: the rejection, or nil; also with the caches of an earlier request.
private func rejection(
  _ token: String, _ line: String = read, by policy: Policy, _ caches: inout TokenCaches,
  at now: UnixSeconds = admissionTime,
  field: String = "Authorization: Bearer ", noting trace: inout AdmissionTrace
) throws -> Rejection? {
  let request = Request(line, [field + token])
  let parser = try request.parsed()
  do throws(Rejection) {
    switch try policy.admit(parser.head, request.bytes.span, from: Caller(near), at: now, &caches, noting: &trace) {
    case .admitted: return nil
    case .pending: return .draining
    }
  } catch {
    return error
  }
}

private func rejection(
  _ token: String, _ line: String = read, by policy: Policy, _ caches: inout TokenCaches, at now: Int64 = grantTime
) throws -> Rejection? {
  var trace = AdmissionTrace()
  return try rejection(token, line, by: policy, &caches, at: UnixSeconds(now), noting: &trace)
}

/// With empty caches, and again with those that the first request left: the same answer.
private func rejection(
  _ token: String, _ line: String = read, by policy: Policy, at now: Int64 = grantTime
) throws -> Rejection? {
  var caches = TokenCaches()
  let first = try rejection(token, line, by: policy, &caches, at: now)
  let second = try rejection(token, line, by: policy, &caches, at: now)
  #expect(first == second)
  return first
}

@Suite struct SignedAdmissionTests {
  static let folder = OAuthFolder()

  @Test(
    arguments: [
      ("acme", "proxy:read", nil, Rejection.scopeInsufficient(.write)),
      ("acme", "proxy:write", .scopeInsufficient(.read), nil),
      ("acme", "proxy:read proxy:write", nil, nil), ("acme", "unknown proxy:read", nil, .scopeInsufficient(.write)),
      ("acme", "*", nil, nil), ("acme", "ledger", nil, nil),
      ("acme", "", .scopeInsufficient(.read), .scopeInsufficient(.write)),
      ("acme", "proxy:rea", .scopeInsufficient(.read), .scopeInsufficient(.write)),
      ("acme", "proxy:reads", .scopeInsufficient(.read), .scopeInsufficient(.write)),
      ("acme", "**", .scopeInsufficient(.read), .scopeInsufficient(.write)),
      // Cut to the client's own.
      ("acme2", "proxy:read proxy:write", nil, .scopeInsufficient(.write)),
      ("acme2", "*", nil, .scopeInsufficient(.write)),
      ("acme2", "ledger", nil, .scopeInsufficient(.write)), ("alias", "ledger", nil, nil),
      ("alias", "proxy:read", nil, .scopeInsufficient(.write)), ("star", "*", nil, nil),
      ("star", "proxy:read", nil, .scopeInsufficient(.write)),
      ("none", "*", .scopeInsufficient(.read), .scopeInsufficient(.write)),
    ] as [(String, String, Rejection?, Rejection?)])
  func `scopes are those of the token and of the client`(
    client: String, scope: String, reading: Rejection?, writing: Rejection?
  ) throws {
    let policy = try Self.folder.policy()
    let token = try policy.signed(client: client, scope: scope)
    #expect(try rejection(token, read, by: policy) == reading)
    #expect(try rejection(token, write, by: policy) == writing)
  }

  @Test func `notes the client and the id of the token, on a hit as on a miss`() throws {
    let policy = try Self.folder.policy()
    let token = try policy.signed(id: .sample(7))
    var caches = TokenCaches()
    for _ in 0..<2 {
      var trace = AdmissionTrace()
      #expect(try rejection(token, by: policy, &caches, noting: &trace) == nil)
      #expect(trace.tokenID == .sample(7) && trace.tokenIndex == -1)
      #expect(policy.clients[Int(trace.clientIndex)].id.text == "acme")
    }
  }

  @Test func `X-Blnk-Key takes a signed token, too`() throws {
    let policy = try Self.folder.policy()
    var caches = TokenCaches()
    var trace = AdmissionTrace()
    let token = try policy.signed()
    #expect(
      try rejection(token, by: policy, &caches, field: "X-Blnk-Key: ", noting: &trace) == nil)
  }

  @Test func `tokens in policy files remain valid, and other ones unknown`() throws {
    var folder = Self.folder
    let text = String(repeating: "file-token-", count: 9)
    folder.clients["plain"] = """
      "scopes": ["*"], "instances": ["*"], "tokens": [{"sha256": "\(digest(text))"}, {"sha256": "\(digest("short"))"}]
      """
    let policy = try folder.policy()
    #expect(try rejection(text, by: policy) == nil && rejection("short", by: policy) == nil)
    for other in ["blnk_at_", "blnk_at_x", String(repeating: "blnk_at_", count: 20), text + "x"] {
      #expect(try rejection(other, by: policy) == .tokenUnknown)
    }
  }

  private func digest(_ text: String) -> String { TokenID.digest(text) }

  @Test func `a bearer with the prefix and a wrong authentication code is unknown`() throws {
    let policy = try Self.folder.policy()
    let token = try policy.signed()
    var caches = TokenCaches()
    #expect(try rejection(token, by: policy, &caches) == nil)
    for place in token.utf8.indices.indices {
      var bytes = Array(token.utf8)
      let offset = token.utf8.distance(from: token.startIndex, to: place)
      bytes[offset] = bytes[offset] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
      // Also next to the original in the cache.
      #expect(try rejection(String(decoding: bytes, as: UTF8.self), by: policy, &caches) == .tokenUnknown)
    }
    for count in 65..<token.utf8.count {
      #expect(try rejection(String(token.prefix(count)), by: policy, &caches) == .tokenUnknown)
    }
    for extra in ["A", "AA", "AAA", "AAAA", "="] {
      #expect(try rejection(token + extra, by: policy, &caches) == .tokenUnknown)
    }
  }

  @Test(arguments: [SignedTokenKind.refresh, .code])
  func `refresh tokens and codes are not access tokens`(kind: SignedTokenKind) throws {
    let policy = try Self.folder.policy()
    let binding = CodeBinding(redirectURI: SHA256.digest(of: Array("u".utf8).span), challenge: nil)
    let token = try policy.signed(kind, code: kind == .code ? binding : nil)
    #expect(try rejection(token, by: policy) == .tokenUnknown)
    #expect(try rejection("blnk_at_" + token.dropFirst(8), by: policy) == .tokenUnknown)
  }

  @Test(
    arguments: [
      (-11, Rejection.tokenUnknown), (-10, nil), (0, nil), (3_599, nil), (3_600, .tokenExpired), (3_601, .tokenExpired),
    ] as [(Int64, Rejection?)])
  func `is valid up to its last second, and from ten seconds ahead`(offset: Int64, expected: Rejection?) throws {
    let policy = try Self.folder.policy()
    #expect(try rejection(try policy.signed(), by: policy, at: grantTime + offset) == expected)
  }

  @Test func `a cached token expires at its second`() throws {
    let policy = try Self.folder.policy()
    let token = try policy.signed(lifetime: 60)
    var caches = TokenCaches()
    #expect(try rejection(token, by: policy, &caches) == nil)
    #expect(try rejection(token, by: policy, &caches, at: grantTime + 59) == nil)
    #expect(try rejection(token, by: policy, &caches, at: grantTime + 60) == .tokenExpired)
    // The expiry of the principal is that of the token.
    var trace = AdmissionTrace()
    let request = Request(read, ["Authorization: Bearer " + token])
    let parser = try request.parsed()
    let result = try policy.authenticate(
      parser.head, request.bytes.span, from: nil, at: admissionTime, &caches, noting: &trace)
    guard case .principal(let principal) = result else { throw NoPrincipal() }
    #expect(principal.expiry == UnixSeconds(grantTime + 60) && principal.source == .signed(.sample(1)))
  }

  struct NoPrincipal: Error {}

  @Test(arguments: ["unknown", "plain", "acm", "acme3", "ACME", "acme\u{0}"])
  func `a client that gets no tokens now has none`(client: String) throws {
    let policy = try Self.folder.policy()
    #expect(try rejection(try policy.signed(client: client), by: policy) == .tokenUnknown)
  }

  @Test func `a client with a name like another one's keeps to its own rights`() throws {
    let policy = try Self.folder.policy()
    for (client, expected) in [("acme", nil), ("acme2", Rejection.scopeInsufficient(.write))] as [(String, Rejection?)]
    {
      #expect(try rejection(policy.signed(client: client, scope: "*"), write, by: policy) == expected)
    }
  }

  @Test func `a client's networks hold for its signed tokens, also on a hit`() throws {
    let policy = try Self.folder.policy()
    #expect(try rejection(try policy.signed(client: "near"), by: policy) == .networkForbidden)
  }

  /// How a token of the first policy fares under a second one.
  private func changed(_ token: String, _ line: String = read, by change: (inout OAuthFolder) -> Void) throws
    -> Rejection?
  {
    var folder = Self.folder
    change(&folder)
    let (before, after) = (try Self.folder.policy(), try folder.policy())
    var caches = TokenCaches()
    #expect(try rejection(token, by: before, &caches) == nil)
    let first = try rejection(token, line, by: after, &caches)
    #expect(try rejection(token, line, by: after, &caches) == first)
    return first
  }

  @Test func `every change of the policy holds for tokens that were issued before`() throws {
    let token = try Self.folder.policy().signed(scope: "proxy:read proxy:write", id: .sample(5), grant: .sample(6))
    let acme = #""instances": ["inst_a"], "oauth": \#(OAuthFolder.oauth("acme secret"))"#
    let whole = #""scopes": ["proxy:read", "proxy:write"], "# + acme
    #expect(try changed(token) { _ in } == nil)
    #expect(
      try changed(token, write) { $0.clients["acme"] = #""scopes": ["proxy:read"], "# + acme }
        == .scopeInsufficient(.write))
    #expect(try changed(token, write) { $0.clients["acme"] = #""scopes": ["ledger"], "# + acme } == nil)
    #expect(try changed(token) { $0.clients["acme"] = whole + #", "revoked": true"# } == .tokenRevoked)
    #expect(try changed(token) { $0.clients["acme"] = nil } == .tokenUnknown)
    #expect(try changed(token) { $0.clients["acme"] = #""scopes": ["*"], "instances": ["*"]"# } == .tokenUnknown)
    #expect(try changed(token) { $0.revoked = #""clients": ["acme"]"# } == .tokenRevoked)
    #expect(try changed(token) { $0.revoked = #""clients": ["acme2"]"# } == nil)
    #expect(try changed(token) { $0.revoked = #""token_ids": ["\#(TokenID.sample(5).hex)"]"# } == .tokenRevoked)
    #expect(try changed(token) { $0.revoked = #""token_ids": ["\#(TokenID.sample(6).hex)"]"# } == .tokenRevoked)
    #expect(try changed(token) { $0.revoked = #""token_ids": ["\#(TokenID.sample(4).hex)"]"# } == nil)
    let digest = SHA256.digest(of: Array(token.utf8).span).hex
    #expect(try changed(token) { $0.revoked = #""tokens": ["\#(digest)"]"# } == .tokenRevoked)
    #expect(try changed(token) { $0.revoked = #""tokens": ["\#(String(digest.reversed()))"]"# } == nil)
    // 2027-01-15T08:00:00Z is the time of issue.
    for (time, expected) in [
      ("2027-01-15T08:00:00Z", nil), ("2027-01-15T08:00:01Z", .tokenRevoked), ("2027-01-15T07:59:59Z", nil),
      ("2100-01-01T00:00:00Z", .tokenRevoked),
    ] as [(String, Rejection?)] {
      #expect(try changed(token) { $0.clients["acme"] = whole + #", "tokens_not_before": "\#(time)""# } == expected)
    }
    #expect(try changed(token) { $0.clients["acme"] = whole + #", "tokens_not_before": null"# } == nil)
    // Other clients' times do not matter, nor do clients that move.
    #expect(
      try changed(token) { $0.clients["acme2"] = whole + #", "tokens_not_before": "2100-01-01T00:00:00Z""# } == nil)
    #expect(try changed(token) { $0.clients["aaa"] = whole } == nil)
    #expect(try changed(token) { $0.clients["aaa"] = #""scopes": ["*"], "instances": ["*"], "revoked": true"# } == nil)
    #expect(try changed(token) { $0.aliases = #"{"ledger": ["proxy:read"]}"# } == nil)
    // Keys, issuer and audience.
    #expect(try changed(token) { $0.keys = [("k1", "KEY_1"), ("k2", "KEY_2")] } == nil)
    #expect(try changed(token) { $0.keys = [("k2", "KEY_2"), ("k1", "KEY_1")] } == nil)
    #expect(try changed(token) { $0.keys = [("k2", "KEY_2")] } == .tokenUnknown)
    #expect(try changed(token) { $0.keys = [("k2", "KEY_1")] } == .tokenUnknown)
    #expect(try changed(token) { $0.keys = [("k1", "KEY_2")] } == .tokenUnknown)
    #expect(try changed(token) { $0.issuer = "https://other.example" } == .tokenUnknown)
    #expect(try changed(token) { $0.audience = "https://core.example" } == .tokenUnknown)
    #expect(try changed(token) { $0.audience = "https://gateway.example" } == nil)
  }

  @Test func `a token of one policy is verified again under another one, in any order`() throws {
    var folder = Self.folder
    folder.clients["acme"] =
      #""scopes": ["proxy:write"], "instances": ["inst_a"], "oauth": "#
      + OAuthFolder.oauth("acme secret")
    let (reading, writing) = (try Self.folder.policy(), try folder.policy())
    folder.issuer = "https://other.example"
    var moved = reading
    moved.settings.oauth = try folder.policy().settings.oauth
    let token = try reading.signed(scope: "proxy:read")
    var caches = TokenCaches()
    // As for a request that a reload overtakes.
    for _ in 0..<2 {
      for _ in 0..<2 { #expect(try rejection(token, by: reading, &caches) == nil) }
      // A policy of which a setting was changed is another one.
      #expect(try rejection(token, by: moved, &caches) == .tokenUnknown)
      for _ in 0..<2 { #expect(try rejection(token, by: writing, &caches) == .scopeInsufficient(.read)) }
    }
  }

  @Test func `the first key signs`() throws {
    var folder = Self.folder
    folder.keys = [("k2", "KEY_2"), ("k1", "KEY_1")]
    let token = try folder.policy().signed()
    #expect(try rejection(token, by: try Self.folder.policy()) == .tokenUnknown)
    folder.keys = [("k1", "KEY_1"), ("k2", "KEY_2")]
    #expect(try rejection(token, by: try folder.policy()) == nil)
  }

  @Test func `a revocation takes effect on cached tokens`() throws {
    let policy = try Self.folder.policy()
    let tokens = try [UInt64(1), 2].map { try policy.signed(id: .sample($0), grant: .sample(10)) }
    var caches = TokenCaches()
    for token in tokens { #expect(try rejection(token, by: policy, &caches) == nil) }
    caches.signed.revoke([.sample(1)])
    #expect(try rejection(tokens[0], by: policy, &caches) == .tokenRevoked)
    #expect(try rejection(tokens[1], by: policy, &caches) == nil)
    // A policy change keeps it.
    #expect(try rejection(tokens[0], by: try Self.folder.policy(), &caches) == .tokenRevoked)
    caches.signed.revoke([.sample(10)])
    for token in tokens { #expect(try rejection(token, by: policy, &caches) == .tokenRevoked) }
    caches.signed.forgetRevoked([.sample(10)])
    #expect(try rejection(tokens[0], by: policy, &caches) == .tokenRevoked)
    #expect(try rejection(tokens[1], by: policy, &caches) == nil)
    // A revocation of another token leaves the cache as it is.
    caches.signed.revoke([.sample(20)])
    #expect(caches.signed.entry(of: Array(tokens[1].utf8).span, under: policy.identity)?.id == .sample(2))
  }

  @Test func `tokens too long for the cache are verified on each request`() throws {
    let policy = try Self.folder.policy()
    let scope = String(repeating: "x", count: 480) + " proxy:read"
    let token = try policy.signed(scope: scope)
    var caches = TokenCaches()
    for _ in 0..<2 {
      #expect(try rejection(token, by: policy, &caches) == nil)
      #expect(try rejection(token, write, by: policy, &caches) == .scopeInsufficient(.write))
    }
    #expect(caches.signed.entry(of: Array(token.utf8).span, under: policy.identity) == nil)
    caches.signed.revoke([.sample(1)])
    #expect(try rejection(token, by: policy, &caches) == .tokenRevoked)
    #expect(try rejection(token, by: policy, at: grantTime + 3_600) == .tokenExpired)
  }

  @Test func `without a token endpoint, signed tokens are unknown`() throws {
    let token = try Self.folder.policy().signed()
    #expect(try rejection(token, by: AdmitTests.policy) == .tokenUnknown)
  }

  @Test func `made-up tokens never get into the cache`() throws {
    let policy = try Self.folder.policy()
    var caches = TokenCaches()
    let token = try policy.signed()
    let bad = [
      String(token.dropLast()) + (token.hasSuffix("A") ? "E" : "A"), try policy.signed(.refresh),
      try policy.signed(client: "plain"), try policy.signed(issuedAt: grantTime - 3_600),
    ]
    for text in bad {
      #expect(try rejection(text, by: policy, &caches) != nil)
      #expect(caches.signed.entry(of: Array(text.utf8).span, under: policy.identity) == nil)
    }
  }
}
