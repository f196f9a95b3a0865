import Bytes
import HTTP1
import Policies
import Reactor
import Telemetry
import Upstream

/// The gateway's own replies, and the end of every exchange.
extension Exchange {
  // MARK: Local replies

  /// Refuses the request: no byte of the present try was sent.
  func refuse(_ reply: LocalReply, _ connection: DownstreamConnection) {
    handle(.refused, connection)
    guard state.machine.response == .replying else { return }
    // A connection that was leased in vain is as good as before.
    releaseUpstream(isReusable: !state.machine.tryHasBegun)
    response.restart()
    var reply = reply
    // Only a read can have had a try before.
    if state.machine.outcome == .unknown { reply.outcome = .unknown }
    write(reply, connection)
  }

  /// Refuses a request whose head was not read to its end.
  ///
  /// - Parameter isHead: whether it is a HEAD, to which no reply has content (RFC 9110 §9.3.2).
  func refuseUnread(_ reply: LocalReply, isHead: Bool, _ connection: DownstreamConnection) {
    if isHead { state.head.method = .head }
    refuse(reply, connection)
  }

  /// Replies with what failed.
  func reply(_ fault: Fault, _ connection: DownstreamConnection) {
    dropUpstream()
    note(fault)
    write(LocalReply(fault, outcome: state.machine.outcome), connection)
  }

  private func write(_ reply: LocalReply, _ connection: DownstreamConnection) {
    record.status = reply.code.status
    record.outcome = reply.outcome?.text
    state.code = reply.code
    state.keepsAlive =
      state.head.keepsAlive && !reply.endsConnection && !worker.isEnding && bodyIsRead(from: connection)
    worker.write(
      reply, id: state.id, keepsAlive: state.keepsAlive, version: state.head.version,
      hasBody: !state.head.method.isHead,
      to: response.output)
    schedule(.deliver)
  }

  /// A probe on the client's listener, which needs no token and has no instance.
  func probe(_ input: RequestInput) -> AdminPath? {
    guard state.head.method.isRead else { return nil }
    let path = input.buffer.withBytes { bytes in AdminPath(bytes, input.parser.head.path) }
    return path?.isGuarded == false ? path : nil
  }

  func answer(_ probe: AdminPath, _ connection: DownstreamConnection) {
    if probe == .readyz, worker.isEnding { return refuse(LocalReply(Rejection.draining), connection) }
    handle(.refused, connection)
    record.status = 200
    state.keepsAlive = state.head.keepsAlive && !worker.isEnding && bodyIsRead(from: connection)
    ProbeReply.write(
      to: response.output, id: state.id, dateLine: worker.dateLine(), keepsAlive: state.keepsAlive,
      version: state.head.version, hasBody: !state.head.method.isHead)
    schedule(.deliver)
  }

  /// Answers an OPTIONS that asks about the server as a whole (RFC 9110 §9.3.7), which needs no token.
  func answerOptions(_ methods: MethodSet, _ connection: DownstreamConnection) {
    handle(.refused, connection)
    record.status = 204
    state.keepsAlive = state.head.keepsAlive && !worker.isEnding && bodyIsRead(from: connection)
    OptionsReply.write(
      methods, to: response.output, id: state.id, dateLine: worker.dateLine(), keepsAlive: state.keepsAlive,
      version: state.head.version)
    schedule(.deliver)
  }

  /// Reads over what has come of the body: when it is all there, the next request can be told apart from it.
  private func bodyIsRead(from connection: DownstreamConnection) -> Bool {
    guard let input = connection.input?.buffer else { return false }
    return request.skipBody(in: input)
  }

  /// Tells the breaker and the log what failed.
  private func note(_ fault: Fault) {
    if let access = state.access { tell(fault.breaker, access) }
    state.fault = fault
    if record.fault == nil { record.fault = fault.cause }
  }

  // MARK: The end

  func finish(_ ending: ExchangeMachine.Ending, _ connection: DownstreamConnection) {
    guard self.connection != nil else { return }
    noteEnding(ending)
    releaseUpstream(isReusable: isUpstreamReusable(ending))
    if let permit = state.permit.take() { permit.release(now: loop.nowNanoseconds) }
    // Moved out: a used exchange holds nobody's policy.
    finishRecord(connection, state.snapshot.take(), state.access.take())
    let keepsAlive = state.keepsAlive && !state.machine.clientIsGone
    let end = DownstreamConnection.ExchangeEnd(
      consumed: request.consumed, keepsAlive: keepsAlive,
      unreadBodyBytesMax: keepsAlive ? 0 : unreadBodyBytesMax,
      isCloseDelimited: response.body.framing.isUntilClose)
    request.reset()
    response.reset()
    self.connection = nil
    switch ending {
    case .complete: connection.exchangeEnded(end)
    case .cut, .clientLeft: connection.cut(end)
    }
  }

  private func noteEnding(_ ending: ExchangeMachine.Ending) {
    switch ending {
    case .complete: return
    case .cut(let fault):
      note(fault)
      if state.code == nil { state.code = fault.code }
    case .clientLeft(let fault):
      if let fault { note(fault) }
      if state.code == nil { state.code = .clientLeft }
    }
    if record.outcome == nil { record.outcome = state.machine.outcome.text }
  }

  private func isUpstreamReusable(_ ending: ExchangeMachine.Ending) -> Bool {
    guard case .complete(requestSent: true) = ending else { return false }
    return response.parser.head.keepAlive && response.isExact
  }

  /// How many bytes of the rest of its body a client may still send while it is waited for (RFC 9112 §9.6): twice the
  /// larger of the route's bound and the gateway's, so that a body that is too large does not cost its client the reply.
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
    state.times.paused(state.clock.wait, turn: loop.nowNanoseconds, now: now)
    state.times.tell(&record, now: now)
    worker.record(&record, &state, snapshot, access, of: connection)
    guard let audited = state.audited.take() else { return }
    audited.record(
      state.id,
      AuditOutcome.Word(responded: state.times.answered > 0 ? record.status : nil, state.machine.outcome),
      status: record.status, code: record.code, bodyIsWhole: request.body.isComplete)
  }

  func dropUpstream() {
    releaseUpstream(isReusable: false)
    response.restart()
  }

  private func releaseUpstream(isReusable: Bool) {
    if let upstream = state.upstream.take() {
      upstream.giveBack(isReusable: isReusable)
    } else {
      state.access?.pool.withdraw(self)
    }
  }
}
