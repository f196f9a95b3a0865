import Audit
import Bytes
import Counters
import HTTP1
import Policies
import Reactor
import Telemetry

/// Requests whose token only an introspection endpoint can verify.
extension Exchange {
  /// What an exchange knows about the introspection of its token.
  enum Introspection {
    case waiting(IntrospectionPort.Question)
    /// The result that admits or rejects the request. Its endpoint is not asked again for this request.
    case settled(SettledIntrospection)
  }

  /// Asks the endpoint, and waits.
  @inline(never)
  func introspect(_ pending: PendingToken, _ snapshot: Snapshot, _ connection: DownstreamConnection) {
    guard let port = worker.introspection, let table = snapshot.policy.introspection, let input = connection.input
    else { return reject(LocalReply(Rejection.tokenUnknown), connection) }
    // Its provider was replaced while it waited.
    if case .settled = introspection {
      record.fault = "the token's introspection provider has changed during the request"
      return reject(LocalReply(Rejection.introspectionUnavailable), connection)
    }
    let token = input.buffer.withBytes { bytes in pending.token.map { bytes[$0] } }
    switch port.ask(
      pending, token, table.provider(pending.provider), from: connection.peer.caller, at: wallSeconds,
      now: loop.nowNanoseconds, for: self)
    {
    case .waiting(let question):
      introspection = .waiting(question)
      handle(.introspectionStarted, connection)
      suspend()
    case .unavailable(let reason):
      record.fault = reason
      reject(LocalReply(Rejection.introspectionUnavailable), connection)
    }
  }

  /// The endpoint has answered, or has failed to. Ignored if the exchange no longer waits.
  func introspectionSettled(_ settled: SettledIntrospection) {
    switch state.machine.request {
    case .awaitingIntrospection: break
    case .repeatingIntrospection: state.epoch = RequestState.notAdmitted
    default: return
    }
    introspection = .settled(settled)
    if case .unavailable(let reason) = settled.result { record.fault = "introspection: \(reason)" }
    schedule(.resumeAdmission)
  }

  /// Asks again about the token of a write whose body took long to arrive, and waits: the token may have been revoked
  /// meanwhile.
  ///
  /// - Returns: false if there is nothing to wait for.
  @inline(never)
  func introspectAgain(_ connection: DownstreamConnection) -> Bool {
    let policy = worker.snapshot.policy
    guard case .settled(let settled) = introspection, state.machine.plan.isWrite, let port = worker.introspection,
      let table = policy.introspection, let input = connection.input
    else { return false }
    let question = input.buffer.withBytes { bytes in
      policy.questionToRepeat(input.parser.head, bytes, after: settled, at: wallSeconds).map { pending in
        (pending: pending, token: pending.token.map { bytes[$0] })
      }
    }
    guard let (pending, token) = question else { return false }
    switch port.ask(
      pending, token, table.provider(pending.provider), from: connection.peer.caller, at: wallSeconds,
      now: loop.nowNanoseconds, for: self)
    {
    case .waiting(let question):
      introspection = .waiting(question)
      handle(.introspectionStarted, connection)
      suspend()
      return true
    case .unavailable(let reason):
      // Admission, which is repeated next, rejects the request.
      record.fault = reason
      introspection = .settled(
        SettledIntrospection(key: settled.key, .unavailable(reason: reason), askedAt: wallSeconds))
      state.epoch = RequestState.notAdmitted
      return false
    }
  }

  /// Admits with the result that the exchange holds, if any.
  func withHeldIntrospection<Result, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    if case .settled(let settled) = introspection { worker.tokenCaches.introspected.held = settled }
    defer { worker.tokenCaches.introspected.held = nil }
    return try body()
  }

  /// Holds the answer that has admitted the request, for admission before the first byte. After a reload, it may be another
  /// provider's than the one that was asked.
  @inline(never)
  func holdIntrospection(_ provider: Int32, _ snapshot: Snapshot) {
    guard let table = snapshot.policy.introspection, let used = worker.tokenCaches.introspected.used else { return }
    if case .settled(let held) = introspection, held.key == used.key { return }
    introspection = .settled(used)
    worker.metrics.introspection(table.provider(provider).name).hits.add()
  }

  /// Names the token's provider and its user. After a reload, the token may be one of the policy files.
  @inline(never)
  func noteIntrospection(in intent: AuditIntent, _ snapshot: Snapshot) {
    guard case .settled(let settled) = introspection, case .active(let answer) = settled.result,
      let table = snapshot.policy.introspection, state.trace.providerIndex >= 0
    else { return }
    let issuer = Array(table.provider(state.trace.providerIndex).name.utf8)
    let subject = Array((answer.subject?.text ?? "").utf8.prefix(AuditIntent.subjectBytesMax))
    intent.append(issuer: issuer.span, subject: subject.span)
  }

  /// The exchange ends: nothing waits for the answer any more.
  @inline(never)
  func endIntrospection() {
    if case .waiting(let question) = introspection { question.withdraw(self) }
    introspection = nil
  }
}
