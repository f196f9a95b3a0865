import Digests
package import HTTP1

extension Policy {
  /// As `admit`, but every token that is neither in a policy file nor signed by the gateway is unknown. Almost all requests
  /// need no more, and the rest of `admit` would cost them 60 instructions.
  ///
  /// Does not allocate.
  ///
  /// - Parameters:
  ///   - bytes: the bytes that `head` was parsed from.
  ///   - caches: of the loop that has the request.
  ///   - trace: reset, then filled in as far as admission gets.
  @_optimize(speed)
  package func admitKnown(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, from caller: Caller, at now: UnixSeconds,
    _ caches: inout TokenCaches, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> AdmissionDecision {
    let reading = AddressReading(head, bytes)
    switch try authenticate(head, bytes, reading, from: caller, at: now, &caches, noting: &trace) {
    case .principal(let principal):
      return .admitted(try authorize(principal, head, bytes, reading, noting: &trace))
    case .pending(let token): return .pending(token)
    }
  }

  /// Identifies the principal of a request. Its token must be known, unexpired and not revoked, and its client allowed
  /// to call from this address and with this certificate.
  ///
  /// Returns `.pending` for a token that only an introspection endpoint can verify.
  ///
  /// - Parameter caller: nil skips the checks of the client's networks and certificates; for `explain` only.
  package func authenticate(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, from caller: Caller?, at now: UnixSeconds,
    _ caches: inout TokenCaches, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Authentication {
    let reading = AddressReading(head, bytes)
    do throws(Rejection) {
      return try authenticate(head, bytes, reading, from: caller, at: now, &caches, noting: &trace)
    } catch {
      guard error == .tokenUnknown, introspection != nil else { throw error }
      return try introspected(head, bytes, reading, from: caller, at: now, &caches.introspected, noting: &trace)
    }
  }

  /// The principal of a client without a token; for `explain` only.
  package func assume(_ clientIndex: Int32, noting trace: inout AdmissionTrace) throws(Rejection) -> Principal {
    trace = AdmissionTrace()
    trace.clientIndex = clientIndex
    guard !clients.isRevoked(Int(clientIndex)) else { throw .tokenRevoked }
    return Principal(
      expiry: nil, clientIndex: clientIndex, source: .assumed, scopes: clients.scopes(of: Int(clientIndex)))
  }

  /// Decides whether a principal may make a request, and where it goes: route → scope → instance → maintenance → body.
  ///
  /// - Parameter trace: as `authenticate` left it; filled in further as far as admission gets.
  package func authorize(
    _ principal: Principal, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Admission {
    try authorize(principal, head, bytes, AddressReading(head, bytes), noting: &trace)
  }

  // MARK: Details

  @inline(__always)
  private func authenticate(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ reading: AddressReading, from caller: Caller?,
    at now: UnixSeconds, _ caches: inout TokenCaches, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Authentication {
    trace = AdmissionTrace()
    let presented = try presentedToken(
      head, bytes, hasTokenInQuery: reading.parameters.hasToken,
      coreKeyConflicts: reading.addressing.coreKeyConflictsWithAuthorization)
    if mayBeSigned(presented),
      let principal = try signedPrincipal(bytes.extracting(presented), at: now, &caches.signed, noting: &trace)
    {
      guard !clients.isRevoked(Int(principal.clientIndex)) else { throw .tokenRevoked }
      if let caller { try clients.check(caller, Int(principal.clientIndex)) }
      return .principal(principal)
    }
    let index = try tokenIndex(presented, bytes, &caches.digests, noting: &trace)
    let entry = tokens.entries[Int(index)]
    let client = Int(entry.clientIndex)
    trace.tokenIndex = index
    trace.clientIndex = entry.clientIndex
    if entry.hasEnded(at: now) { throw entry.isRevoked ? .tokenRevoked : .tokenExpired }
    guard !clients.isRevoked(client) else { throw .tokenRevoked }
    if let caller { try clients.check(caller, client) }
    return .principal(
      Principal(
        expiry: entry.expiry, clientIndex: entry.clientIndex, source: .file(index), scopes: clients.scopes(of: client)))
  }

  /// The index of the presented token, if the policy knows it.
  private func tokenIndex(
    _ presented: Range<Int>, _ bytes: Span<UInt8>, _ digests: inout TokenDigests, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Int32 {
    let token = bytes.extracting(presented)
    let cached = digests.digest(of: token)
    // A cached token was checked to be a b64token before it was cached.
    guard cached != nil || bytes.isToken68(presented) else { throw .authorizationMalformed }
    let digest = cached ?? SHA256.digest(of: token)
    trace.tokenDigestPrefix = digest.prefix
    guard let index = tokens.index(of: digest) else { throw .tokenUnknown }
    if cached == nil { digests.insert(digest, of: token) }
    return index
  }

  @inline(__always)
  func authorize(
    _ principal: Principal, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ reading: AddressReading,
    noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Admission {
    let addressing = reading.addressing
    let route = try route(head, bytes, addressing.corePath)
    trace.routeIndex = Int32(truncatingIfNeeded: route)
    guard allows(principal.scopes, route) else {
      throw .scopeInsufficient(routes.routes[route].scope)
    }
    let pair = try reading.parameters.instancePair()
    var form = Addressing.Form.inQuery
    let instance = try resolve(
      addressing.instance, pair, head, bytes, for: Int(principal.clientIndex), &form, noting: &trace)
    let isWrite = routes.routes[route].isWrite
    if instances[instance].isRestricted { try checkRestrictions(of: instances[instance], isWrite: isWrite) }
    let bodyBytesMax = routes.routes[route].bodyBytesMax ?? hot.bodyBytesMax
    if case .length(let count) = head.framing, count > bodyBytesMax { throw .bodyTooLarge }
    return Admission(
      principal: principal, instanceIndex: trace.instanceIndex, routeIndex: trace.routeIndex, isWrite: isWrite,
      hasOwnTimes: routes.routes[route].hasOwnTimes, keyRule: routes.routes[route].keyRule, form: form,
      corePath: addressing.corePath, query: head.query, instanceParameter: pair,
      bodyBytesMax: bodyBytesMax)
  }

  /// Whether scopes include that of a route.
  @inline(__always)
  func allows(_ scopes: ScopeSet, _ route: Int) -> Bool { scopes.contains(bit: routes.routes[route].scopeBit) }

  @inline(never)
  func checkRestrictions(of instance: Instance, isWrite: Bool) throws(Rejection) {
    if instance.isMisconfigured { throw .instanceMisconfigured }
    if isWrite { throw .instanceReadOnly }
  }

  @inline(__always)
  private func route(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ corePath: Range<Int>
  ) throws(Rejection) -> Int {
    do throws(PathFault) {
      try checkPath(bytes, head.path)
    } catch {
      throw .pathMalformed(error)
    }
    guard let match = routes.match(bytes, corePath: corePath) else { throw .routeUnknown }
    return Int(try routes.route(head.method, at: match))
  }

  /// The index of the instance that the request names and the client may use.
  ///
  /// Path, query and host must not name different instances: otherwise the caller could write to the wrong ledger.
  ///
  /// - Parameter pair: the query's `instance_id` pair; nil: none.
  @inline(__always)
  private func resolve(
    _ instance: Addressing.Instance, _ pair: Range<Int>?, _ head: borrowing RequestHead, _ bytes: Span<UInt8>,
    for client: Int, _ form: inout Addressing.Form, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Int {
    let index: Int32?
    switch instance {
    case .inQuery:
      guard let pair else { throw .instanceRequired }
      index = try instanceIndex(GatewayParameters.value(ofInstance: pair), bytes)
    case .inPath(let id):
      form = .inPath
      if let pair { try require(GatewayParameters.value(ofInstance: pair), sameAs: id, bytes) }
      index = directory.index(of: bytes.extracting(id))
    case .byDefault: index = try instanceOfCorePath(pair, head, bytes, for: client, &form)
    }
    if !hosts.isEmpty { try requireHost(of: head, bytes, toName: index) }
    trace.instanceIndex = index ?? -1
    guard let index, clients.mayUse(index, client) else {
      throw clients.mayUseAllInstances(client) ? .instanceUnknown : .instanceForbidden
    }
    return Int(index)
  }

  /// The instance of a bare core path: named by its query, else by its host, else the default.
  @inline(never)
  private func instanceOfCorePath(
    _ pair: Range<Int>?, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, for client: Int,
    _ form: inout Addressing.Form
  ) throws(Rejection) -> Int32? {
    if let pair {
      form = .inQueryOfCorePath
      return try instanceIndex(GatewayParameters.value(ofInstance: pair), bytes)
    }
    if !hosts.isEmpty, let host = hosts.instance(of: head, bytes) {
      form = .byHost
      return host
    }
    form = .byDefault
    guard let byDefault = clients.defaultInstance(of: client) else { throw .instanceRequired }
    return byDefault
  }

  /// Rejects a host that belongs to an instance other than `index`.
  @inline(never)
  private func requireHost(
    of head: borrowing RequestHead, _ bytes: Span<UInt8>, toName index: Int32?
  ) throws(Rejection) {
    if let host = hosts.instance(of: head, bytes), host != index { throw .instanceMalformed }
  }

  /// Rejects a query value that differs from the id in the path. Compares text, because the result of a directory
  /// lookup would reveal whether another client's instance exists.
  @inline(never)
  private func require(_ value: Range<Int>, sameAs id: Range<Int>, _ bytes: Span<UInt8>) throws(Rejection) {
    let name = try decodedName(value, bytes)
    guard name.count == id.count else { throw .instanceMalformed }
    for index in 0..<name.count where name.bytes[index] != bytes[id.lowerBound + index] { throw .instanceMalformed }
  }

  /// The index of the instance that a query value names; nil: no such instance.
  @inline(__always)
  private func instanceIndex(_ value: Range<Int>, _ bytes: Span<UInt8>) throws(Rejection) -> Int32? {
    // Ids contain no percent sign, so a direct hit needs no decoding.
    if let index = directory.index(of: bytes.extracting(value)) { return index }
    guard bytes.first(UInt8(ascii: "%"), in: value) != nil else { return nil }
    let name = try decodedName(value, bytes)
    return directory.index(of: name.bytes.span.extracting(first: name.count))
  }
}

/// The parts of path and query that are for the gateway itself, parsed once for both steps.
struct AddressReading {
  let addressing: Addressing
  let parameters: GatewayParameters

  @inline(__always)
  init(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) {
    addressing = Addressing(bytes, path: head.path)
    parameters = GatewayParameters(head.query, bytes)
  }
}
