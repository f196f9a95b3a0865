import OAuth
import Policies

extension SignedTokenReport {
  /// For the step of an explanation that a valid token passes.
  var text: String {
    guard let content else { return "" }
    let unknown = knowsRevocations ? "" : "; this user cannot read oauth.revocations, so it may be revoked"
    return ", token \(content.id.hex.prefix(8))… of its app, \(content.text)\(unknown)"
  }

  /// Why the token is refused, and what to do; nil: it is valid.
  func refusal(_ settings: OAuthSettings?) -> String? {
    guard let fault else { return nil }
    let subject = content.map { " It is token \($0.id.hex) of \($0.client), \($0.text)." } ?? ""
    return text(of: fault, settings) + subject
  }

  private func text(of fault: Fault, _ settings: OAuthSettings?) -> String {
    switch fault {
    case .noEndpoint:
      return "It has the form of a token endpoint's token, but gateway.json has no \"oauth\"."
    case .foreign:
      return "It has the form of a token endpoint's token, but of another issuer or audience than "
        + "\(settings?.issuer ?? ""), or its signing key is not in oauth.keys."
    case .forged:
      return "It is forged or damaged: its signature is wrong."
    case .wrongKind(.refresh):
      return "It is a refresh token, which is for POST /oauth/token only."
    case .wrongKind:
      return "It is an authorization code, which is for POST /oauth/token only."
    case .expired:
      return "It has expired; the app can get another one at POST /oauth/token."
    case .notYetValid:
      return "It was issued in the future; compare the clocks of the gateways."
    case .clientUnknown:
      return "clients.\(content?.client ?? "") does not exist, or has no \"oauth\"."
    case .tooOld(let start):
      return "It is older than clients.\(content?.client ?? "").tokens_not_before (\(start))."
    case .revokedByFile:
      return "revoked.json lists its id, the id of its grant, or its digest."
    case .revokedByClient:
      return "It was revoked at POST /oauth/revoke, or its authorization code was used twice."
    }
  }
}

extension SignedTokenReport.Content {
  fileprivate var text: String {
    let cut = cut.isEmpty ? "" : ", of which the client no longer has \(cut.joined(separator: " "))"
    return "scope \(scopes.joined(separator: " "))\(cut), issued at \(issuedAt), expires at \(expiresAt)"
  }
}
