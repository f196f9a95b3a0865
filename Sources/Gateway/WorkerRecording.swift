import Counters
import HTTP1
import Policies
import Reactor
import Telemetry
import Upstream

/// What a worker tells of its exchanges: to metrics, to the access log, and to the operator.
extension Worker {
  /// Counts one exchange, and writes it into the log.
  ///
  /// Not inlined, since the log and the loop would be counted up and down in another object's method: 90 instructions.
  @inline(never)
  func record(
    _ record: inout ExchangeRecord, _ state: inout RequestState, _ snapshot: Snapshot?, _ access: InstanceAccess?,
    of connection: DownstreamConnection
  ) {
    count(record.status, &state, snapshot, access)
    if let code = state.code { countRefusal(code, cause: record.fault, &state, access) }
    // Asked for once more where it is written to: a name for it would count its reference.
    guard log != nil else { return }
    record.tokenDigestPrefix = state.trace.tokenDigestPrefix
    // Not `??`: what it gives is counted up and down.
    if let snapshot {
      snapshot.write(&record, state.trace, of: connection, by: self)
    } else {
      writeWithoutSnapshot(&record, state.trace, of: connection)
    }
    tick()
  }

  /// Refused before a policy was asked.
  @inline(never)
  private func writeWithoutSnapshot(
    _ record: inout ExchangeRecord, _ trace: AdmissionTrace, of connection: DownstreamConnection
  ) {
    snapshot.write(&record, trace, of: connection, by: self)
  }

  /// `inout`, as below, since the compiler copies what is borrowed of an object's property: 150 instructions.
  @inline(__always)
  private func count(_ status: Int, _ state: inout RequestState, _ snapshot: Snapshot?, _ access: InstanceAccess?) {
    let slot = RequestSeries.slot(state.head.method, state.trace.routeIndex)
    metrics.ownTime.observe(state.times.own)
    if state.times.leased > 0 { access?.metrics.upstreamTime.observe(state.times.upstream) }
    if access?.count(status: status, at: slot) == true { return }
    countRare(status, at: slot, &state, snapshot, access)
  }

  /// Without an instance, or the first such request: its counter is still to be found.
  @inline(never)
  private func countRare(
    _ status: Int, at slot: Int, _ state: inout RequestState, _ snapshot: Snapshot?, _ access: InstanceAccess?
  ) {
    let snapshot = snapshot ?? self.snapshot
    let requests = access?.requests ?? snapshot.requestsWithoutInstance
    if requests.count(status: status, at: slot) { return }
    // The policy is asked on the way of the first such request only: lending its tables is not free.
    requests.find(state.head.method, route: state.trace.routeIndex, in: snapshot.policy.routes)
    _ = requests.count(status: status, at: slot)
  }

  private func countRefusal(
    _ code: GatewayCode, cause: String?, _ state: inout RequestState, _ access: InstanceAccess?
  ) {
    metrics.refused(code)
    guard let access, let fault = state.fault, fault.concernsInstance else { return }
    access.metrics.failed(InstanceFault(code: code, cause: cause, at: loop.wallMicroseconds))
  }

  /// A fault's cause, for the operator: the client is told the kind alone.
  func report(_ fault: ConnectFault, of trace: AdmissionTrace, _ snapshot: Snapshot?) {
    guard let snapshot, snapshot.access(to: trace.instanceIndex).mayReport(loop.now) else { return }
    report("instance \(snapshot.policy.instances[Int(trace.instanceIndex)].id.text): \(fault.detail)")
  }

  func report(refusedKey index: Int, of trace: AdmissionTrace, _ snapshot: Snapshot?) {
    guard let snapshot, snapshot.access(to: trace.instanceIndex).mayReport(loop.now) else { return }
    let instance = snapshot.policy.instances[Int(trace.instanceIndex)]
    report(
      "instance \(instance.id.text): it refuses key \(index + 1) of \(instance.keys.count); see \"key\" in instances.json"
    )
  }

  /// A bug: an event came that is illegal in the exchange's state. It is counted each time, and told once.
  func internalFault(_ event: ExchangeMachine.Event, _ machine: ExchangeMachine) {
    let text = "\(event) in request \(machine.request), response \(machine.response)"
    assertionFailure("illegal event: \(text)")
    if metrics.internalFaults.now == 0 {
      report("internal fault: \(text); the exchange was ended. Please report this with the gateway's version")
    }
    metrics.internalFaults.add()
  }
}

extension Fault {
  /// Whether `/status` shows it beside the instance: what the instance did, and every response that was cut.
  fileprivate var concernsInstance: Bool { source == .instance && code != .upstreamBusy || code == .responseCut }
}

extension Snapshot {
  /// Writes a record's line.
  @inline(never)
  fileprivate func write(
    _ record: inout ExchangeRecord, _ trace: AdmissionTrace, of connection: DownstreamConnection,
    by worker: Worker
  ) {
    let (peer, now) = (connection.peer.text, worker.loop.nowNanoseconds / 1_000)
    policy.withNames(of: trace) { client, token, instance, route, operation in
      connection.withRequestTexts { texts, head in
        worker.log?.append(
          record, client: client, token: token, instance: instance, route: route, operation: operation,
          peer: peer.span, texts, in: head, now: now)
      }
    }
  }
}
