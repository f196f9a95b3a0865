import Counters
import HTTP1
import Policies
import Reactor
import Telemetry
import Upstream

/// What a worker tells of its exchanges: to metrics, to the access log, and to the operator.
extension Worker {
  /// Counts one exchange, and writes it into the log.
  func record(
    _ record: inout ExchangeRecord, _ times: ExchangeTimes, of connection: DownstreamConnection,
    _ method: HTTP1.Method, _ trace: AdmissionTrace, _ snapshot: Snapshot?, _ access: InstanceAccess?
  ) {
    count(record.status, times, method, route: trace.routeIndex, snapshot, access)
    if let code = record.code { countRefusal(code, record.fault, access) }
    guard let log else { return }
    record.tokenDigestPrefix = trace.tokenDigestPrefix
    let now = loop.nowNanoseconds / 1_000
    // Not `??`: what it gives is counted up and down.
    if let snapshot {
      snapshot.write(record, trace, of: connection, to: log, now: now)
    } else {
      self.snapshot.write(record, trace, of: connection, to: log, now: now)
    }
    tick()
  }

  private func count(
    _ status: Int, _ times: ExchangeTimes, _ method: HTTP1.Method, route: Int32, _ snapshot: Snapshot?,
    _ access: InstanceAccess?
  ) {
    let place = RequestSeries.place(method, route)
    metrics.ownTime.observe(times.own)
    if let access {
      if times.leased > 0 { access.metrics.upstreamTime.observe(times.upstream) }
      if access.requests.count(status: status, at: place) { return }
    }
    let snapshot = snapshot ?? self.snapshot
    let requests = access?.requests ?? snapshot.requestsWithoutInstance
    if requests.count(status: status, at: place) { return }
    // The policy is asked on the way of the first such request only: lending its tables is not free.
    requests.find(method, route: route, in: snapshot.policy.routes)
    _ = requests.count(status: status, at: place)
  }

  func countRefusal(_ code: String, _ detail: String?, _ access: InstanceAccess?) {
    refusals.count(code)
    guard let access, Fault.codesOfInstances.contains(code) else { return }
    access.metrics.failed(InstanceFault(code: code, detail: detail, at: loop.wallMicroseconds))
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
}

extension Snapshot {
  /// Writes a record's line.
  @inline(never)
  fileprivate func write(
    _ record: borrowing ExchangeRecord, _ trace: AdmissionTrace, of connection: DownstreamConnection,
    to log: AccessLogBuffer, now: Int64
  ) {
    let peer = connection.peerText
    policy.withNames(of: trace) { client, token, instance, route, operation in
      connection.withRequestTexts { texts, head in
        log.append(
          record, client: client, token: token, instance: instance, route: route, operation: operation,
          peer: peer.span, texts, in: head, now: now)
      }
    }
  }
}
