package import Digests

/// What a client asks of the token endpoint (RFC 6749 §4.1.3, §4.4.2, §6).
package enum TokenRequest: Equatable, Sendable {
  case clientCredentials(scope: ScopeText?)
  case authorizationCode(code: String, redirectURI: String, verifier: CodeVerifier?)
  case refreshToken(token: String, scope: ScopeText?)

  package init(_ form: borrowing FormBody) throws(OAuthError) {
    switch try Self.required("grant_type", in: form) {
    case "client_credentials": self = .clientCredentials(scope: try Self.scope(form))
    case "authorization_code":
      self = .authorizationCode(
        code: try Self.required("code", in: form), redirectURI: try Self.required("redirect_uri", in: form),
        verifier: try Self.verifier(form))
    case "refresh_token":
      self = .refreshToken(token: try Self.required("refresh_token", in: form), scope: try Self.scope(form))
    default:
      throw OAuthError(
        .unsupportedGrantType, "grant_type must be client_credentials, authorization_code or refresh_token.")
    }
  }

  private static func required(_ name: String, in form: borrowing FormBody) throws(OAuthError) -> String {
    guard let value = form[name] else { throw OAuthError(.invalidRequest, "\(name) is missing.") }
    return value
  }

  private static func scope(_ form: borrowing FormBody) throws(OAuthError) -> ScopeText? {
    guard let text = form["scope"] else { return nil }
    guard let scope = ScopeText(text) else {
      throw OAuthError(.invalidScope, "scope must be a list of scopes, separated by single spaces.")
    }
    return scope
  }

  private static func verifier(_ form: borrowing FormBody) throws(OAuthError) -> CodeVerifier? {
    guard let text = form["code_verifier"] else { return nil }
    guard let verifier = CodeVerifier(text) else {
      throw OAuthError(.invalidRequest, "code_verifier must be 43 to 128 unreserved characters.")
    }
    return verifier
  }
}

/// A list of scope tokens, separated by single spaces (RFC 6749 §3.3), each at most once.
package struct ScopeText: Equatable, Sendable {
  package let scopes: [String]

  /// nil for other text, and for more than `TokenClaims.scopeBytesMax` bytes.
  package init?(_ text: String) {
    guard (1...TokenClaims.scopeBytesMax).contains(text.utf8.count) else { return nil }
    let scopes = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
    for scope in scopes {
      let isToken = scope.utf8.allSatisfy { byte in
        (0x21...0x7e).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
      }
      guard !scope.isEmpty, isToken else { return nil }
    }
    var unique: [String] = []
    for scope in scopes where !unique.contains(scope) { unique.append(scope) }
    self.scopes = unique
  }
}

/// A PKCE verifier: 43 to 128 unreserved characters (RFC 7636 §4.1).
package struct CodeVerifier: Equatable, Sendable {
  private let text: String

  package init?(_ text: String) {
    guard (43...128).contains(text.utf8.count), text.utf8.allSatisfy(isUnreserved) else { return nil }
    self.text = text
  }

  /// The S256 challenge that it answers (RFC 7636 §4.2).
  package var challenge: Digest { SHA256.digest(of: Array(text.utf8).span) }
}

extension CodeBinding {
  /// Whether a token request answers what the authorization request set up (RFC 7636 §4.6).
  ///
  /// A verifier without a challenge is refused, too: otherwise an attacker could strip the challenge from the
  /// authorization request unnoticed (RFC 9700 §2.1.1, PKCE downgrade).
  package func accepts(redirectURI: String, verifier: CodeVerifier?) -> Bool {
    guard SHA256.digest(of: Array(redirectURI.utf8).span) == self.redirectURI else { return false }
    switch (challenge, verifier) {
    case (nil, nil): return true
    case (let challenge?, let verifier?): return challenge == verifier.challenge
    case (nil, _?), (_?, nil): return false
    }
  }
}

/// RFC 3986 §2.3.
func isUnreserved(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
    UInt8(ascii: "~"):
    true
  default: false
  }
}
