/// The values of `WWW-Authenticate` for requests without a valid token, made once for each policy.
package struct BearerChallenges: Equatable, Sendable {
  /// Those of a gateway without a token endpoint.
  package static let plain = BearerChallenges(parameters: "")

  let noCredentials: String
  let invalidRequest: String
  let invalidToken: String

  /// Names the metadata of the token endpoint (RFC 9728 §5.1).
  init(_ settings: OAuthSettings) {
    self.init(parameters: #", resource_metadata="\#(settings.metadataURL("oauth-protected-resource"))""#)
  }

  private init(parameters: String) {
    noCredentials = #"Bearer realm="blnk""# + parameters
    invalidRequest = #"Bearer realm="blnk", error="invalid_request""# + parameters
    invalidToken = #"Bearer realm="blnk", error="invalid_token""# + parameters
  }
}
