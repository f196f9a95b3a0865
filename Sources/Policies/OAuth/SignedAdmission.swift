import Digests
import HTTP1
import OAuth

extension Policy {
  /// Whether a presented token may be one that the gateway has signed. Those that `token new` makes are shorter.
  @inline(__always)
  func mayBeSigned(_ presented: Range<Int>) -> Bool {
    presented.count > PackedBytes.bytesMax && settings.hasTokenEndpoint
  }

  /// The principal of a token that the gateway has signed; nil: the token is another one, and policy files may know it.
  ///
  /// Its scopes are cut to those that its client has now.
  @inline(never)
  func signedPrincipal(
    _ token: Span<UInt8>, at now: UnixSeconds, _ cache: inout SignedTokens, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Principal? {
    if let entry = cache.entry(of: token, under: identity) { return try principal(of: entry, at: now, noting: &trace) }
    guard let verified = try verified(token, at: now, noting: &trace) else { return nil }
    trace.tokenID = verified.id
    let position = verified.withClient { name in signedClients.index(of: name) }
    guard let position else { throw .tokenUnknown }
    let client = signedClientIndices[Int(position)]
    trace.clientIndex = client
    let isTooOld = clients.tokensNotBefore(of: Int(client)).map { verified.issuedAt < $0.rawValue } ?? false
    let isRevoked =
      cache.isRevoked(verified.id) || cache.isRevoked(verified.grant) || revokedIDs.contains(verified.id)
      || revokedIDs.contains(verified.grant)
    guard !isTooOld, !isRevoked else { throw .tokenRevoked }
    let granted = verified.withScope { list in scopes.set(ofList: list) }
    let entry = SignedTokens.Entry(
      client: client, scopes: granted.intersection(clients.scopes(of: Int(client))), expiry: verified.expiresAt,
      id: verified.id, grant: verified.grant)
    cache.insert(token, entry, under: identity)
    return try principal(of: entry, at: now, noting: &trace)
  }

  /// nil: it is a token of someone else.
  private func verified(
    _ token: Span<UInt8>, at now: UnixSeconds, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> VerifiedToken? {
    guard let authority = settings.oauth?.authority else { return nil }
    do throws(TokenFault) {
      return try authority.verify(token, as: .access, at: now.rawValue)
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
