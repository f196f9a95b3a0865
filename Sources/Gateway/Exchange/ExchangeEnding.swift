import HTTP1
import Policies
import Reactor
import Telemetry
import Upstream

/// The gateway's own answers, and the end of every exchange.
extension Exchange {
  /// Refuses the request before anything is asked of its instance.
  func refuse(_ own: OwnAnswer, _ connection: DownstreamConnection) {
    machine.refused()
    answerOwn(own, connection)
  }

  func answerOwn(_ own: OwnAnswer, _ connection: DownstreamConnection) {
    record.status = own.status
    record.code = own.code
    record.outcome = own.outcome?.text
    keepsAlive = clientKeepsAlive && !own.closes && !worker.isDraining && bodyIsRead(from: connection)
    worker.write(
      own, id: id, keepsAlive: keepsAlive, version: version, hasBody: !method.isHead, to: answer.output)
    later()
  }

  /// Reads over what has come of the body: when it is all there, the next request can be told apart from it.
  func bodyIsRead(from connection: DownstreamConnection) -> Bool {
    guard let input = connection.input?.buffer else { return false }
    return request.skipBody(in: input)
  }

  // MARK: The end

  enum Ending {
    case complete, cut, abandoned
  }

  func end(_ ending: Ending, _ connection: DownstreamConnection) {
    guard self.connection != nil else { return }
    releaseUpstream(
      isReusable: ending == .complete && answer.parser.head.keepAlive && machine.requestIsSent && answer.isExact)
    if let permit = permit.take() { permit.release(now: loop.nowNanoseconds) }
    finishRecord(ending, connection)
    let consumed = request.consumed
    let keepsAlive = keepsAlive && !machine.clientIsGone
    let endMeansWhole = answer.body.framing.isUntilClose
    reset()
    switch ending {
    case .complete: connection.exchangeEnded(consumed: consumed, keepsAlive: keepsAlive)
    case .cut, .abandoned: connection.cut(endMeansWhole: endMeansWhole)
    }
  }

  private func finishRecord(_ ending: Ending, _ connection: DownstreamConnection) {
    if ending != .complete, record.code == nil {
      record.code = ending == .cut ? "GATEWAY_ANSWER_CUT" : "GATEWAY_CLIENT_LEFT"
      record.outcome = machine.outcome.text
    }
    record.bytesIn = request.body.byteCount
    record.bytesOut = answer.sentCount
    record.tries = machine.tries
    times.ended(clock.wait, turn: loop.nowNanoseconds, now: loop.clockNanoseconds, &record)
    // Moved out, for good: nothing comes behind the record.
    let (snapshot, access) = (snapshot.take(), access.take())
    worker.record(&record, times, of: connection, method, trace, snapshot, access)
    audited?.record(
      id, AuditOutcome.Word(answered: times.answered > 0 ? record.status : nil, machine.outcome),
      status: record.status, code: record.code, bodyIsWhole: request.body.isComplete)
  }

  func dropUpstream() {
    releaseUpstream(isReusable: false)
    answer.restart()
  }

  private func releaseUpstream(isReusable: Bool) {
    if let upstream = upstream.take() {
      upstream.giveBack(isReusable: isReusable)
    } else {
      access?.pool.withdraw(self)
    }
  }

  /// Gives everything else back, and itself to the worker.
  private func reset() {
    request.reset()
    answer.reset()
    if audited != nil { audited = nil }
    connection = nil
    admission = nil
    worker.giveBack(self)
  }
}
