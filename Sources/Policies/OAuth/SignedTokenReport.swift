package import OAuth

/// What an operator wants to know about a token of the token endpoint; for `explain` only.
package struct SignedTokenReport: Sendable {
  /// Why the gateway refuses it.
  package enum Fault: Equatable, Sendable {
    /// gateway.json has no "oauth".
    case noEndpoint
    /// It was signed for another issuer or audience, or with a key that the gateway does not have.
    case foreign
    case forged
    case wrongKind(SignedTokenKind)
    case expired
    case notYetValid
    case clientUnknown
    /// Older than the client's `tokens_not_before`.
    case tooOld(UnixSeconds)
    /// `revoked.json` has its id, that of its grant, or its digest.
    case revokedByFile
    /// It was revoked at the token endpoint.
    case revokedByClient
  }

  /// What a token says that the gateway has signed.
  package struct Content: Sendable {
    /// Whether it is an access token; else a refresh token or a code.
    package let isAccess: Bool
    package let client: String
    package let scopes: [String]
    /// Those of `scopes` that the client no longer has, at least in part.
    package let cut: [String]
    package let id: TokenID
    package let grant: TokenID
    package let issuedAt: UnixSeconds
    package let expiresAt: UnixSeconds
  }

  package let fault: Fault?
  /// Why it is not in force, whatever its kind; nil: it is, or it is unknown.
  package var ownFault: Fault?
  package let content: Content?
  /// Whether a text has the form of a signed token. Those that `token new` makes are shorter.
  package static func hasForm(_ token: String) -> Bool {
    SignedTokenKind.allCases.contains { token.hasPrefix($0.prefix) } && token.utf8.count > PackedBytes.bytesMax
  }

  /// Whether it is known what was revoked at the token endpoint.
  package var knowsRevocations = true
}

extension Policy {
  /// A report on a token; nil: it does not have the form of a signed one.
  ///
  /// - Parameter revoked: the tokens and grants that were revoked at the token endpoint.
  package func report(
    onSigned token: String, revoked: Set<TokenID>, at now: UnixSeconds
  ) -> SignedTokenReport? {
    let bytes = Array(token.utf8)
    guard SignedTokenReport.hasForm(token) else { return nil }
    guard let authority = settings.oauth?.authority else { return SignedTokenReport(fault: .noEndpoint, content: nil) }
    for kind in SignedTokenKind.allCases {
      do throws(TokenFault) {
        let verified = try authority.verify(bytes.span, as: kind, at: nil)
        let content = content(of: verified, kind)
        var fault = fault(of: content, revoked, at: now)
        if fault == nil || fault == .revokedByClient, isRevoked(bytes.span) { fault = .revokedByFile }
        return SignedTokenReport(
          fault: kind == .access ? fault : .wrongKind(kind), ownFault: fault, content: content)
      } catch {
        switch error {
        case .wrongKind: continue
        case .foreign: return SignedTokenReport(fault: .foreign, content: nil)
        case .forged: return SignedTokenReport(fault: .forged, content: nil)
        case .expired, .notYetValid: preconditionFailure("the time was not checked")
        }
      }
    }
    return nil
  }

  private func content(of token: borrowing VerifiedToken, _ kind: SignedTokenKind) -> SignedTokenReport.Content {
    let names = token.scope.split(separator: " ").map(String.init)
    let held = oauthClientIndex(token.client).map { clients.scopes(of: Int($0)) } ?? ScopeSet()
    let cut = names.filter { name in
      let set = scopes.set(ofList: Array(name.utf8).span)
      return set.isEmpty || set.intersection(held) != set
    }
    return SignedTokenReport.Content(
      isAccess: kind == .access, client: token.client, scopes: names, cut: cut, id: token.id, grant: token.grant,
      issuedAt: UnixSeconds(token.issuedAt), expiresAt: UnixSeconds(token.expiresAt))
  }

  /// In the order of admission.
  private func fault(
    of token: SignedTokenReport.Content, _ revoked: Set<TokenID>, at now: UnixSeconds
  ) -> SignedTokenReport.Fault? {
    guard now < token.expiresAt else { return .expired }
    guard token.issuedAt.rawValue <= now.rawValue + VerifiedToken.clockSkewSeconds else { return .notYetValid }
    guard let client = oauthClientIndex(token.client) else { return .clientUnknown }
    if let start = clients.tokensNotBefore(of: Int(client)), token.issuedAt < start { return .tooOld(start) }
    if revokedIDs.contains(token.id) || revokedIDs.contains(token.grant) { return .revokedByFile }
    return revoked.contains(token.id) || revoked.contains(token.grant) ? .revokedByClient : nil
  }
}
