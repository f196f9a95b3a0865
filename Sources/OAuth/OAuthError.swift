/// An error response of the token and revocation endpoints (RFC 6749 §5.2, RFC 7009 §2.2.1).
package struct OAuthError: Error, Equatable, Sendable {
  package enum Code: String, Sendable, CaseIterable {
    case invalidRequest = "invalid_request"
    case invalidClient = "invalid_client"
    case invalidGrant = "invalid_grant"
    case unauthorizedClient = "unauthorized_client"
    case unsupportedGrantType = "unsupported_grant_type"
    case unsupportedTokenType = "unsupported_token_type"
    case invalidScope = "invalid_scope"
    /// Not in RFC 6749 §5.2, but §4.1.2.1 has it for the same meaning.
    case temporarilyUnavailable = "temporarily_unavailable"
    /// Too many failed authentications. RFC 8628 §3.5 has it for a client that asks too often.
    case slowDown = "slow_down"
  }

  package let code: Code
  /// For the client's developer: ASCII without quotes, backslashes and control characters (RFC 6749 §5.2).
  package let description: String
  package var retryAfterSeconds: Int?
  /// Of a code that was used before: what it gave must be revoked before this error is sent (RFC 6749 §4.1.2).
  package var usedCode: TokenID?

  package init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }

  /// The code of this grant was used before.
  package static func codeUsed(_ grant: TokenID) -> OAuthError {
    var error = OAuthError(.invalidGrant, "The code was used before; the tokens that it gave are revoked.")
    error.usedCode = grant
    return error
  }

  package var status: Int {
    switch code {
    // §5.2: MUST for a client that authenticated in the Authorization field, MAY for the others.
    case .invalidClient: 401
    case .temporarilyUnavailable: 503
    case .slowDown: 429
    case .invalidRequest, .invalidGrant, .unauthorizedClient, .unsupportedGrantType, .unsupportedTokenType,
      .invalidScope:
      400
    }
  }

  /// The value of `WWW-Authenticate`; nil: no such field. RFC 9110 §15.5.2 requires one with each 401.
  package var challenge: String? { status == 401 ? #"Basic realm="blnk", charset="UTF-8""# : nil }

  package var body: String { #"{"error":"\#(code.rawValue)","error_description":"\#(description)"}"# }
}
