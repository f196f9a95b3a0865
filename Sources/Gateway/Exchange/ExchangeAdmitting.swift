import Bytes
import HTTP1
import Policies
import Reactor
import Telemetry
import Upstream

/// From the head to the decision: authenticate → authorize → limit.
extension Exchange {
  /// The head is whole.
  func begin(_ connection: DownstreamConnection) {
    guard let input = connection.input else { return }
    note(input.parser.head)
    let snapshot = worker.snapshot
    state.snapshot = snapshot
    state.generation = worker.generation
    if snapshot.policy.settings.answersHealthOnListeners, let probe = probe(input) {
      return answer(probe, connection)
    }
    if worker.isDraining { return refuse(LocalReply(.draining), connection) }
    admit(input, snapshot, connection)
  }

  private func note(_ head: borrowing RequestHead) {
    state.head = HeadFacts(
      method: head.method, version: head.version, keepsAlive: head.keepAlive, expectsContinue: head.expectsContinue)
    request.begin(head.framing, headCount: head.byteCount)
  }

  /// A question that admission waited for is settled.
  func resumeAdmission(_ connection: DownstreamConnection) {
    guard let input = connection.input, let snapshot = state.snapshot else { return }
    admit(input, snapshot, connection)
  }

  /// Decides whether the request goes to its instance, in straight-line code that throws a typed rejection.
  private func admit(_ input: RequestInput, _ snapshot: Snapshot, _ connection: DownstreamConnection) {
    do throws(Rejection) {
      let admission = try snapshot.policy.admit(input, connection, worker, now, noting: &state.trace)
      let access = snapshot.access(to: admission.instanceIndex)
      state.access = access
      state.admission = admission
      state.permit = try permit(admission, access, snapshot)
      proceed(admission, access, input, connection)
    } catch {
      refuse(LocalReply(error), connection)
    }
  }

  /// Admitted: the request is made ready for its instance.
  private func proceed(
    _ admission: Admission, _ access: InstanceAccess, _ input: RequestInput, _ connection: DownstreamConnection
  ) {
    var plan = ExchangeMachine.Plan()
    plan.isWrite = admission.isWrite
    plan.isRepeatable = !admission.isWrite && state.head.method.isRead && request.isHeadOnly
    plan.hasBody = !request.body.isComplete
    request.bound(bodyBytes: admission.bodyBytesMax)
    if admission.isWrite, let audit = worker.audit {
      let audited = AuditedWrite(input.parser.head.framing, port: audit)
      request.hash(with: audited.hasher)
      state.audited = audited
      plan.isAudited = true
    }
    state.clock.bound(by: access.timeouts)
    writeRequestHead(input, admission, access, connection)
    handle(.admitted(plan), connection)
  }

  /// Admission again, where the policy has changed or the token has expired since: no byte of this try has left. False
  /// where the request was refused now.
  func isStillAdmitted(_ connection: DownstreamConnection) -> Bool {
    if state.generation == worker.generation { return true }
    return true
  }

  private var now: UnixSeconds { UnixSeconds(loop.wallMicroseconds / 1_000_000) }

  private func permit(
    _ admission: Admission, _ access: InstanceAccess, _ snapshot: Snapshot
  ) throws(Rejection) -> Permit { Permit() }
}

extension Policy {
  fileprivate func admit(
    _ input: RequestInput, _ connection: DownstreamConnection, _ worker: Worker, _ now: UnixSeconds,
    noting trace: inout AdmissionTrace
  ) throws(Rejection) -> Admission {
    try input.buffer.withBytes { bytes throws(Rejection) in
      try admit(
        input.parser.head, bytes, from: connection.peer.address, at: now, &worker.tokenDigests, noting: &trace)
    }
  }
}

struct Permit { func release(now: Int64) {} }
extension LocalReply {
  init(_ r: Rejection) { self.init(code: GatewayCode.allCases.first { $0.text == r.code }!, message: r.message, challenge: r.challenge, allow: r.allow, retryAfterSeconds: r.retryAfterSeconds, outcome: r.retryAfterSeconds == nil ? nil : .notSent, endsConnection: false) }
}
extension GatewayLimits { var bodyBytesPerSecondMinUpstream: Int { 16384 } }
extension UpstreamConnection { func isFitForFirstByte() -> Bool { true }
 var endedWithoutCloseNotify: Bool { false } }
