package import Digests
package import OAuth

/// Who makes a request: the client, its effective scopes, and where its token comes from.
package struct Principal: Equatable, Sendable {
  /// When its token expires; nil: never.
  package let expiry: UnixSeconds?
  /// The index in `Policy.clients`.
  package let clientIndex: Int32
  package let source: TokenSource
  /// The client's, or a subset.
  package let scopes: ScopeSet
}

/// Where a principal's token comes from.
package enum TokenSource: Equatable, Sendable {
  /// The index in `Policy.tokens.entries`.
  case file(Int32)
  /// Signed by the gateway's token endpoint.
  case signed(TokenID)
  /// Verified by an introspection endpoint: the index in `IntrospectionTable.providers`.
  case introspected(Int32)
  /// No token was presented: `explain` assumes the client.
  case assumed
}

/// The result of authenticating a request with the policy alone.
package enum Authentication: Equatable, Sendable {
  case principal(Principal)
  /// Only an introspection endpoint can verify the token (RFC 7662).
  case pending(PendingToken)

  /// The principal, for callers without an introspection endpoint: they reject a pending token as unknown.
  package func requirePrincipal() throws(Rejection) -> Principal {
    switch self {
    case .principal(let principal): return principal
    case .pending: throw .tokenUnknown
    }
  }
}

/// A token that is in no policy file, and the only provider that may be asked about it.
package struct PendingToken: Equatable, Sendable {
  /// What the answer is cached under.
  package let key: Digest
  /// The index in `IntrospectionTable.providers`.
  package let provider: Int32
  // 32 bits each, so that it is not larger than a principal: that costs each request instructions.
  private let tokenStart: Int32
  private let tokenCount: Int32

  package init(key: Digest, provider: Int32, token: Range<Int>) {
    self.key = key
    self.provider = provider
    tokenStart = Int32(token.lowerBound)
    tokenCount = Int32(token.count)
  }

  /// The token, in the bytes of the request.
  package var token: Range<Int> { Int(tokenStart)..<Int(tokenStart) + Int(tokenCount) }
}
