import Audit
import Bytes
import HTTP1
import Policies
import Reactor
import Telemetry
import Upstream

/// Local replies, and the end of every exchange.
extension Exchange {
  // MARK: Local replies

  /// Rejects the request. No byte of the current try was sent.
  func reject(_ reply: consuming LocalReply, _ connection: DownstreamConnection) {
    handle(.answeredLocally, connection)
    guard state.machine.response == .replying || state.machine.response == .releasing else { return }
    // A connection on which no byte of this request was sent is still reusable.
    releaseUpstream(isReusable: !state.machine.tryHasBegun)
    response.restart()
    // A read may have had an earlier try.
    if state.machine.outcome == .unknown { reply.outcome = .unknown }
    write(reply, connection)
  }

  /// Rejects a request whose head is incomplete or malformed.
  ///
  /// - Parameter isHead: whether the method is HEAD: the reply has no content (RFC 9110 §9.3.2).
  func rejectUnread(_ reply: LocalReply, isHead: Bool, _ connection: DownstreamConnection) {
    if isHead { state.head.method = .head }
    reject(reply, connection)
  }

  /// Replies with a fault.
  func reply(_ fault: Fault, _ connection: DownstreamConnection) {
    dropUpstream()
    note(fault)
    var reply = LocalReply(fault, outcome: state.machine.outcome)
    if fault == .bodyTooLarge, let limit = keyedBodyBytesMax {
      reply.message = .bodyTooLarge(withKey: limit)
      // The key was not looked up: an earlier request with it may have been sent.
      reply.outcome = nil
    }
    if fault == .journalTimedOut, state.keyed?.isReading == true { reply = .keyUnreadable }
    write(reply, connection)
  }

  private func write(_ reply: LocalReply, _ connection: DownstreamConnection) {
    record.status = reply.code.status
    record.outcome = reply.outcome?.text
    state.code = reply.code
    state.keepsAlive =
      state.head.keepsAlive && !reply.endsConnection && !worker.isEnding && skipBody(of: connection)
    if state.oauthPath == nil {
      worker.write(
        reply, id: state.id, keepsAlive: state.keepsAlive, version: state.head.version,
        hasBody: !state.head.method.isHead,
        to: response.output)
    } else {
      write(OAuthReply(reply))
    }
    guard state.machine.holdsKey else { return schedule(.deliver) }
    if state.machine.response == .releasing { return releaseKey(connection) }
    // Core may have executed the request. A retry learns that from now on.
    state.keyed?.end(wasSent: true)
    schedule(.deliver)
  }

  /// The path of a health probe on a proxy listener, which needs no token and has no instance; nil for other requests.
  func probePath(_ input: RequestInput) -> AdminPath? {
    guard state.head.method.isRead else { return nil }
    let path = input.buffer.withBytes { bytes in AdminPath(bytes, input.parser.head.path) }
    return path?.isGuarded == false ? path : nil
  }

  func answer(_ probe: AdminPath, _ connection: DownstreamConnection) {
    if probe == .readyz, worker.isEnding { return reject(LocalReply(Rejection.draining), connection) }
    handle(.answeredLocally, connection)
    record.status = 200
    state.keepsAlive = state.head.keepsAlive && !worker.isEnding && skipBody(of: connection)
    FixedReply.writeHealthy(
      to: response.output, id: state.id, dateLine: worker.dateLine(), keepsAlive: state.keepsAlive,
      version: state.head.version, hasBody: !state.head.method.isHead)
    schedule(.deliver)
  }

  /// Answers `OPTIONS *`, which needs no token (RFC 9110 §9.3.7).
  func answerOptions(_ methods: MethodSet, _ connection: DownstreamConnection) {
    handle(.answeredLocally, connection)
    record.status = 204
    state.keepsAlive = state.head.keepsAlive && !worker.isEnding && skipBody(of: connection)
    FixedReply.writeOptions(
      methods, to: response.output, id: state.id, dateLine: worker.dateLine(), keepsAlive: state.keepsAlive,
      version: state.head.version)
    schedule(.deliver)
  }

  /// Skips the received part of the body; true if that is all of it, so that the next request can follow.
  func skipBody(of connection: DownstreamConnection) -> Bool {
    guard let input = connection.input?.buffer else { return false }
    return request.skipBody(in: input)
  }

  /// Reports a fault to the breaker and the log.
  private func note(_ fault: Fault) {
    if let access = state.access { report(fault.breaker, to: access) }
    state.fault = fault
    if record.fault == nil { record.fault = fault.cause }
  }

  // MARK: The end

  @_optimize(speed)
  func finish(_ ending: ExchangeMachine.Ending, _ connection: DownstreamConnection) {
    guard self.connection != nil else { return }
    noteEnding(ending)
    releaseUpstream(isReusable: isUpstreamReusable(ending))
    if let keyed = state.keyed.take() { keyed.end(wasSent: state.machine.outcome == .unknown) }
    if let ticket = state.grantTicket { worker.grants?.withdraw(ticket) }
    if introspection != nil { endIntrospection() }
    if let permit = state.permit.take() { permit.release(now: loop.nowNanoseconds) }
    // Moved out, so that an exchange in the free list retains no policy.
    finishRecord(connection, state.snapshot.take(), state.access.take())
    let keepsAlive = state.keepsAlive && !state.machine.downstreamIsClosed
    let end = DownstreamConnection.ExchangeEnd(
      consumed: request.consumed, keepsAlive: keepsAlive,
      unreadBodyBytesMax: keepsAlive ? 0 : unreadBodyBytesMax,
      isCloseDelimited: response.body.framing.isUntilClose)
    request.reset()
    response.reset()
    self.connection = nil
    switch ending {
    case .complete: connection.exchangeEnded(end)
    case .cut, .downstreamClosed: connection.cut(end)
    }
  }

  private func noteEnding(_ ending: ExchangeMachine.Ending) {
    switch ending {
    case .complete: return
    case .cut(let fault):
      note(fault)
      if state.code == nil { state.code = fault.code }
    case .downstreamClosed(let fault):
      if let fault { note(fault) }
      if state.code == nil { state.code = .clientLeft }
    }
    if record.outcome == nil { record.outcome = state.machine.outcome.text }
  }

  private func isUpstreamReusable(_ ending: ExchangeMachine.Ending) -> Bool {
    guard case .complete(requestSent: true) = ending else { return false }
    return response.parser.head.keepAlive && response.hasNoTrailingBytes
  }

  /// How many bytes of the unread body the lingering close still reads (RFC 9112 §9.6): twice the larger of the route's
  /// and the gateway's limit, so that the sender of a body that is too large still gets the reply.
  private var unreadBodyBytesMax: Int {
    let limit = worker.snapshot.policy.settings.limits.bodyBytesMax
    return 2 * max(limit, state.admission?.bodyBytesMax ?? 0)
  }

  private func finishRecord(_ connection: DownstreamConnection, _ snapshot: Snapshot?, _ access: InstanceAccess?) {
    if let code = state.code { record.code = code.text }
    record.bytesIn = request.body.byteCount
    record.bytesOut = response.sentCount
    record.tries = state.machine.tries
    let now = loop.clockNanoseconds
    state.times.suspended(state.clock.wait, turn: loop.nowNanoseconds, now: now)
    state.times.write(to: &record, now: now)
    worker.record(&record, &state, snapshot, access, of: connection)
    guard let audited = state.audited.take() else { return }
    response.endReading()
    audited.record(
      state.id,
      AuditOutcome.Kind(responded: state.times.responseBegan > 0 ? record.status : nil, state.machine.outcome),
      status: record.status, code: record.code, bodyIsWhole: request.body.isComplete)
  }

  func dropUpstream() {
    releaseUpstream(isReusable: false)
    response.restart()
  }

  private func releaseUpstream(isReusable: Bool) {
    if let upstream = state.upstream.take() {
      upstream.release(isReusable: isReusable)
    } else {
      state.access?.pool.withdraw(self)
    }
  }
}
