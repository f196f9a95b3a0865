import Digests
package import OAuth

/// An authorization code that an operator issues to an app, in place of a login page.
package struct IssuedCode: Sendable {
  /// Of the grant, whose tokens carry it.
  package let grant: TokenID
  package let code: String
  package let scope: String
  package let expiresAt: UnixSeconds
  /// Where the app's browser goes next: the redirect URI with the code.
  package let callback: String
}

/// Why an operator cannot issue a code: a sentence for the operator that says what to do.
package struct CodeRefusal: Error {
  package let message: String
}

extension Policy {
  /// Issues a code for the authorization request of an app.
  ///
  /// - Parameter client: the client that the operator means; the request must name the same one.
  package func issueCode(
    for request: AuthorizationRequest, client: String, at now: UnixSeconds
  ) throws(CodeRefusal) -> IssuedCode {
    guard let settings = settings.oauth else {
      throw CodeRefusal(message: "gateway.json has no \"oauth\", so the gateway has no token endpoint")
    }
    let origin = AuthorizationRequest.origin(of: settings.issuer)
    guard request.origin == origin else {
      throw CodeRefusal(
        message:
          "the URL starts with \"\(printable(request.origin))\", not with \(origin), the origin of oauth.issuer, "
          + "so the app has not opened it at this gateway; set \(settings.issuer)/oauth/authorize as the app's "
          + "authorization endpoint, and copy the URL that it opens then")
    }
    guard request.client == client else {
      throw CodeRefusal(
        message:
          "the URL is from \"\(printable(request.client))\" (client_id), not from \"\(client)\" (--client); check "
          + "that it comes from the app that you mean")
    }
    let index = try index(of: client)
    try checkRedirect(request, index)
    let desk = GrantDesk(policy: self, settings: settings, client: index, now: now)
    let scope = try scope(request.scope?.scopes, client, desk)
    let id = TokenID.random()
    let code = settings.authority.sign(
      TokenClaims(
        kind: .code, id: id, grant: id, client: client, scope: scope, issuedAt: now.rawValue,
        lifetimeSeconds: OAuthSettings.codeSeconds,
        code: CodeBinding(
          redirectURI: SHA256.digest(of: Array(request.redirectURI.utf8).span), challenge: request.challenge)))
    return IssuedCode(
      grant: id, code: code, scope: scope, expiresAt: UnixSeconds(now.rawValue + Int64(OAuthSettings.codeSeconds)),
      callback: request.callback(code: code, issuer: settings.issuer))
  }

  private func index(of client: String) throws(CodeRefusal) -> Int32 {
    guard let known = clients.firstIndex(where: { $0.id.text == client }) else {
      throw CodeRefusal(
        message: "unknown client \"\(client)\"\(suggestion(for: client, among: clients.map(\.id.text)))")
    }
    guard let index = oauthClientIndex(client) else {
      throw CodeRefusal(
        message:
          "clients.\(client) has no \"oauth\"; run `blnk-gateway client secret new --client \(client)`, then add "
          + "\"redirect_uris\" next to \"secrets\"")
    }
    guard !clients.isRevoked(known) else { throw CodeRefusal(message: "the client \(client) is revoked") }
    return index
  }

  /// RFC 9700 §4.1.3: exact comparison, because anything looser has sent codes to attackers.
  private func checkRedirect(_ request: AuthorizationRequest, _ client: Int32) throws(CodeRefusal) {
    let registered = clients.oauth(of: Int(client))?.redirectURIs ?? []
    guard !registered.contains(request.redirectURI) else { return }
    let list = registered.isEmpty ? "none" : registered.joined(separator: ", ")
    throw CodeRefusal(
      message: "clients.\(request.client).oauth.redirect_uris does not contain "
        + "\"\(printable(request.redirectURI))\" exactly; registered: \(list); if the URI is the app's, add it")
  }

  private func scope(_ requested: [String]?, _ client: String, _ desk: GrantDesk) throws(CodeRefusal) -> String {
    if let excess = requested?.first(where: { scope in (try? desk.granted([scope])) == nil }) {
      throw CodeRefusal(
        message: "the URL asks for the scope \"\(printable(excess))\", which clients.\(client).scopes does not contain"
          + "\(suggestion(for: excess, among: desk.scopes)); it has: \(desk.scopes.joined(separator: ", "))")
    }
    do throws(OAuthError) {
      return try desk.granted(requested ?? desk.scopes)
    } catch {
      throw CodeRefusal(message: error.description)
    }
  }
}
