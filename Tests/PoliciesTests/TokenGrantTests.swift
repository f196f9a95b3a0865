import Digests
import Foundation
import OAuth
import TestValues
import Testing

@testable import Policies

private let verifierText = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
private let redirectURI = "https://app.example/callback"

private func credentials(_ client: String, _ secret: String) throws -> ClientCredentials {
  let form = try FormBody(Array("client_id=\(client)&client_secret=\(secret)".utf8).span)
  return try ClientCredentials(authorization: nil, form: form)
}

private func fault<Value>(_ body: () throws -> Value) -> OAuthError? {
  do {
    _ = try body()
    return nil
  } catch {
    return error as? OAuthError
  }
}

@Suite struct TokenGrantTests {
  let folder = OAuthFolder()
  let memory = SampleMemory()

  private func grant(
    _ request: TokenRequest, to client: String = "acme", at now: Int64 = grantTime, by policy: Policy
  ) throws -> TokenGrant {
    let index = try #require(policy.oauthClientIndex(client))
    return try policy.grant(request, to: index, at: UnixSeconds(now), memory: memory)
  }

  /// What a granted access token holds.
  private func claims(
    _ text: String, _ kind: SignedTokenKind = .access, by policy: Policy
  ) throws -> (client: String, scope: String, id: TokenID, grant: TokenID, issuedAt: Int64, expiresAt: Int64) {
    let authority = try #require(policy.settings.oauth).authority
    let token = try authority.verify(Array(text.utf8).span, as: kind, at: grantTime)
    return (token.client, token.scope, token.id, token.grant, token.issuedAt, token.expiresAt)
  }

  // MARK: Authentication

  @Test func `authenticates a client by its secret`() throws {
    let policy = try folder.policy()
    let index = try policy.authenticate(try credentials("acme", "acme+secret"), from: Caller(near), at: admissionTime)
    #expect(policy.clients[Int(index)].id.text == "acme")
  }

  @Test func `the answer is the same whatever is wrong`() throws {
    var folder = folder
    let expired = OAuthFolder.oauth("old", #", "expires": "2027-01-15T08:00:00Z""#)
    folder.clients["old"] = #""scopes": ["*"], "instances": ["*"], "oauth": \#(expired)"#
    folder.clients["gone"] =
      #""scopes": ["*"], "instances": ["*"], "revoked": true, "oauth": \#(OAuthFolder.oauth("s"))"#
    folder.clients["listed"] = #""scopes": ["*"], "instances": ["*"], "oauth": \#(OAuthFolder.oauth("s"))"#
    folder.clients["empty"] = #""scopes": ["*"], "instances": ["*"], "oauth": {"secrets": []}"#
    folder.revoked = #""clients": ["listed"]"#
    let policy = try folder.policy()
    let expected = OAuthError(.invalidClient, "Client authentication failed.")
    for (client, secret) in [
      ("acme", "wrong"), ("acme", "acme2+secret"), ("unknown", "acme+secret"), ("ACME", "acme+secret"),
      ("acme2", "acme+secret"),
      ("plain", "x"), ("near", "near+secret"), ("old", "old"), ("gone", "s"), ("listed", "s"), ("empty", "x"),
      ("acme%20", "acme+secret"), (String(repeating: "a", count: 65), "x"), ("%E2%84%AA", "x"),
    ] {
      #expect(
        fault { try policy.authenticate(try credentials(client, secret), from: Caller(near), at: admissionTime) }
          == expected,
        "\(client)")
    }
    // The same ones where they may call from, and before they expire.
    let home = Caller(.ip(IPAddress(ipv4: 0xc000_0205)))
    _ = try policy.authenticate(try credentials("near", "near+secret"), from: home, at: admissionTime)
    _ = try policy.authenticate(try credentials("old", "old"), from: home, at: UnixSeconds(grantTime - 1))
  }

  @Test func `each of several secrets is accepted until it expires`() throws {
    var folder = folder
    let secrets = ["one", "two", "three"].map {
      #"{"sha256": "\#(TokenID.digest($0))", "expires": null, "note": "\#($0)"}"#
    }
    folder.clients["acme"] = """
      "scopes": ["*"], "instances": ["*"], "oauth": {"secrets": [\(secrets.joined(separator: ","))]}
      """
    let policy = try folder.policy()
    for secret in ["one", "two", "three"] {
      _ = try policy.authenticate(try credentials("acme", secret), from: Caller(near), at: admissionTime)
    }
  }

  // MARK: Client credentials

  @Test(
    arguments: [
      ("acme", nil, "proxy:read proxy:write"), ("acme", "proxy:read", "proxy:read"),
      ("acme", "proxy:write other proxy:read", "proxy:write proxy:read"), ("acme", "other", nil),
      ("acme", "proxy:rea", nil),
      ("acme2", "proxy:read proxy:write", "proxy:read"), ("acme2", "proxy:write", nil), ("alias", nil, "ledger"),
      ("alias", "ledger", "ledger"), ("none", nil, nil), ("none", "proxy:read", nil), ("none", "*", nil),
      ("star", nil, "*"),
      ("star", "*", "*"), ("star", "proxy:read unknown ledger", "proxy:read ledger"), ("star", "unknown", nil),
      // All that it has.
      ("acme", "*", "proxy:read proxy:write"), ("acme2", "* proxy:write", "proxy:read"), ("alias", "*", "ledger"),
    ] as [(String, String?, String?)])
  func `grants the requested scopes that the client has`(client: String, requested: String?, granted: String?) throws {
    let policy = try folder.policy()
    let scope = try requested.map { try #require(ScopeText($0)) }
    guard let granted else {
      #expect(fault { try grant(.clientCredentials(scope: scope), to: client, by: policy) }?.code == .invalidScope)
      return
    }
    let result = try grant(.clientCredentials(scope: scope), to: client, by: policy)
    let token = try claims(result.accessToken, by: policy)
    #expect(result.scope == granted && token.scope == granted && token.client == client && result.client == client)
    // RFC 6749 §4.4.3.
    #expect(result.refreshToken == nil && result.kind == .clientCredentials)
    #expect(token.id == result.accessTokenID && token.grant == result.grant)
    #expect(token.issuedAt == grantTime && token.expiresAt == grantTime + 3_600 && result.expiresIn == 3_600)
  }

  @Test func `without a code, the grant of a token is the token`() throws {
    let policy = try folder.policy()
    let first = try grant(.clientCredentials(scope: nil), by: policy)
    let second = try grant(.clientCredentials(scope: nil), by: policy)
    #expect(first.grant == first.accessTokenID && second.grant == second.accessTokenID)
    #expect(first.accessTokenID != second.accessTokenID)
  }

  @Test func `a scope that the file repeats is granted once`() throws {
    var folder = folder
    folder.clients["acme2"] = """
      "scopes": ["proxy:read", "proxy:read"], "instances": ["*"], "oauth": \(OAuthFolder.oauth("s"))
      """
    #expect(try grant(.clientCredentials(scope: nil), to: "acme2", by: folder.policy()).scope == "proxy:read")
  }

  @Test func `the lifetimes are those of the settings`() throws {
    var folder = folder
    folder.settings = #", "access_token_s": 60, "refresh_token_s": 7200"#
    let policy = try folder.policy()
    let result = try grant(.clientCredentials(scope: nil), by: policy)
    #expect(try result.expiresIn == 60 && claims(result.accessToken, by: policy).expiresAt == grantTime + 60)
    let refresh = try redeem(try code(by: policy), by: policy).refreshToken
    #expect(try claims(try #require(refresh), .refresh, by: policy).expiresAt == grantTime + 7_200)
  }

  @Test func `refuses more scopes than a token holds`() throws {
    var folder = folder
    let names = (0..<60).map { "alias-number-\($0)" }
    folder.aliases = "{" + names.map { #""\#($0)": ["proxy:read"]"# }.joined(separator: ", ") + "}"
    let list = names.map { "\"\($0)\"" }.joined(separator: ", ")
    folder.clients["acme"] = #""scopes": [\#(list)], "instances": ["*"], "oauth": \#(OAuthFolder.oauth("s"))"#
    folder.clients["alias"] = nil
    let policy = try folder.policy()
    #expect(fault { try grant(.clientCredentials(scope: nil), by: policy) }?.code == .invalidScope)
    let some = ScopeText(names.prefix(30).joined(separator: " "))
    #expect(try grant(.clientCredentials(scope: some), by: policy).scope == names.prefix(30).joined(separator: " "))
  }

  @Test func `the response is that of RFC 6749`() throws {
    let policy = try folder.policy()
    let result = try grant(.clientCredentials(scope: nil), by: policy)
    let body = try #require(try JSONSerialization.jsonObject(with: Data(result.body.utf8)) as? [String: Any])
    #expect(Set(body.keys) == ["access_token", "token_type", "expires_in", "scope"])
    #expect(body["token_type"] as? String == "Bearer" && body["expires_in"] as? Int == 3_600)
    #expect(body["access_token"] as? String == result.accessToken && body["scope"] as? String == result.scope)
    let redeemed = try redeem(try code(by: policy), by: policy)
    let second = try #require(try JSONSerialization.jsonObject(with: Data(redeemed.body.utf8)) as? [String: Any])
    #expect(second["refresh_token"] as? String == redeemed.refreshToken && second.count == 5)
  }

  // MARK: Codes

  private func code(
    _ client: String = "acme", scope: String = "proxy:read", id: TokenID = .sample(20), issuedAt: Int64 = grantTime,
    challenged: Bool = true, by policy: Policy
  ) throws -> String {
    let binding = CodeBinding(
      redirectURI: SHA256.digest(of: Array(redirectURI.utf8).span),
      challenge: challenged ? CodeVerifier(verifierText)?.challenge : nil)
    return try policy.signed(
      .code, client: client, scope: scope, id: id, grant: id, issuedAt: issuedAt, lifetime: OAuthSettings.codeSeconds,
      code: binding)
  }

  private func redeem(
    _ code: String, to client: String = "acme", uri: String = redirectURI, verifier: String? = verifierText,
    at now: Int64 = grantTime, by policy: Policy
  ) throws -> TokenGrant {
    let request = TokenRequest.authorizationCode(
      code: code, redirectURI: uri, verifier: try verifier.map { try #require(CodeVerifier($0)) })
    return try grant(request, to: client, at: now, by: policy)
  }

  @Test func `a code gives an access and a refresh token of one grant`() throws {
    let policy = try folder.policy()
    let result = try redeem(try code(by: policy), by: policy)
    let access = try claims(result.accessToken, by: policy)
    let refresh = try claims(try #require(result.refreshToken), .refresh, by: policy)
    #expect(result.kind == .authorizationCode && result.grant == .sample(20) && result.scope == "proxy:read")
    #expect(access.grant == .sample(20) && refresh.grant == .sample(20) && access.id != refresh.id)
    #expect(access.scope == "proxy:read" && refresh.scope == "proxy:read" && refresh.client == "acme")
    #expect(access.expiresAt == grantTime + 3_600 && refresh.expiresAt == grantTime + 2_592_000)
    // Without PKCE.
    let plain = try code(id: .sample(21), challenged: false, by: policy)
    #expect(try redeem(plain, verifier: nil, by: policy).grant == .sample(21))
  }

  @Test func `a code is bound to client, redirect URI and challenge`() throws {
    let policy = try folder.policy()
    let text = try code(by: policy)
    let other = String(repeating: "a", count: 43)
    #expect(fault { try redeem(text, to: "acme2", by: policy) }?.code == .invalidGrant)
    #expect(fault { try redeem(text, to: "star", by: policy) }?.code == .invalidGrant)
    #expect(fault { try redeem(text, uri: redirectURI + "/", by: policy) }?.code == .invalidGrant)
    #expect(fault { try redeem(text, verifier: other, by: policy) }?.code == .invalidGrant)
    #expect(fault { try redeem(text, verifier: nil, by: policy) }?.code == .invalidGrant)
    let plain = try code(challenged: false, by: policy)
    #expect(fault { try redeem(plain, verifier: verifierText, by: policy) }?.code == .invalidGrant)
    // None of these attempts used it up.
    _ = try redeem(text, by: policy)
  }

  @Test func `a code can be used once, and a second use revokes what it gave`() throws {
    let policy = try folder.policy()
    let text = try code(by: policy)
    let first = try redeem(text, by: policy)
    let refresh = try #require(first.refreshToken)
    _ = try grant(.refreshToken(token: refresh, scope: nil), by: policy)
    #expect(!memory.isRevoked(.sample(20)))
    let second = fault { try redeem(text, by: policy) }
    #expect(second == .codeUsed(.sample(20)) && second?.code == .invalidGrant && second?.usedCode == .sample(20))
    #expect(memory.isRevoked(.sample(20)))
    #expect(fault { try grant(.refreshToken(token: refresh, scope: nil), by: policy) }?.code == .invalidGrant)
    #expect(fault { try redeem(text, by: policy) }?.code == .invalidGrant)
  }

  @Test func `a code is refused after a minute, from the future, and while the memory is down`() throws {
    let policy = try folder.policy()
    let text = try code(by: policy)
    #expect(fault { try redeem(text, at: grantTime + 60, by: policy) }?.code == .invalidGrant)
    #expect(fault { try redeem(text, at: grantTime - 11, by: policy) }?.code == .invalidGrant)
    memory.fail()
    #expect(fault { try redeem(text, by: policy) }?.code == .temporarilyUnavailable)
  }

  @Test(arguments: ["", "blnk_ac_", "blnk_ac_x", "x", "blnk_ac_" + String(repeating: "A", count: 200)])
  func `other texts are neither codes nor refresh tokens`(text: String) throws {
    let policy = try folder.policy()
    #expect(fault { try redeem(text, by: policy) }?.code == .invalidGrant)
    #expect(fault { try grant(.refreshToken(token: text, scope: nil), by: policy) }?.code == .invalidGrant)
  }

  @Test func `each kind of token is good for its own request only`() throws {
    let policy = try folder.policy()
    let (access, refresh) = (try policy.signed(), try policy.signed(.refresh))
    let code = try code(by: policy)
    for text in [access, refresh] { #expect(fault { try redeem(text, by: policy) }?.code == .invalidGrant) }
    for text in [access, code] {
      #expect(fault { try grant(.refreshToken(token: text, scope: nil), by: policy) }?.code == .invalidGrant)
    }
  }

  @Test func `a code gives the scopes that its client still has`() throws {
    let policy = try folder.policy()
    let both = try code("acme2", scope: "proxy:read proxy:write", by: policy)
    #expect(try redeem(both, to: "acme2", by: policy).scope == "proxy:read")
    let none = try code("acme2", scope: "proxy:write", id: .sample(30), by: policy)
    #expect(fault { try redeem(none, to: "acme2", by: policy) }?.code == .invalidScope)
    // Not used up.
    #expect(try memory.redeem(.sample(30), issuedAt: 0, expiresAt: 0))
  }

  // MARK: Refresh tokens

  private func refresh(
    _ token: String, scope: String? = nil, to client: String = "acme", at now: Int64 = grantTime, by policy: Policy
  ) throws -> TokenGrant {
    try grant(
      .refreshToken(token: token, scope: try scope.map { try #require(ScopeText($0)) }), to: client, at: now, by: policy
    )
  }

  @Test func `the refresh token stays the same`() throws {
    let policy = try folder.policy()
    let token = try policy.signed(.refresh, scope: "proxy:read proxy:write", lifetime: 2_592_000)
    var ids: Set<TokenID> = []
    for _ in 0..<3 {
      let result = try refresh(token, by: policy)
      #expect(result.refreshToken == token && result.kind == .refreshToken && result.grant == .sample(2))
      let access = try claims(result.accessToken, by: policy)
      #expect(access.grant == .sample(2) && access.scope == "proxy:read proxy:write")
      #expect(ids.insert(access.id).inserted)
    }
    #expect(try refresh(token, at: grantTime + 2_591_999, by: policy).refreshToken == token)
    #expect(fault { try refresh(token, at: grantTime + 2_592_000, by: policy) }?.code == .invalidGrant)
    #expect(fault { try refresh(token, to: "acme2", by: policy) }?.code == .invalidGrant)
    #expect(fault { try refresh(token, to: "star", by: policy) }?.code == .invalidGrant)
  }

  @Test(
    arguments: [
      ("acme", "proxy:read proxy:write", "proxy:write", "proxy:write"), ("acme", "proxy:read", nil, "proxy:read"),
      ("acme", "proxy:read", "proxy:write", nil), ("acme", "proxy:read", "proxy:read proxy:write", nil),
      ("acme2", "proxy:read proxy:write", nil, "proxy:read"), ("acme2", "proxy:write", nil, nil),
      ("star", "proxy:read", "proxy:write", nil), ("star", "proxy:read", "*", nil), ("star", "*", nil, "*"),
      // All scopes have each one.
      ("star", "*", "proxy:read", "proxy:read"), ("star", "*", "proxy:read unknown", "proxy:read"),
      // As for its access tokens, all scopes are all that the client has.
      ("acme2", "*", nil, "proxy:read"), ("acme2", "*", "proxy:read proxy:write", "proxy:read"),
      ("none", "*", nil, nil),
    ] as [(String, String, String?, String?)])
  func `a refresh can narrow the scope, never widen it`(
    client: String, original: String, requested: String?, granted: String?
  ) throws {
    let policy = try folder.policy()
    let token = try policy.signed(.refresh, client: client, scope: original)
    guard let granted else {
      #expect(fault { try refresh(token, scope: requested, to: client, by: policy) }?.code == .invalidScope)
      return
    }
    let result = try refresh(token, scope: requested, to: client, by: policy)
    #expect(result.scope == granted && result.refreshToken == token)
  }

  @Test func `revocations and tokens_not_before hold for codes and refresh tokens`() throws {
    let policy = try folder.policy()
    let token = try policy.signed(.refresh)
    for id in [1, 2, 50, 51] as [UInt64] {
      var folder = folder
      folder.revoked = #""token_ids": ["\#(TokenID.sample(id).hex)"]"#
      let revoking = try folder.policy()
      #expect(fault { try refresh(token, by: revoking) }?.code == (id < 3 ? .invalidGrant : nil))
      // Different codes, because the memory remembers those that were used.
      let (listed, other) = (try code(id: .sample(id), by: revoking), try code(id: .sample(60 + id), by: revoking))
      #expect(fault { try redeem(listed, by: revoking) }?.code == .invalidGrant)
      #expect(fault { try redeem(other, by: revoking) }?.code == nil)
    }
    for text in [token, try code(id: .sample(70), by: policy)] {
      var folder = folder
      folder.revoked = #""tokens": ["\#(SHA256.digest(of: Array(text.utf8).span).hex)"]"#
      let revoking = try folder.policy()
      #expect(
        fault { text == token ? try refresh(text, by: revoking) : try redeem(text, by: revoking) }?.code
          == .invalidGrant)
    }
    for (time, expected) in [("2027-01-15T08:00:00Z", nil), ("2027-01-15T08:00:01Z", .invalidGrant)]
      as [(String, OAuthError.Code?)]
    {
      var folder = folder
      folder.clients["acme"]? += #", "tokens_not_before": "\#(time)""#
      let later = try folder.policy()
      #expect(fault { try refresh(token, by: later) }?.code == expected)
      let fresh = try code(id: .sample(time.hasSuffix("1Z") ? 41 : 40), by: later)
      #expect(fault { try redeem(fresh, by: later) }?.code == expected)
    }
    for id in [TokenID.sample(1), .sample(2)] {
      let memory = SampleMemory()
      memory.revoke(id)
      let index = try #require(policy.oauthClientIndex("acme"))
      #expect(
        fault {
          try policy.grant(
            .refreshToken(token: token, scope: nil), to: index, at: admissionTime, memory: memory)
        }?.code == .invalidGrant)
    }
  }

  // MARK: Revocation requests

  private func revocation(of token: String, by client: Int32, _ policy: Policy) throws -> (
    id: TokenID, expiresAt: Int64
  )? {
    try policy.revocation(of: token, by: client, at: admissionTime, expiredBy: admissionTime)
  }

  @Test func `a revocation names the token, or the grant of a refresh token`() throws {
    let policy = try folder.policy()
    let client = try #require(policy.oauthClientIndex("acme"))
    let access = try #require(try revocation(of: try policy.signed(), by: client, policy))
    #expect(access.id == .sample(1) && access.expiresAt == grantTime + 3_600 + 10)
    let token = try policy.signed(.refresh, lifetime: 2_592_000)
    let refresh = try #require(try revocation(of: token, by: client, policy))
    #expect(refresh.id == .sample(2) && refresh.expiresAt == grantTime + 2_592_000 + 10)
  }

  @Test func `a token is revoked unless it has certainly expired, also one from the future`() throws {
    let policy = try folder.policy()
    let client = try #require(policy.oauthClientIndex("acme"))
    let (token, later) = (try policy.signed(), UnixSeconds(grantTime + 40 * 86_400))
    func id(_ token: String, _ now: UnixSeconds, _ confirmed: UnixSeconds) throws -> TokenID? {
      try policy.revocation(of: token, by: client, at: now, expiredBy: confirmed)?.id
    }
    #expect(try id(token, later, UnixSeconds(grantTime + 3_599)) == .sample(1))
    #expect(try id(token, later, UnixSeconds(grantTime + 3_600)) == nil)
    let future = try policy.signed(issuedAt: grantTime + 3_600)
    #expect(try id(future, admissionTime, admissionTime) == .sample(1))
  }

  /// Its access tokens may be from a time when they lived longer, and other gateways' clocks may be behind.
  @Test func `a revoked grant is remembered for as long as any of its access tokens can live`() throws {
    var folder = folder
    folder.settings = #", "access_token_s": 60"#
    let policy = try folder.policy()
    let client = try #require(policy.oauthClientIndex("acme"))
    let token = try policy.signed(.refresh, lifetime: 3_600)
    let refresh = try #require(try revocation(of: token, by: client, policy))
    #expect(refresh.expiresAt == grantTime + 86_400 + 10)
  }

  @Test func `a revocation of unknown tokens succeeds, and of other clients' tokens is refused`() throws {
    let policy = try folder.policy()
    let client = try #require(policy.oauthClientIndex("acme"))
    for text in [
      "", "x", "blnk_at_x", try policy.signed(issuedAt: grantTime - 3_600), try code(by: policy),
      String(try policy.signed().dropLast(4)) + "AAAA",
    ] {
      #expect(try revocation(of: text, by: client, policy) == nil)
    }
    for text in [try policy.signed(client: "acme2"), try policy.signed(.refresh, client: "acme2")] {
      #expect(fault { try revocation(of: text, by: client, policy) }?.code == .unauthorizedClient)
    }
  }

  @Test func `without a token endpoint, nothing is granted`() throws {
    let policy = AdmitTests.policy
    #expect(policy.oauthClientIndex("c-reader") == nil)
    #expect(
      fault {
        try policy.grant(.clientCredentials(scope: nil), to: 0, at: admissionTime, memory: memory)
      }?.code == .temporarilyUnavailable)
    #expect(try revocation(of: "x", by: 0, policy) == nil)
  }

  // MARK: Properties

  @Test func `a granted token allows what its client has and was asked for, and nothing else`() throws {
    let policy = try folder.policy()
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SeededGenerator(state: seed)
    let words = ["proxy:read", "proxy:write", "ledger", "*", "unknown", "proxy:rea", "proxy:read2"]
    for _ in 0..<300 {
      let client = ["acme", "acme2", "star", "alias", "none"].randomElement(using: &generator) ?? ""
      let asked = words.shuffled(using: &generator).prefix(Int.random(in: 1...words.count, using: &generator))
      let scope = try #require(ScopeText(asked.joined(separator: " ")))
      let index = try #require(policy.oauthClientIndex(client))
      let client2 = policy.clients.scopes(of: Int(index))
      let wanted = policy.scopes.set(ofList: Array(asked.joined(separator: " ").utf8).span)
      guard let result = try? grant(.clientCredentials(scope: scope), to: client, by: policy) else { continue }
      let granted = policy.scopes.set(ofList: Array(result.scope.utf8).span)
      let known = policy.routes.scopes.indices.filter { granted.contains(bit: $0) }
      #expect(known.allSatisfy { client2.contains(bit: $0) && wanted.contains(bit: $0) }, "seed \(seed)")
      #expect(Set(result.scope.split(separator: " ")).isSubset(of: Set(words.map { $0[...] })), "seed \(seed)")
    }
  }
}
