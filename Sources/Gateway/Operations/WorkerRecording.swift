import Counters
import HTTP1
import OAuth
import Policies
import Reactor
import Telemetry
import Upstream

/// Records exchanges: in the metrics, in the access log, and in reports to the operator.
extension Worker {
  /// Counts one exchange, and writes it to the access log.
  ///
  /// Not inlined: in another object's method, the log and the loop would be retained and released, which costs 90
  /// instructions per request.
  @inline(never)
  @_optimize(speed)
  func record(
    _ record: inout ExchangeRecord, _ state: inout RequestState, _ snapshot: Snapshot?, _ access: InstanceAccess?,
    of connection: DownstreamConnection
  ) {
    count(record.status, &state, snapshot, access)
    if let code = state.code {
      countEndCode(code, cause: record.fault, &state, snapshot, access)
      keep(code, record.requestID, state.trace, snapshot ?? self.snapshot, of: connection)
    }
    if let snapshot, snapshot.countsClients { snapshot.count(record, state.code, of: state.trace) }
    // Not bound to a name, which would retain it; `write` reads it again.
    guard log != nil else { return }
    record.tokenDigestPrefix = state.trace.tokenDigestPrefix
    record.tokenIDPrefix = state.trace.tokenID?.prefix
    // Not `??`, which retains and releases its result.
    if let snapshot {
      snapshot.write(&record, state.trace, of: connection, by: self)
    } else {
      writeWithoutSnapshot(&record, state.trace, of: connection)
    }
    scheduleLogFlush()
  }

  /// For an exchange that was rejected before it had a snapshot.
  @inline(never)
  private func writeWithoutSnapshot(
    _ record: inout ExchangeRecord, _ trace: AdmissionTrace, of connection: DownstreamConnection
  ) {
    snapshot.write(&record, trace, of: connection, by: self)
  }

  /// `inout`, here and below, because the compiler copies a borrowed property of an object, which costs 150
  /// instructions per request.
  @inline(__always)
  private func count(_ status: Int, _ state: inout RequestState, _ snapshot: Snapshot?, _ access: InstanceAccess?) {
    let slot = RequestSeries.slot(state.head.method, state.trace.routeIndex)
    metrics.ownTime.observe(state.times.own)
    if state.times.leased > 0 { access?.metrics.upstreamTime.observe(state.times.upstream) }
    if access?.count(status: status, at: slot) == true { return }
    countRare(status, at: slot, &state, snapshot, access)
  }

  /// Counts a request without an instance, or the first request of its kind, whose counter has to be found.
  @inline(never)
  private func countRare(
    _ status: Int, at slot: Int, _ state: inout RequestState, _ snapshot: Snapshot?, _ access: InstanceAccess?
  ) {
    let access = access ?? refusedAccess(&state, snapshot)
    let snapshot = snapshot ?? self.snapshot
    let requests = access?.requests ?? snapshot.requestsWithoutInstance
    if requests.count(status: status, at: slot) { return }
    // Only for the first request of a kind: borrowing the policy's tables is not free.
    requests.find(state.head.method, route: state.trace.routeIndex, in: snapshot.policy.routes)
    _ = requests.count(status: status, at: slot)
  }

  /// The instance of a request that was rejected after the step *resolve* and before it had an access, such as a write
  /// during maintenance. Not that of a client that may not use it, whose requests must not count for others; nor one of an
  /// earlier policy, whose access would get its pool with the settings of then.
  private func refusedAccess(_ state: inout RequestState, _ snapshot: Snapshot?) -> InstanceAccess? {
    guard let snapshot, snapshot === self.snapshot, state.trace.instanceIndex >= 0, state.code != .instanceForbidden
    else { return nil }
    return snapshot.access(to: state.trace.instanceIndex)
  }

  private func countEndCode(
    _ code: GatewayCode, cause: String?, _ state: inout RequestState, _ snapshot: Snapshot?, _ access: InstanceAccess?
  ) {
    metrics.codes.add(code)
    guard let access = access ?? refusedAccess(&state, snapshot) else { return }
    access.metrics.ended(with: code)
    guard let fault = state.fault, fault.concernsInstance else { return }
    access.metrics.failed(InstanceFault(code: code, cause: cause, at: loop.wallMicroseconds))
  }

  /// Keeps a refusal or a fault for `/status`.
  @inline(never)
  @_optimize(speed)
  private func keep(
    _ code: GatewayCode, _ id: RequestID, _ trace: AdmissionTrace, _ snapshot: Snapshot,
    of connection: DownstreamConnection
  ) {
    let (ends, now) = (metrics.recentEnds, loop.wallMicroseconds)
    @_optimize(speed)
    func add(
      client: Span<UInt8>, token: Span<UInt8>, instance: Span<UInt8>, route: Span<UInt8>, operation: Span<UInt8>
    ) {
      connection.withRequestTexts { texts, head in
        ends.add(
          code, id, at: now, client: client, instance: instance, method: head.extracting(texts.method),
          path: head.extracting(texts.path))
      }
    }
    snapshot.policy.withNames(of: trace, add)
  }

  /// Reports the cause of a failed connect to the operator. The reply contains only its kind.
  func report(_ fault: ConnectFault, of trace: AdmissionTrace, _ snapshot: Snapshot?) {
    guard let snapshot, snapshot.access(to: trace.instanceIndex).mayReport(loop.now) else { return }
    report("instance \(snapshot.policy.instances[Int(trace.instanceIndex)].id.text): \(fault.detail)")
  }

  func report(refusedKey index: Int, of trace: AdmissionTrace, _ snapshot: Snapshot?) {
    guard let snapshot, snapshot.access(to: trace.instanceIndex).mayReport(loop.now) else { return }
    let instance = snapshot.policy.instances[Int(trace.instanceIndex)]
    report(
      "instance \(instance.id.text): refuses key \(index + 1) of \(instance.keys.count); "
        + "check its \"key\" in instances.json"
    )
  }

  /// Counts an event that is illegal in the exchange's state, which is a bug. Reports only the first one.
  func internalFault(_ event: ExchangeMachine.Event, _ machine: ExchangeMachine) {
    let text = "\(event) in request \(machine.request), response \(machine.response)"
    assertionFailure("illegal event: \(text)")
    if metrics.internalFaults.current == 0 {
      report("internal fault: \(text); the exchange was ended. Please report this bug with the gateway's version")
    }
    metrics.internalFaults.add()
  }
}

extension Fault {
  /// Whether `/status` shows it as the instance's last fault: faults of the instance, and cut responses.
  fileprivate var concernsInstance: Bool { source == .instance && code != .upstreamBusy || code == .responseCut }
}

extension Snapshot {
  /// Writes the access log line of a record.
  @inline(never)
  @_optimize(speed)
  fileprivate func write(
    _ record: inout ExchangeRecord, _ trace: AdmissionTrace, of connection: DownstreamConnection,
    by worker: Worker
  ) {
    let (peer, via) = (connection.peer.text, connection.peer.via)
    let now = worker.loop.nowNanoseconds / 1_000
    if trace.providerIndex >= 0 { noteIssuer(&record, trace) }
    // A closure would be built for size.
    @_optimize(speed)
    func append(
      client: Span<UInt8>, token: Span<UInt8>, instance: Span<UInt8>, route: Span<UInt8>, operation: Span<UInt8>
    ) {
      connection.withRequestTexts { texts, head in
        worker.log?.append(
          record, client: client, token: token, instance: instance, route: route, operation: operation,
          peer: peer.span, via: via.span, texts, in: head, now: now)
      }
    }
    policy.withNames(of: trace, append)
  }

  @inline(never)
  private func noteIssuer(_ record: inout ExchangeRecord, _ trace: AdmissionTrace) {
    record.issuer = policy.introspection?.provider(trace.providerIndex).name
  }
}
