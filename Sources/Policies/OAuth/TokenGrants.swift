import Digests
package import OAuth

/// A grant of the token endpoint.
package struct TokenGrant: Equatable, Sendable {
  package enum Kind: String, Sendable {
    case clientCredentials = "client_credentials"
    case authorizationCode = "authorization_code"
    case refreshToken = "refresh_token"
  }

  package let kind: Kind
  package let client: String
  package let scope: String
  package let accessToken: String
  package let accessTokenID: TokenID
  package let grant: TokenID
  package let expiresIn: Int
  /// nil: the client can ask again with its own credentials (RFC 6749 §4.4.3).
  package let refreshToken: String?

  /// The response (RFC 6749 §5.1).
  package var body: String {
    let refresh = refreshToken.map { #","refresh_token":"\#($0)""# } ?? ""
    return #"{"access_token":"\#(accessToken)","token_type":"Bearer","expires_in":\#(expiresIn)"#
      + refresh + #","scope":"\#(scope)"}"#
  }
}

/// What the token endpoint remembers about codes and tokens, over all loops.
package protocol GrantMemory {
  /// Notes that a code is used; false: it was used before.
  func redeem(_ code: TokenID, issuedAt: Int64, expiresAt: Int64) throws(OAuthError) -> Bool
  func isRevoked(_ id: TokenID) -> Bool
}

extension Policy {
  /// The client that presents these credentials.
  ///
  /// The answer and its time are the same for an unknown client, a wrong secret, and a client that may not call from
  /// here.
  ///
  /// - Returns: the index in `clients`.
  package func authenticate(
    _ credentials: ClientCredentials, from caller: Caller, at now: UnixSeconds
  ) throws(OAuthError) -> Int32 {
    let digest = SHA256.digest(of: Array(credentials.secret.utf8).span)
    let index = oauthClientIndex(credentials.client)
    let client = index.flatMap { clients.oauth(of: Int($0)) } ?? OAuthClient()
    let isAuthentic = client.accepts(digest, at: now)
    guard let index, isAuthentic, !clients.isRevoked(Int(index)), mayCall(index, from: caller) else {
      throw OAuthError(.invalidClient, "Client authentication failed.")
    }
    return index
  }

  private func mayCall(_ client: Int32, from caller: Caller) -> Bool {
    do throws(Rejection) {
      try clients.check(caller, Int(client))
      return true
    } catch {
      return false
    }
  }

  /// The index of a client that gets tokens from the token endpoint.
  package func oauthClientIndex(_ name: String) -> Int32? {
    signedClients.index(of: Array(name.utf8).span).map { signedClientIndices[Int($0)] }
  }

  /// Decides about the request of an authenticated client, and signs its tokens.
  ///
  /// - Parameter client: the index in `clients`.
  package func grant(
    _ request: TokenRequest, to client: Int32, at now: UnixSeconds, memory: some GrantMemory
  ) throws(OAuthError) -> TokenGrant {
    guard let settings = settings.oauth else { throw OAuthError(.temporarilyUnavailable, "The token endpoint is off.") }
    let desk = GrantDesk(policy: self, settings: settings, client: client, now: now)
    switch request {
    case .clientCredentials(let scope): return try desk.clientCredentials(scope)
    case .authorizationCode(let code, let redirectURI, let verifier):
      return try desk.redeem(code, redirectURI, verifier, memory)
    case .refreshToken(let token, let scope): return try desk.refresh(token, scope, memory)
    }
  }

  /// The id that a revocation request revokes: a grant for a refresh token, else the token alone (RFC 7009 §2.1).
  ///
  /// - Parameter confirmed: a token that had expired by then certainly has; not later than `now`.
  /// - Returns: the id, and when it may be forgotten; nil: the token is unknown or has expired, which is a success
  ///   (RFC 7009 §2.2).
  package func revocation(
    of token: String, by client: Int32, at now: UnixSeconds, expiredBy confirmed: UnixSeconds
  ) throws(OAuthError) -> (id: TokenID, expiresAt: Int64)? {
    guard let settings = settings.oauth else { return nil }
    let text = Array(token.utf8)
    for kind in [SignedTokenKind.access, .refresh] {
      // Also one from the future: the clock that is wrong may be this one.
      guard let verified = try? settings.authority.verify(text.span, as: kind, at: nil),
        confirmed.rawValue < verified.expiresAt
      else { continue }
      guard verified.client == name(of: client) else {
        throw OAuthError(.unauthorizedClient, "The token was issued to another client.")
      }
      guard kind == .refresh else { return (verified.id, verified.expiresAt + VerifiedToken.clockSkewSeconds) }
      // Access tokens of the grant may be as young as now, may have got a longer lifetime under an earlier policy, and
      // are valid for longer where a clock is behind.
      let longest = now.rawValue + Int64(OAuthSettings.accessTokenSecondsBounds.upperBound)
      return (verified.grant, max(verified.expiresAt, longest) + VerifiedToken.clockSkewSeconds)
    }
    return nil
  }

  fileprivate func name(of client: Int32) -> String {
    String(decoding: clients.id(of: Int(client)), as: UTF8.self)
  }
}

/// Grants tokens to one client.
struct GrantDesk {
  let policy: Policy
  let settings: OAuthSettings
  let client: Int32
  let now: UnixSeconds

  private var name: String { policy.name(of: client) }
  var scopes: [String] { policy.clients.oauth(of: Int(client))?.scopes ?? [] }

  func clientCredentials(_ requested: ScopeText?) throws(OAuthError) -> TokenGrant {
    let scope = try granted(requested?.scopes ?? scopes)
    // RFC 6749 §4.4.3: a refresh token should not be included.
    return grant(.clientCredentials, scope, id: nil, refreshToken: nil)
  }

  func redeem(
    _ text: String, _ redirectURI: String, _ verifier: CodeVerifier?, _ memory: some GrantMemory
  ) throws(OAuthError) -> TokenGrant {
    let code = try verified(text, as: .code, memory)
    guard let binding = code.code, binding.accepts(redirectURI: redirectURI, verifier: verifier) else {
      throw OAuthError(.invalidGrant, "redirect_uri or code_verifier does not match the authorization request.")
    }
    let scope = try granted(split(code.scope))
    guard try memory.redeem(code.id, issuedAt: code.issuedAt, expiresAt: code.expiresAt) else {
      throw .codeUsed(code.id)
    }
    let refreshToken = settings.authority.sign(
      TokenClaims(
        kind: .refresh, id: .random(), grant: code.id, client: name, scope: code.scope,
        issuedAt: now.rawValue, lifetimeSeconds: settings.refreshTokenSeconds))
    return grant(.authorizationCode, scope, id: code.id, refreshToken: refreshToken)
  }

  /// The refresh token stays the same: clients are confidential, and rotation locks out those that lose a response
  /// (FAPI 2.0 §5.3.2.1).
  func refresh(
    _ text: String, _ requested: ScopeText?, _ memory: some GrantMemory
  ) throws(OAuthError) -> TokenGrant {
    let token = try verified(text, as: .refresh, memory)
    let original = split(token.scope)
    // RFC 6749 §6: no scope that the grant does not have.
    guard original.contains("*") || requested?.scopes.allSatisfy(original.contains) ?? true else {
      throw OAuthError(.invalidScope, "scope exceeds the scope of the refresh token.")
    }
    let scope = try granted(requested?.scopes ?? original)
    return grant(.refreshToken, scope, id: token.grant, refreshToken: text)
  }

  /// - Parameter grant: nil: there was no code, so that the access token's own id is the grant.
  private func grant(
    _ kind: TokenGrant.Kind, _ scope: String, id grant: TokenID?, refreshToken: String?
  ) -> TokenGrant {
    let id = TokenID.random()
    let grant = grant ?? id
    let token = settings.authority.sign(
      TokenClaims(
        kind: .access, id: id, grant: grant, client: name, scope: scope, issuedAt: now.rawValue,
        lifetimeSeconds: settings.accessTokenSeconds))
    return TokenGrant(
      kind: kind, client: name, scope: scope, accessToken: token, accessTokenID: id, grant: grant,
      expiresIn: settings.accessTokenSeconds, refreshToken: refreshToken)
  }

  /// A code or refresh token of this client that is in force.
  private func verified(
    _ text: String, as kind: SignedTokenKind, _ memory: some GrantMemory
  ) throws(OAuthError) -> VerifiedToken {
    let bytes = Array(text.utf8)
    guard let token = try? settings.authority.verify(bytes.span, as: kind, at: now.rawValue), token.client == name,
      !policy.revokedIDs.contains(token.id), !policy.revokedIDs.contains(token.grant), !memory.isRevoked(token.id),
      !memory.isRevoked(token.grant), !policy.isRevoked(bytes.span),
      policy.clients.tokensNotBefore(of: Int(client)).map({ $0.rawValue <= token.issuedAt }) ?? true
    else {
      let what = kind == .code ? "code" : "refresh token"
      throw OAuthError(.invalidGrant, "The \(what) is invalid, has expired, was revoked, or belongs to another client.")
    }
    return token
  }

  /// Those of the scopes that the client has now; for `*`, all that it has.
  func granted(_ wanted: [String]) throws(OAuthError) -> String {
    let isUnlimited = scopes.contains("*")
    let granted =
      wanted.contains("*")
      ? scopes : wanted.filter { scope in scopes.contains(scope) || isUnlimited && isKnown(scope) }
    let text = granted.joined(separator: " ")
    guard !granted.isEmpty else { throw OAuthError(.invalidScope, "The client has none of the requested scopes.") }
    guard text.utf8.count <= TokenClaims.scopeBytesMax else {
      throw OAuthError(.invalidScope, "Request fewer scopes: a token holds \(TokenClaims.scopeBytesMax) characters.")
    }
    return text
  }

  private func isKnown(_ scope: String) -> Bool {
    Scope(scope).map { policy.scopes.set(of: $0) != nil } ?? false
  }

  private func split(_ scope: String) -> [String] { scope.split(separator: " ").map(String.init) }
}
