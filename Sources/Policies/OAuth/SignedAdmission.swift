import Digests
import HTTP1
import OAuth

extension Policy {
  /// Whether a presented token may be one that the gateway has signed. Those that `token new` makes are shorter.
  @inline(__always)
  func mayBeSigned(_ presented: Range<Int>) -> Bool {
    presented.count > PackedBytes.bytesMax && hot.hasTokenEndpoint
  }

  /// The principal of a token that the gateway has signed; nil: the token is another one, and policy files may know it.
  ///
  /// Its scopes are cut to those that its client has now.
  @inline(never)
  @_optimize(speed)
  func signedPrincipal(
    _ token: Span<UInt8>, at now: UnixSeconds, _ cache: inout SignedTokens, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Principal? {
    if let entry = cache.entry(of: token, under: identity) { return try principal(of: entry, at: now, noting: &trace) }
    guard let found = try verified(token, at: now, noting: &trace) else { return nil }
    trace.tokenID = found.id
    guard let position = found.client else { throw .tokenUnknown }
    let client = signedClientIndices[Int(position)]
    trace.clientIndex = client
    let isTooOld = found.issuedAt < signedNotBefore[Int(position)]
    let isRevoked =
      cache.isRevoked(found.id) || cache.isRevoked(found.grant) || isRevoked(found.id) || isRevoked(found.grant)
      || isRevoked(token)
    guard !isTooOld, !isRevoked else { throw .tokenRevoked }
    let entry = SignedTokens.Entry(
      client: client, scopes: found.scopes.intersection(clients.scopes(of: Int(client))), expiry: found.expiresAt,
      id: found.id, grant: found.grant)
    cache.insert(token, entry, under: identity)
    return try principal(of: entry, at: now, noting: &trace)
  }

  /// Asks first whether there are any: an empty set hashes, too.
  private func isRevoked(_ id: TokenID) -> Bool { !revokedIDs.isEmpty && revokedIDs.contains(id) }

  /// What admission needs of a verified token.
  private struct Found {
    let id: TokenID
    let grant: TokenID
    /// The position in `signedClientIndices`; nil: no such client gets tokens from the token endpoint.
    let client: Int32?
    let scopes: ScopeSet
    let issuedAt: Int64
    let expiresAt: Int64
  }

  /// nil: it is a token of someone else.
  @_optimize(speed)
  private func verified(
    _ token: Span<UInt8>, at now: UnixSeconds, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Found? {
    guard let authority = settings.oauth?.authority else { return nil }
    do throws(TokenFault) {
      return try authority.withVerified(token, as: .access, at: now.rawValue) { verified in
        Found(
          id: verified.id, grant: verified.grant, client: verified.withClient { name in signedClients.index(of: name) },
          scopes: verified.withScope { list in scopes.set(ofList: list) }, issuedAt: verified.issuedAt,
          expiresAt: verified.expiresAt)
      }
    } catch {
      switch error {
      case .foreign: return nil
      case .expired:
        trace.tokenID = (try? authority.verify(token, as: .access, at: nil))?.id
        throw .tokenExpired
      // Its digest is not logged: the time would make a flood of forged tokens cost half as much again.
      case .forged: throw .tokenUnknown
      case .wrongKind, .notYetValid:
        trace.tokenDigestPrefix = SHA256.digest(of: token).prefix
        throw .tokenUnknown
      }
    }
  }

  private func principal(
    of entry: SignedTokens.Entry, at now: UnixSeconds, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Principal {
    trace.tokenID = entry.id
    trace.clientIndex = entry.client
    guard now.rawValue < entry.expiry else { throw .tokenExpired }
    return Principal(
      expiry: UnixSeconds(entry.expiry), clientIndex: entry.client, source: .signed(entry.id), scopes: entry.scopes)
  }
}
