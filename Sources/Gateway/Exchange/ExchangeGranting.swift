import Audit
import Bytes
import HTTP1
import OAuth
import Policies
import Reactor
import System
import Telemetry

/// Requests to the gateway's own OAuth endpoints.
extension Exchange {
  /// Asked before the settings are read: with a token endpoint, each request would take 7,000 instructions more for a copy
  /// of them and the path of the issuer.
  @inline(__always)
  func mayBeOAuthPath(_ input: RequestInput) -> Bool {
    input.buffer.withBytes { bytes in OAuthPath.mayBe(bytes, input.parser.head.path) }
  }

  /// The path of an OAuth endpoint; nil for other requests.
  @inline(never)
  func oauthPath(_ input: RequestInput) -> OAuthPath? {
    input.buffer.withBytes { bytes in
      guard let oauth = worker.snapshot.policy.settings.oauth else { return nil }
      return OAuthPath(bytes, input.parser.head.path, issuerPath: oauth.issuerPath)
    }
  }

  /// Answers a request for a document, or starts to read a form.
  func beginOAuth(_ path: OAuthPath, _ connection: DownstreamConnection) {
    guard let settings = worker.snapshot.policy.settings.oauth else { return }
    state.oauthPath = path
    guard path.takesForm else {
      guard state.head.method.isRead else { return answer(.methodNotAllowed("GET, HEAD"), connection) }
      let scopes = worker.snapshot.policy.scopes.names
      switch path {
      case .serverMetadata: return answer(.serverMetadata(settings, scopes: scopes), connection)
      case .resourceMetadata: return answer(.resourceMetadata(settings, scopes: scopes), connection)
      case .authorize, .token, .revoke: return answer(.authorize, connection)
      }
    }
    guard state.head.method == .post else { return answer(.methodNotAllowed("POST"), connection) }
    request.limitBody(to: FormBody.bytesMax)
    handle(.formBegan, connection)
    collectForm(connection)
  }

  /// Reads the form until it is complete.
  func collectForm(_ connection: DownstreamConnection) {
    while true {
      switch collect(connection) {
      case .bytes: return handle(.formCollected, connection)
      case .rejected(let fault): return handle(.bodyRejected(fault), connection)
      case .exhausted: break
      }
      switch receiveBody(connection) {
      case .bytes: break
      case .none: return suspend()
      case .downstreamClosed: return
      }
    }
  }

  /// Decides about a complete form.
  func answerForm(_ connection: DownstreamConnection) {
    guard let input = connection.input, let grants = worker.grants else { return }
    // The policy may have changed while the form was read. Its tables, and no others, know the client that is noted.
    let snapshot = worker.snapshot
    state.snapshot = snapshot
    do throws(OAuthError) {
      let form = try form(input)
      let policy = snapshot.policy
      let client = try authenticate(form, input, policy, grants.registry, connection)
      try limit(client, snapshot)
      switch state.oauthPath {
      case .token: try grant(form, to: client, policy, grants, connection)
      case .revoke: try revoke(form, by: client, policy, grants, connection)
      case .authorize, .serverMetadata, .resourceMetadata, nil: break
      }
    } catch {
      refuse(error, connection)
    }
  }

  /// The registry has written a file for this exchange, or has failed to. Ignored if the exchange no longer waits.
  func grantSettled(_ outcome: GrantPort.Outcome) {
    state.grantTicket = nil
    guard let connection, state.machine.request == .awaitingGrant else { return }
    handle(.grantSettled, connection)
    switch outcome {
    case .granted(let grant): answer(OAuthReply(grant), connection)
    case .revoked: answer(.revoked, connection)
    case .refused(let error): answer(error, connection)
    }
  }

  // MARK: Details

  private func form(_ input: RequestInput) throws(OAuthError) -> FormBody {
    guard input.buffer.withBytes({ bytes in input.parser.head.hasForm(bytes) }) else {
      throw OAuthError(.invalidRequest, "Send a body of type application/x-www-form-urlencoded.")
    }
    do throws(FormFault) {
      return try request.withCollected { bytes throws(FormFault) in try FormBody(bytes) }
    } catch {
      throw OAuthError(error)
    }
  }

  private func authenticate(
    _ form: FormBody, _ input: RequestInput, _ policy: Policy, _ registry: GrantRegistry,
    _ connection: DownstreamConnection
  ) throws(OAuthError) -> Int32 {
    let credentials = try input.buffer.withBytes { bytes throws(OAuthError) in
      guard let range = try input.parser.head.authorization() else {
        return try ClientCredentials(authorization: nil, form: form)
      }
      return try ClientCredentials(authorization: bytes.extracting(range), form: form)
    }
    let caller = connection.peer.caller
    do throws(OAuthError) {
      let client = try policy.authenticate(credentials, from: caller, at: wallSeconds)
      state.trace.noteClient(client)
      return client
    } catch {
      let wait = registry.authenticationFailed(caller.address, now: loop.now)
      guard wait > 0 else { throw error }
      var error = OAuthError(.slowDown, "Too many failed authentications. Retry later.")
      error.retryAfterSeconds = Int((wait + 999) / 1_000)
      throw error
    }
  }

  private func grant(
    _ form: FormBody, to client: Int32, _ policy: Policy, _ grants: GrantPort, _ connection: DownstreamConnection
  ) throws(OAuthError) {
    let request = try TokenRequest(form)
    if case .authorizationCode = request, worker.isEnding, !grants.registry.hasFolder {
      // Its successor would not know that the code was used.
      throw .shuttingDown
    }
    let audit = auditor(connection)
    let grant: TokenGrant
    do throws(OAuthError) {
      grant = try policy.grant(request, to: client, at: wallSeconds, memory: grants.registry)
    } catch {
      guard let code = error.usedCode else { throw error }
      let name = String(decoding: policy.clients.id(of: Int(client)), as: UTF8.self)
      guard let ticket = try grants.revokeGrant(ofUsed: code, of: name, for: self, audit: audit) else { throw error }
      return wait(for: ticket, connection)
    }
    guard grant.kind == .authorizationCode, grants.registry.hasFolder else {
      audit(.granted(grant))
      return answer(OAuthReply(grant), connection)
    }
    wait(for: grants.settle(code: grant.grant, grant, for: self, audit: audit), connection)
  }

  private func revoke(
    _ form: FormBody, by client: Int32, _ policy: Policy, _ grants: GrantPort, _ connection: DownstreamConnection
  ) throws(OAuthError) {
    guard let token = form["token"] else { throw OAuthError(.invalidRequest, "token is missing.") }
    guard grants.registry.hasFolder else {
      throw OAuthError(.unsupportedTokenType, "This gateway has no folder for revocations (oauth.revocations).")
    }
    let revocation = try policy.revocation(
      of: token, by: client, at: wallSeconds, expiredBy: UnixSeconds(grants.registry.confirmedNow))
    guard let (id, expiry) = revocation else { return answer(.revoked, connection) }
    let name = String(decoding: policy.clients.id(of: Int(client)), as: UTF8.self)
    let audit = auditor(connection)
    guard let ticket = try grants.revoke(id, until: expiry, by: name, for: self, audit: audit) else {
      audit(.revoked(id))
      return answer(.revoked, connection)
    }
    wait(for: ticket, connection)
  }

  /// `grantSettled` comes with the outcome.
  private func wait(for ticket: Ticket, _ connection: DownstreamConnection) {
    handle(.grantBegan, connection)
    state.grantTicket = ticket
    suspend()
  }

  /// A request counts as one of the client's writes; and nothing is granted or revoked that the audit log would not show.
  private func limit(_ client: Int32, _ snapshot: Snapshot) throws(OAuthError) {
    if let audit = worker.audit, !audit.channel.acceptsGrants {
      var error = OAuthError(.temporarilyUnavailable, "The audit log of the gateway cannot be written. Retry later.")
      error.retryAfterSeconds = 1
      throw error
    }
    guard let limiter = snapshot.generation.limiter(of: client) else { return }
    do throws(Rejection) {
      try limiter.enter(isWrite: true, now: loop.nowNanoseconds)
      limiter.leave()
    } catch {
      var fault = OAuthError(.slowDown, "The client has used up its rate limit. Retry later.")
      fault.retryAfterSeconds = error.retryAfterSeconds ?? 1
      throw fault
    }
  }

  private func refuse(_ error: OAuthError, _ connection: DownstreamConnection) {
    if state.trace.clientIndex >= 0 {
      auditor(connection)(.refused(error))
    } else if error.code != .slowDown, let omitted = worker.refusals.take(now: loop.now) {
      auditor(connection, omitted: omitted)(.refused(error))
    }
    answer(error, connection)
  }

  /// Records the outcome of this request, on any thread, now or after its exchange has ended.
  ///
  /// - Parameter omitted: the refusals of others that were left out.
  private func auditor(
    _ connection: DownstreamConnection, omitted: Int = 0
  ) -> @Sendable (GrantPort.Outcome) -> Void {
    guard let channel = worker.audit?.channel else { return { _ in } }
    var request = AuditGrant(requestIDHigh: state.id.high, requestIDLow: state.id.low)
    request.peer = connection.peer.text
    request.via = connection.peer.via
    request.omitted = omitted
    let client = Int(state.trace.clientIndex)
    if client >= 0, let policy = state.snapshot?.policy { request.client = Array(policy.clients.id(of: client)) }
    return { [request] outcome in
      var entry = request
      switch outcome {
      case .granted(let grant):
        entry.event = .granted
        entry.grantType = grant.kind.rawValue
        entry.scope = grant.scope
        entry.tokenID = grant.accessTokenID.hex
        entry.grantID = grant.grant.hex
      case .revoked(let id):
        entry.event = .revoked
        entry.grantID = id.hex
      case .refused(let error):
        entry.event = .refused
        entry.error = error.code.rawValue
      }
      channel.record(entry)
    }
  }

  private func answer(_ error: OAuthError, _ connection: DownstreamConnection) {
    state.code =
      switch error.code {
      case .invalidClient: .oauthClientInvalid
      case .temporarilyUnavailable: .oauthUnavailable
      case .invalidRequest, .invalidGrant, .unauthorizedClient, .unsupportedGrantType, .unsupportedTokenType,
        .invalidScope, .slowDown:
        .oauthRefused
      }
    record.fault = error.description
    answer(OAuthReply(error), connection)
  }

  private func answer(_ reply: OAuthReply, _ connection: DownstreamConnection) {
    handle(.answeredLocally, connection)
    record.status = reply.status
    state.keepsAlive = state.head.keepsAlive && !worker.isEnding && skipBody(of: connection)
    write(reply)
    schedule(.deliver)
  }

  func write(_ reply: OAuthReply) {
    reply.write(
      to: response.output, id: state.id, dateLine: worker.dateLine(), keepsAlive: state.keepsAlive,
      version: state.head.version, hasBody: !state.head.method.isHead)
  }
}

extension OAuthError {
  fileprivate static var shuttingDown: OAuthError {
    var error = OAuthError(.temporarilyUnavailable, "This process of the gateway is shutting down. Retry.")
    error.retryAfterSeconds = 1
    return error
  }
}

extension OAuthReply {
  fileprivate static func methodNotAllowed(_ methods: StaticString) -> OAuthReply {
    OAuthReply(
      status: 405, body: OAuthError(.invalidRequest, "The endpoint does not support this method.").body, allow: methods)
  }
}

extension RequestHead {
  /// Whether it announces an `application/x-www-form-urlencoded` body, once.
  fileprivate borrowing func hasForm(_ bytes: Span<UInt8>) -> Bool {
    var found: Range<Int>?
    for index in fields.indices where fields[index].kind == .contentType {
      guard found == nil else { return false }
      found = fields[index].value
    }
    guard let found else { return false }
    let expected = Array("application/x-www-form-urlencoded".utf8)
    guard found.count >= expected.count else { return false }
    for index in expected.indices where bytes[found.lowerBound + index] | 0x20 != expected[index] { return false }
    // A parameter such as charset may follow.
    let end = found.lowerBound + expected.count
    return end == found.upperBound || [UInt8(ascii: ";"), UInt8(ascii: " ")].contains(bytes[end])
  }

  /// The value of the Authorization field; nil: there is none.
  fileprivate borrowing func authorization() throws(OAuthError) -> Range<Int>? {
    var found: Range<Int>?
    for index in fields.indices where fields[index].kind == .authorization {
      guard found == nil else { throw OAuthError(.invalidRequest, "Send one Authorization field.") }
      found = fields[index].value
    }
    return found
  }
}
