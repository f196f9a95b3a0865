import Digests
package import HTTP1

extension Policy {
  /// Decides whether a request goes to a Core, and to which one: authenticate → route → authorize → resolve.
  ///
  /// `bytes` is what `head` was parsed from. `trace` is written as far as admission comes. Does not allocate.
  ///
  /// - Parameters:
  ///   - peer: nil leaves the client's networks out, for an explanation; never for a request that is served.
  ///   - digests: what spares the same token's next request its hash, and decides nothing.
  package func admit(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, from peer: PeerAddress?, at now: UnixSeconds,
    _ digests: inout TokenDigests, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Admission {
    trace = AdmissionTrace()
    let addressing = Addressing(bytes, path: head.path)
    let parameters = GatewayParameters(head.query, bytes)
    let presented = try presentedToken(
      head, bytes, hasTokenInQuery: parameters.hasToken, takesCoreKey: addressing.takesCoreKey)
    try authenticate(presented, bytes, at: now, &digests, noting: &trace)
    if let peer, !clients.mayCall(from: peer, Int(trace.clientIndex)) { throw .networkForbidden }
    return try admit(head, bytes, addressing, parameters, noting: &trace)
  }

  /// The same for a client that is known already: what a principal may do, whatever its token.
  package func admit(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, as clientIndex: Int32, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Admission {
    trace = AdmissionTrace()
    trace.clientIndex = clientIndex
    guard !clients.isRevoked(Int(clientIndex)) else { throw .tokenRevoked }
    return try admit(
      head, bytes, Addressing(bytes, path: head.path), GatewayParameters(head.query, bytes), noting: &trace)
  }

  /// The presented token is known, in force and not revoked.
  private func authenticate(
    _ presented: Range<Int>, _ bytes: Span<UInt8>, at now: UnixSeconds, _ digests: inout TokenDigests,
    noting trace: inout AdmissionTrace
  ) throws(Rejection) {
    let token = bytes.extracting(presented)
    let kept = digests.digest(of: token)
    // What is kept was a b64token when it came first.
    guard kept != nil || bytes.isToken68(presented) else { throw .authorizationMalformed }
    let digest = kept ?? SHA256.digest(of: token)
    trace.tokenDigestPrefix = digest.prefix
    guard let index = tokens.index(of: digest) else { throw .tokenUnknown }
    if kept == nil { digests.keep(digest, of: token) }
    trace.tokenIndex = index
    trace.clientIndex = tokens.entries[Int(index)].clientIndex
    if let expiry = tokens.entries[Int(index)].expiry, expiry <= now { throw .tokenExpired }
    guard !clients.isRevoked(Int(trace.clientIndex)) else { throw .tokenRevoked }
  }

  @inline(__always)
  private func admit(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ addressing: Addressing, _ parameters: GatewayParameters,
    noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Admission {
    let client = Int(trace.clientIndex)
    let route = try route(head, bytes, addressing.corePath)
    trace.routeIndex = Int32(truncatingIfNeeded: route)
    try authorize(client, for: route)
    let pair = try instancePair(parameters, addressing.instance)
    let instance = try resolve(addressing.instance, pair, bytes, for: client, noting: &trace)
    let isWrite = routes.routes[route].isWrite
    guard instances[instance].acceptsWrites || !isWrite else { throw .instanceReadOnly }
    return Admission(
      clientIndex: trace.clientIndex, tokenIndex: trace.tokenIndex, instanceIndex: trace.instanceIndex,
      routeIndex: trace.routeIndex, isWrite: isWrite, form: addressing.form, corePath: addressing.corePath,
      query: head.query, instanceParameter: pair,
      bodyBytesMax: routes.routes[route].bodyBytesMax ?? settings.limits.bodyBytesMax)
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

  @inline(__always)
  private func authorize(_ client: Int, for route: Int) throws(Rejection) {
    guard clients.scopes(of: client).contains(bit: routes.routes[route].scopeBit) else {
      throw .scopeInsufficient(routes.routes[route].scope)
    }
  }

  /// The pair of the query that names the instance; nil where the path does.
  @inline(__always)
  private func instancePair(
    _ parameters: GatewayParameters, _ instance: Addressing.Instance
  ) throws(Rejection) -> Range<Int>? {
    switch instance {
    case .inQuery: return try parameters.requiredInstance()
    case .inPath, .byDefault:
      try parameters.refuseInstance()
      return nil
    }
  }

  /// The place of the instance, which the client may use.
  @inline(__always)
  private func resolve(
    _ instance: Addressing.Instance, _ pair: Range<Int>?, _ bytes: Span<UInt8>, for client: Int,
    noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Int {
    let index: Int32?
    switch instance {
    case .inQuery: index = try instanceIndex(GatewayParameters.value(ofInstance: pair ?? 0..<0), bytes)
    case .inPath(let id): index = directory.index(of: bytes.extracting(id))
    case .byDefault:
      guard let byDefault = clients.defaultInstance(of: client) else { throw .instanceRequired }
      index = byDefault
    }
    trace.instanceIndex = index ?? -1
    guard let index, clients.mayUse(index, client) else {
      throw clients.mayUseAllInstances(client) ? .instanceUnknown : .instanceForbidden
    }
    return Int(index)
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
