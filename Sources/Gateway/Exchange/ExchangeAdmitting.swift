import Bytes
import HTTP1
import Policies
import Reactor
import Telemetry
import Upstream

/// Admission and limits, and admission again before the first byte is sent.
extension Exchange {
  /// Starts the exchange once the head is complete.
  @_optimize(speed)
  func begin(_ input: RequestInput, _ connection: DownstreamConnection) {
    note(input.parser.head)
    let snapshot = worker.snapshot
    state.snapshot = snapshot
    state.epoch = worker.admissionEpoch
    if snapshot.policy.hot.answersHealthOnListeners, let probe = probePath(input) {
      return answer(probe, connection)
    }
    if snapshot.policy.hot.hasTokenEndpoint, mayBeOAuthPath(input), let path = oauthPath(input) {
      return beginOAuth(path, connection)
    }
    admit(input, snapshot, connection)
  }

  private func note(_ head: borrowing RequestHead) {
    state.head = HeadFacts(
      method: head.method, version: head.version, keepsAlive: head.keepAlive, expectsContinue: head.expectsContinue)
    request.begin(head.framing, headCount: head.byteCount)
  }

  /// Repeats admission once introspection has finished, under the policy that is in force by then.
  func resumeAdmission(_ connection: DownstreamConnection) {
    guard let input = connection.input else { return }
    let snapshot = worker.snapshot
    state.snapshot = snapshot
    state.epoch = worker.admissionEpoch
    withHeldIntrospection { admit(input, snapshot, connection) }
  }

  /// Decides whether the request is relayed to its instance.
  @_optimize(speed)
  private func admit(_ input: RequestInput, _ snapshot: Snapshot, _ connection: DownstreamConnection) {
    do throws(Rejection) {
      let decision = try input.buffer.withBytes { bytes throws(Rejection) in
        try snapshot.policy.admitKnown(
          input.parser.head, bytes, from: connection.peer.caller, at: wallSeconds, &worker.tokenCaches,
          noting: &state.trace)
      }
      switch decision {
      case .pending(let token): introspect(token, snapshot, connection)
      case .admitted(let admission): try accept(admission, snapshot, input, connection)
      }
    } catch {
      handleRejection(error, input, snapshot, connection)
    }
  }

  /// The same for a token that another server knows.
  @inline(never)
  private func admitIntrospected(_ input: RequestInput, _ snapshot: Snapshot, _ connection: DownstreamConnection) {
    do throws(Rejection) {
      let decision = try input.buffer.withBytes { bytes throws(Rejection) in
        try snapshot.policy.admitIntrospected(
          input.parser.head, bytes, from: connection.peer.caller, at: wallSeconds, &worker.tokenCaches,
          noting: &state.trace)
      }
      switch decision {
      case .pending(let token): introspect(token, snapshot, connection)
      case .admitted(let admission):
        holdIntrospection(state.trace.providerIndex, snapshot)
        try accept(admission, snapshot, input, connection)
      }
    } catch {
      if let refusal = worker.tokenCaches.introspected.refusal { record.fault = "introspection: \(refusal.text)" }
      rejectOrAnswerOptions(error, input, snapshot, connection)
    }
  }

  /// Applies the limits to an admitted request, and prepares it.
  @inline(__always)
  private func accept(
    _ admission: Admission, _ snapshot: Snapshot, _ input: RequestInput, _ connection: DownstreamConnection
  ) throws(Rejection) {
    let access = snapshot.access(to: admission.instanceIndex)
    // Moving the access into the state last saves a retain and release: 50 instructions per request.
    do throws(Rejection) {
      try limit(admission, access, snapshot)
      if admission.isWrite, let journal = worker.journal { try identify(admission, snapshot, input, journal) }
    } catch {
      state.access = access
      throw error
    }
    state.admission = admission
    state.expiry = admission.principal.expiry
    proceed(admission, access, input, connection)
  }

  @inline(never)
  private func handleRejection(
    _ rejection: Rejection, _ input: RequestInput, _ snapshot: Snapshot, _ connection: DownstreamConnection
  ) {
    if rejection == .tokenUnknown, snapshot.policy.introspection != nil {
      return admitIntrospected(input, snapshot, connection)
    }
    rejectOrAnswerOptions(rejection, input, snapshot, connection)
  }

  /// Rejects the request, unless it is `OPTIONS *`, which the gateway answers itself.
  private func rejectOrAnswerOptions(
    _ rejection: Rejection, _ input: RequestInput, _ snapshot: Snapshot, _ connection: DownstreamConnection
  ) {
    guard input.buffer.withBytes({ bytes in input.parser.head.isServerWideOptions(bytes) }) else {
      return reject(LocalReply(rejection, snapshot.policy.challenges), connection)
    }
    answerOptions(snapshot.policy.routes.methods, connection)
  }

  /// Applies the limits of the client and the instance, and checks that the audit log accepts writes.
  @inline(__always)
  private func limit(
    _ admission: Admission, _ access: InstanceAccess, _ snapshot: Snapshot
  ) throws(Rejection) {
    state.permit = try snapshot.limit(admission, access, now: loop.nowNanoseconds)
    if admission.isWrite, let audit = worker.audit, !audit.canWrite { throw .auditUnavailable }
  }

  /// Prepares the admitted request for its instance.
  @inline(__always)
  private func proceed(
    _ admission: Admission, _ access: consuming InstanceAccess, _ input: RequestInput,
    _ connection: DownstreamConnection
  ) {
    var plan = ExchangeMachine.Plan()
    plan.isWrite = admission.isWrite
    plan.isRetryable = !admission.isWrite && state.head.method.isRead && request.isHeadOnly
    plan.hasBody = !request.body.isComplete
    request.limitBody(to: admission.bodyBytesMax)
    if admission.isWrite { prepareWrite(admission, input, &plan) }
    state.clock.apply(access.timeouts)
    if admission.hasOwnTimes { applyRouteTimes(admission) }
    writeRequestHead(input, admission, access, connection)
    state.access = consume access
    handle(.admitted(plan), connection)
  }

  /// Prepares what the journal and the audit log need of a write.
  @inline(__always)
  private func prepareWrite(_ admission: Admission, _ input: RequestInput, _ plan: inout ExchangeMachine.Plan) {
    if let keyed = state.keyed {
      request.limitBody(to: min(admission.bodyBytesMax, keyed.limits.requestBytesMax))
      request.hash(with: keyed.hasher)
      plan.isKeyed = true
    }
    guard let audit = worker.audit else { return }
    let audited = audit.takeWrite()
    input.buffer.withBytes { bytes in
      audited.begin(state.keyed?.hasher, input.parser.head.framing, bytes.extracting(admission.corePath))
    }
    request.hash(with: audited.hasher)
    response.beginReading(for: audited)
    state.audited = audited
    plan.isAudited = true
  }

  /// Reads the key of a write.
  @inline(never)
  @_optimize(speed)
  private func identify(
    _ admission: Admission, _ snapshot: Snapshot, _ input: RequestInput, _ journal: JournalPort
  ) throws(Rejection) {
    guard admission.keyRule != .off, let limits = snapshot.policy.hot.keyedBodies else { return }
    guard let key = try idempotencyKey(input) else {
      if admission.keyRule == .required { throw .idempotencyKeyRequired }
      return
    }
    state.keyed = KeyedRequest(key.text, BodyHasher(input.parser.head.framing), limits, port: journal)
  }

  private func idempotencyKey(_ input: RequestInput) throws(Rejection) -> IdempotencyKey? {
    do throws(IdempotencyKeyFault) {
      return try input.buffer.withBytes { bytes throws(IdempotencyKeyFault) in
        try input.parser.head.idempotencyKey(bytes)
      }
    } catch {
      throw .idempotencyKeyMalformed(error)
    }
  }

  // Not inlined: few routes set timeouts.
  @inline(never)
  private func applyRouteTimes(_ admission: Admission) {
    guard let times = state.snapshot?.policy.routes.routes[Int(admission.routeIndex)].times else { return }
    state.clock.apply(times)
  }

  /// Repeats admission if the policy has changed or the token has expired since: a slow upload or a wait for a
  /// connection can take long. No byte of this try has been sent.
  ///
  /// - Returns: false if the request was rejected.
  @inline(__always)
  func readmitIfNeeded(_ connection: DownstreamConnection) -> Bool {
    if state.epoch == worker.admissionEpoch, !isExpired { return true }
    return readmit(connection)
  }

  @inline(never)
  private func readmit(_ connection: DownstreamConnection) -> Bool {
    guard let input = connection.input, let admission = state.admission, let snapshot = state.snapshot else {
      return false
    }
    let current = worker.snapshot
    do throws(Rejection) {
      state.expiry = try withHeldIntrospection { () throws(Rejection) in
        try input.buffer.withBytes { bytes throws(Rejection) in
          try current.policy.readmit(
            input.parser.head, bytes, from: connection.peer.caller, at: wallSeconds, &worker.tokenCaches,
            sameAs: admission, by: snapshot.policy)
        }
      }
      state.epoch = worker.admissionEpoch
      return true
    } catch {
      reject(LocalReply(error, current.policy.challenges), connection)
      return false
    }
  }

  @inline(__always)
  private var isExpired: Bool {
    guard let expiry = state.expiry else { return false }
    return expiry <= wallSeconds
  }

  var wallSeconds: UnixSeconds { UnixSeconds(loop.wallMicroseconds / 1_000_000) }
}
