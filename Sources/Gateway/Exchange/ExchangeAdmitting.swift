import HTTP1
import Policies
import Reactor
import Telemetry
import Upstream

/// From the head to the decision, and to the head that Core gets.
extension Exchange {
  /// The head is whole: admits the request and sets out for its instance.
  func begin(_ input: RequestInput, _ connection: DownstreamConnection) {
    let snapshot = worker.snapshot
    self.snapshot = snapshot
    note(input.parser.head)
    if snapshot.policy.settings.answersHealthOnListeners, let probe = probe(input) {
      return answer(probe, connection)
    }
    if worker.isDraining { return refuse(.draining, connection) }
    let admission: Admission
    do throws(Rejection) {
      admission = try admit(input, snapshot, connection)
    } catch {
      return refuse(OwnAnswer(error), connection)
    }
    request.bound(bodyBytes: admission.bodyBytesMax)
    let audit = admission.isWrite ? worker.audit : nil
    machine = ExchangeMachine(
      isWrite: admission.isWrite, mayRetry: method.isRead && request.isHeadOnly, isAudited: audit != nil)
    self.admission = admission
    let access = snapshot.access(to: admission.instanceIndex)
    self.access = access
    clock.bound(by: access.timeouts)
    do throws(Rejection) {
      permit = try snapshot.limit(admission, access, now: loop.nowNanoseconds)
    } catch {
      return refuse(OwnAnswer(error), connection)
    }
    if let audit {
      guard audit.canWrite else { return refuse(OwnAnswer(.auditUnavailable), connection) }
      let audited = AuditedWrite(input.parser.head.framing, port: audit)
      request.show(audited.witness)
      self.audited = audited
    }
    writeRequestHead(input, admission, access, connection)
    perform(machine.admitted(hasBody: !request.body.isComplete), connection)
  }

  /// A probe on the client's listener, which needs no token and has no instance.
  func probe(_ input: RequestInput) -> AdminPath? {
    guard method.isRead else { return nil }
    let path = input.buffer.withBytes { bytes in AdminPath(bytes, input.parser.head.path) }
    return path?.isGuarded == false ? path : nil
  }

  func answer(_ probe: AdminPath, _ connection: DownstreamConnection) {
    if probe == .readyz, !worker.isReady { return refuse(.draining, connection) }
    machine.refused()
    record.status = 200
    keepsAlive = clientKeepsAlive && !worker.isDraining && bodyIsRead(from: connection)
    ProbeAnswer.write(
      to: answer.output, id: id, dateLine: worker.dateLine(), keepsAlive: keepsAlive,
      version: version, hasBody: !method.isHead)
    later()
  }

  func note(_ head: borrowing RequestHead) {
    method = head.method
    version = head.version
    clientKeepsAlive = head.keepAlive
    owesContinue = head.expectsContinue
    request.begin(head.framing, headCount: head.byteCount)
  }

  func admit(
    _ input: RequestInput, _ snapshot: Snapshot, _ connection: DownstreamConnection
  ) throws(Rejection) -> Admission {
    try input.buffer.withBytes { bytes throws(Rejection) in
      let decision = try snapshot.policy.admit(
        input.parser.head, bytes, from: connection.peer, at: UnixSeconds(loop.wallMicroseconds / 1_000_000),
        &worker.tokenDigests, noting: &trace)
      switch decision {
      case .admitted(let admission): return admission
      // No introspection endpoint can be configured.
      case .pending: throw .tokenUnknown
      }
    }
  }

  func writeRequestHead(
    _ input: RequestInput, _ admission: Admission, _ access: InstanceAccess, _ connection: DownstreamConnection
  ) {
    keyIndex = access.state.keyIndex
    let buffer = request.headBuffer()
    let route = access.routes[keyIndex]
    input.buffer.withBytes { bytes in
      route.writeHead(input.parser.head, bytes, admission, id: id, peer: connection.forwardingLines, to: buffer)
    }
    if !request.isHeadOnly { buffer.reserve(OutgoingRequest.heldBackBytesMin) }
  }
}
