import Digests
package import HTTP1

extension Policy {
  /// Decides whether a request goes to a Core, and to which one: `authenticate`, then `authorize`.
  ///
  /// - Parameters:
  ///   - bytes: the bytes that `head` was parsed from.
  ///   - caches: of the loop that has the request.
  ///   - trace: reset, then filled in as far as admission gets.
  package func admit(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, from caller: Caller, at now: UnixSeconds,
    _ caches: inout TokenCaches, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> AdmissionDecision {
    do throws(Rejection) {
      return try admitKnown(head, bytes, from: caller, at: now, &caches, noting: &trace)
    } catch {
      guard error == .tokenUnknown, introspection != nil else { throw error }
      return try admitIntrospected(head, bytes, from: caller, at: now, &caches, noting: &trace)
    }
  }

  /// The rest of `admit`, for a token that is unknown to `admitKnown`.
  package func admitIntrospected(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, from caller: Caller, at now: UnixSeconds,
    _ caches: inout TokenCaches, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> AdmissionDecision {
    let reading = AddressReading(head, bytes)
    switch try introspected(head, bytes, reading, from: caller, at: now, &caches.introspected, noting: &trace) {
    case .principal(let principal):
      return .admitted(try authorize(principal, head, bytes, reading, noting: &trace))
    case .pending(let token): return .pending(token)
    }
  }

  /// Authenticates a token that is in no policy file and that the gateway has not signed.
  ///
  /// Everything but the answer itself is decided for each request.
  func introspected(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ reading: AddressReading, from caller: Caller?,
    at now: UnixSeconds, _ cache: inout IntrospectedTokens, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Authentication {
    cache.beginAdmission()
    let presented = try presentedToken(
      head, bytes, hasTokenInQuery: reading.parameters.hasToken,
      coreKeyConflicts: reading.addressing.coreKeyConflictsWithAuthorization)
    let token = bytes.extracting(presented)
    guard let introspection, let index = introspection.provider(for: token) else { throw .tokenUnknown }
    trace.providerIndex = index
    guard !isRevoked(token) else { throw .tokenRevoked }
    let key = introspection.key(of: token, askedAt: index)
    let entry = introspection.entries[Int(index)]
    let seconds =
      mayWrite(head, bytes, reading.addressing.corePath)
      ? entry.provider.cacheWriteSeconds : entry.provider.cacheSeconds
    guard let settled = cache.result(of: key, at: now, secondsMax: seconds) else {
      if let answer = cache.refusedAnswer(about: key, at: now) {
        var attempt = trace
        _ = try principal(answer, entry, index, from: caller, at: now, &cache.refusal, noting: &attempt)
        // The policy has changed: the answer would admit the token now, and is too old for that.
      }
      return .pending(PendingToken(key: key, provider: index, token: presented))
    }
    switch settled.result {
    case .active(let answer):
      let principal = try principal(answer, entry, index, from: caller, at: now, &cache.refusal, noting: &trace)
      cache.use(settled)
      return .principal(principal)
    case .inactive: throw .tokenUnknown
    case .unavailable: throw .introspectionUnavailable
    }
  }

  /// What an answer that has just arrived says about its token, whatever is requested with it, and from wherever: a thief
  /// must not make a token unknown.
  ///
  /// - Parameter provider: which was asked, perhaps under an earlier policy.
  package func standing(
    _ result: IntrospectionResult, by provider: IntrospectionProvider, at now: UnixSeconds
  ) -> TokenStanding {
    switch result {
    case .unavailable: return .unknown
    case .inactive: return .refused
    case .active(let answer):
      guard let index = introspection?.index(of: provider), let entry = introspection?.entries[Int(index)] else {
        return .unknown
      }
      var (refusal, trace) = (AnswerRefusal?.none, AdmissionTrace())
      let principal = try? principal(answer, entry, index, from: nil, at: now, &refusal, noting: &trace)
      return principal == nil ? .refused : .admitted
    }
  }

  /// The question to repeat for a request that `settled` has admitted; nil: the answer still counts, or the policy has
  /// another provider for the token, so that the answer admits nothing any more.
  ///
  /// Only a write asks again: while its body was on the way, the token may have been revoked.
  package func questionToRepeat(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, after settled: SettledIntrospection, at now: UnixSeconds
  ) -> PendingToken? {
    let reading = AddressReading(head, bytes)
    guard let introspection,
      let presented = try? presentedToken(
        head, bytes, hasTokenInQuery: reading.parameters.hasToken,
        coreKeyConflicts: reading.addressing.coreKeyConflictsWithAuthorization),
      let index = introspection.provider(for: bytes.extracting(presented))
    else { return nil }
    let key = introspection.key(of: bytes.extracting(presented), askedAt: index)
    let seconds = max(Self.uploadSecondsMax, introspection.provider(index).cacheWriteSeconds)
    guard key == settled.key, !settled.isFresh(at: now, secondsMax: seconds) else { return nil }
    return PendingToken(key: key, provider: index, token: presented)
  }

  /// How old an answer may be when the body of its write has arrived, even if `cache_write_s` is less.
  private static var uploadSecondsMax: Int { 2 }

  // MARK: Details

  private func principal(
    _ answer: IntrospectionAnswer, _ entry: IntrospectionTable.Entry, _ index: Int32, from caller: Caller?,
    at now: UnixSeconds, _ refusal: inout AnswerRefusal?, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Principal {
    let client: Int32
    do throws(AnswerRefusal) {
      try answer.check(entry.provider, at: now)
      client = try self.client(of: answer, entry)
      trace.clientIndex = client
      try checkAge(of: answer, client)
    } catch {
      refusal = error
      throw error.rejection
    }
    guard !clients.isRevoked(Int(client)) else { throw .tokenRevoked }
    if let caller { try clients.check(caller, Int(client)) }
    var granted = ScopeSet()
    for scope in answer.scopes {
      if let set = entry.scopes[scope] { granted.formUnion(set) }
    }
    return Principal(
      expiry: answer.expiry.map { UnixSeconds($0) }, clientIndex: client, source: .introspected(index),
      scopes: granted.intersection(clients.scopes(of: Int(client))))
  }

  private func checkAge(of answer: IntrospectionAnswer, _ client: Int32) throws(AnswerRefusal) {
    guard let notBefore = clients.tokensNotBefore(of: Int(client)) else { return }
    guard let issuedAt = answer.issuedAt, issuedAt >= notBefore.rawValue else { throw .tooOld }
  }

  /// A `sub` that equals the `client_id` is the server's client itself, and no user.
  private func client(
    of answer: IntrospectionAnswer, _ entry: IntrospectionTable.Entry
  ) throws(AnswerRefusal) -> Int32 {
    let byID = answer.clientID.flatMap { entry.byClientID[$0] }
    let bySubject = answer.subject.flatMap { $0 == answer.clientID ? nil : entry.bySubject[$0] }
    guard let byID else {
      guard let bySubject else { throw .unknownClient }
      return bySubject
    }
    guard bySubject == nil || bySubject == byID else { throw .ambiguousClient }
    return byID
  }

  /// Whether the request is a write, as far as its route is known; without a route it is rejected anyway.
  private func mayWrite(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ corePath: Range<Int>) -> Bool {
    guard (try? checkPath(bytes, head.path)) != nil, let match = routes.match(bytes, corePath: corePath),
      let route = try? routes.route(head.method, at: match)
    else { return false }
    return routes.routes[Int(route)].isWrite
  }
}
