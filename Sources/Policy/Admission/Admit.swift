package import HTTP1

extension Policy {
  /// Decides whether a request goes to a Core, and to which one: authenticate → route → authorize → resolve.
  ///
  /// `bytes` is what `head` was parsed from. `trace` is written as far as admission comes. Does not allocate.
  package func admit(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, from peer: PeerAddress, at now: UnixSeconds,
    noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Admission {
    trace = AdmissionTrace()
    let token = try authenticate(head, bytes, at: now, noting: &trace)
    let client = Int(tokens.entries[token].clientIndex)
    guard clients[client].networks.contains(peer) else { throw .networkForbidden }
    let route = try route(head, bytes)
    trace.routeIndex = Int32(truncatingIfNeeded: route)
    try authorize(client, for: route)
    let parameter = try instanceParameter(head.query, bytes)
    let instance = try resolve(parameter.value, bytes, for: client, noting: &trace)
    let isWrite = routes.routes[route].isWrite
    guard instances[instance].acceptsWrites || !isWrite else { throw .instanceReadOnly }
    return Admission(
      clientIndex: trace.clientIndex, tokenIndex: trace.tokenIndex, instanceIndex: trace.instanceIndex,
      routeIndex: trace.routeIndex, isWrite: isWrite, corePath: head.path.lowerBound + 6..<head.path.upperBound,
      query: head.query, instanceParameter: parameter.pair,
      bodyBytesMax: routes.routes[route].bodyBytesMax ?? settings.limits.bodyBytesMax)
  }

  /// The place of the one presented token, which is known, in force and not revoked.
  private func authenticate(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, at now: UnixSeconds, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Int {
    let presented = try bearerToken(head, bytes)
    guard let index = tokens.index(of: SHA256.digest(of: bytes.extracting(presented))) else { throw .tokenUnknown }
    let token = Int(index)
    trace.tokenIndex = index
    trace.clientIndex = tokens.entries[token].clientIndex
    if let expiry = tokens.entries[token].expiry, expiry <= now { throw .tokenExpired }
    guard !clients[Int(trace.clientIndex)].isRevoked else { throw .tokenRevoked }
    return token
  }

  private func route(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) throws(Rejection) -> Int {
    do throws(PathFault) {
      try checkPath(bytes, head.path)
    } catch {
      throw .pathMalformed(error)
    }
    guard let match = routes.match(bytes, path: head.path) else { throw .routeUnknown }
    return Int(try routes.route(head.method, at: match))
  }

  private func authorize(_ client: Int, for route: Int) throws(Rejection) {
    guard clients[client].scopes.contains(bit: routes.routes[route].scopeBit) else {
      throw .scopeInsufficient(routes.routes[route].scope)
    }
  }

  /// The place of the instance, which the client may use.
  private func resolve(
    _ value: Range<Int>, _ bytes: Span<UInt8>, for client: Int, noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Int {
    let index = try instanceIndex(value, bytes)
    trace.instanceIndex = index ?? -1
    guard let index, clients[client].instances.contains(index) else {
      throw clients[client].instances == .all ? .instanceUnknown : .instanceForbidden
    }
    return Int(index)
  }

  /// nil for a value that names no instance.
  private func instanceIndex(_ value: Range<Int>, _ bytes: Span<UInt8>) throws(Rejection) -> Int32? {
    var hasEscape = false
    for index in value where bytes[index] == UInt8(ascii: "%") { hasEscape = true }
    guard hasEscape else { return directory.index(of: bytes, value) }
    let name = try decodedName(value, bytes)
    return directory.index(of: name.bytes.span, 0..<name.count)
  }
}
