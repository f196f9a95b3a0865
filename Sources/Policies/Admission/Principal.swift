package import Digests

/// Who makes a request, and what it may do.
package struct Principal: Equatable, Sendable {
  /// When its token expires; nil: never.
  package let expiry: UnixSeconds?
  /// The index in `Policy.clients`.
  package let clientIndex: Int32
  package let source: TokenSource
  /// At most the client's: a token may hold fewer.
  package let scopes: ScopeSet
}

/// Where the token of a principal is known from.
package enum TokenSource: Equatable, Sendable {
  /// The index in `Policy.tokens.entries`.
  case file(Int32)
  /// No token was presented: `explain` assumes the client.
  case assumed
}

/// Who makes a request, as far as the policy alone can tell.
package enum Authentication: Equatable, Sendable {
  case principal(Principal)
  /// Only an introspection endpoint can judge the token (RFC 7662).
  case pending(PendingToken)

  /// The principal, for callers that ask no introspection endpoint: to them a pending token is unknown.
  package func requirePrincipal() throws(Rejection) -> Principal {
    switch self {
    case .principal(let principal): return principal
    case .pending: throw .tokenUnknown
    }
  }
}

/// A token that is in no file: what identifies it without being it.
package struct PendingToken: Equatable, Sendable {
  /// The token's SHA-256.
  package let digest: Digest
}
