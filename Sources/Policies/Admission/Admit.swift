import Digests
package import HTTP1

extension Policy {
  /// Decides whether a request goes to a Core, and to which one: `authenticate`, then `authorize`, of one reading.
  ///
  /// Does not allocate.
  ///
  /// - Parameters:
  ///   - bytes: what `head` was parsed from.
  ///   - digests: spares the next request with the same token its hash; decides nothing.
  ///   - trace: begun anew, and written as far as the request comes.
  package func admit(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, from peer: PeerAddress, at now: UnixSeconds,
    _ digests: inout TokenDigests, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> AdmissionDecision {
    let reading = AddressReading(head, bytes)
    switch try authenticate(head, bytes, reading, from: peer, at: now, &digests, noting: &trace) {
    case .principal(let principal):
      return .admitted(try authorize(principal, head, bytes, reading, noting: &trace))
    case .pending(let token): return .pending(token)
    }
  }

  /// Decides who makes a request: its token is known, in force and not revoked, and its client may call from this peer.
  ///
  /// Returns `.pending` for a token that only an introspection endpoint can judge.
  ///
  /// - Parameter peer: nil skips the client's networks, for an explanation; never for a request that is served.
  package func authenticate(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, from peer: PeerAddress?, at now: UnixSeconds,
    _ digests: inout TokenDigests, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Authentication {
    try authenticate(head, bytes, AddressReading(head, bytes), from: peer, at: now, &digests, noting: &trace)
  }

  /// The principal of a client, whatever token it would present; for an explanation.
  package func assume(_ clientIndex: Int32, noting trace: inout AdmissionTrace) throws(Rejection) -> Principal {
    trace = AdmissionTrace()
    trace.clientIndex = clientIndex
    guard !clients.isRevoked(Int(clientIndex)) else { throw .tokenRevoked }
    return Principal(
      expiry: nil, clientIndex: clientIndex, source: .assumed, scopes: clients.scopes(of: Int(clientIndex)))
  }

  /// Decides what a principal's request may do, and where it goes: route → scope → instance → maintenance → body.
  ///
  /// - Parameter trace: as `authenticate` left it; written on as far as the request comes.
  package func authorize(
    _ principal: Principal, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Admission {
    try authorize(principal, head, bytes, AddressReading(head, bytes), noting: &trace)
  }

  // MARK: Details

  @inline(__always)
  private func authenticate(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ reading: AddressReading, from peer: PeerAddress?,
    at now: UnixSeconds, _ digests: inout TokenDigests, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Authentication {
    trace = AdmissionTrace()
    let presented = try presentedToken(
      head, bytes, hasTokenInQuery: reading.parameters.hasToken,
      takesBoth: reading.addressing.takesCoreKeyBesideAuthorization)
    let index = try tokenIndex(presented, bytes, &digests, noting: &trace)
    let entry = tokens.entries[Int(index)]
    let client = Int(entry.clientIndex)
    trace.tokenIndex = index
    trace.clientIndex = entry.clientIndex
    if let expiry = entry.expiry, expiry <= now { throw entry.isRevoked ? .tokenRevoked : .tokenExpired }
    guard !clients.isRevoked(client) else { throw .tokenRevoked }
    if let peer, !clients.mayCall(from: peer, client) { throw .networkForbidden }
    return .principal(
      Principal(
        expiry: entry.expiry, clientIndex: entry.clientIndex, source: .file(index), scopes: clients.scopes(of: client)))
  }

  /// The index of the presented token, if the policy knows it.
  private func tokenIndex(
    _ presented: Range<Int>, _ bytes: Span<UInt8>, _ digests: inout TokenDigests, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Int32 {
    let token = bytes.extracting(presented)
    let kept = digests.digest(of: token)
    // What is kept was a b64token when it came first.
    guard kept != nil || bytes.isToken68(presented) else { throw .authorizationMalformed }
    let digest = kept ?? SHA256.digest(of: token)
    trace.tokenDigestPrefix = digest.prefix
    guard let index = tokens.index(of: digest) else { throw .tokenUnknown }
    if kept == nil { digests.keep(digest, of: token) }
    return index
  }

  @inline(__always)
  private func authorize(
    _ principal: Principal, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ reading: AddressReading,
    noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Admission {
    let addressing = reading.addressing
    let route = try route(head, bytes, addressing.corePath)
    trace.routeIndex = Int32(truncatingIfNeeded: route)
    guard principal.scopes.contains(bit: routes.routes[route].scopeBit) else {
      throw .scopeInsufficient(routes.routes[route].scope)
    }
    let pair = try reading.parameters.instancePair()
    var form = Addressing.Form.inQuery
    let instance = try resolve(
      addressing.instance, pair, head, bytes, for: Int(principal.clientIndex), &form, noting: &trace)
    let isWrite = routes.routes[route].isWrite
    if instances[instance].isRestricted { try refuse(isWrite: isWrite, at: instances[instance]) }
    let bodyBytesMax = routes.routes[route].bodyBytesMax ?? settings.limits.bodyBytesMax
    if case .length(let count) = head.framing, count > bodyBytesMax { throw .bodyTooLarge }
    return Admission(
      principal: principal, instanceIndex: trace.instanceIndex, routeIndex: trace.routeIndex, isWrite: isWrite,
      hasOwnTimes: routes.routes[route].hasOwnTimes, form: form, corePath: addressing.corePath, query: head.query,
      instanceParameter: pair,
      bodyBytesMax: bodyBytesMax)
  }

  @inline(never)
  private func refuse(isWrite: Bool, at instance: Instance) throws(Rejection) {
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

  /// The index of the instance, which the client may use.
  ///
  /// What path, query and host name must be one instance: a caller that contradicts itself would else write to a ledger
  /// that it does not mean.
  ///
  /// - Parameter pair: the pair of the query that names it.
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

  /// What a bare core path goes to: what its query names, else what its host names, else the default.
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

  /// Refuses a host of another instance than the one that was named.
  @inline(never)
  private func requireHost(
    of head: borrowing RequestHead, _ bytes: Span<UInt8>, toName index: Int32?
  ) throws(Rejection) {
    if let host = hosts.instance(of: head, bytes), host != index { throw .instanceMalformed }
  }

  /// Refuses a value of the query that is not the id in the path. They are compared as text, since what is found in the
  /// directory would tell whether an instance of somebody else exists.
  @inline(never)
  private func require(_ value: Range<Int>, sameAs id: Range<Int>, _ bytes: Span<UInt8>) throws(Rejection) {
    let name = try decodedName(value, bytes)
    guard name.count == id.count else { throw .instanceMalformed }
    for place in 0..<name.count where name.bytes[place] != bytes[id.lowerBound + place] { throw .instanceMalformed }
  }

  /// nil for a value that names no instance.
  @inline(__always)
  private func instanceIndex(_ value: Range<Int>, _ bytes: Span<UInt8>) throws(Rejection) -> Int32? {
    // No id has a percent sign, so what is found as it stands has no escape.
    if let index = directory.index(of: bytes.extracting(value)) { return index }
    guard bytes.first(UInt8(ascii: "%"), in: value) != nil else { return nil }
    let name = try decodedName(value, bytes)
    return directory.index(of: name.bytes.span.extracting(first: name.count))
  }
}

/// What path and query say to the gateway, read once for both steps.
private struct AddressReading {
  let addressing: Addressing
  let parameters: GatewayParameters

  @inline(__always)
  init(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) {
    addressing = Addressing(bytes, path: head.path)
    parameters = GatewayParameters(head.query, bytes)
  }
}
