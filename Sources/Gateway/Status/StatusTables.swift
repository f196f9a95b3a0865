import Policies
import Upstream

extension StatusChange<StatusReading> {
  private typealias Cell = StatusView.Cell
  private typealias Table = StatusView.Table

  var tables: [StatusView.Table] { [instances, clients, introspection, faults, recent] }

  private var instances: Table {
    Table(
      "instances", "Instances", rows({ $0.instances }, by: { $0.id }), of: now.gateway.instanceCount,
      isAlwaysShown: true,
      [
        .init("Instance") { .plain($0.id) },
        .init("Breaker") { Self.breaker($0.breaker) },
        .init("Health") { $0.healthy ? .good("ok") : .bad("failing") },
        .init("Writes") { $0.writes ? .plain("on") : .warn("off") },
        .init("Requests", .number) { .plain("\($0.requests)") },
        .init("per s", .number) { .plain($0.rate { $0.requests }) },
        .init("p50 ms", .number) { .plain($0.percentile(0.5)) },
        .init("p90 ms", .number) { .plain($0.percentile(0.9)) },
        .init("p99 ms", .number) { .plain($0.percentile(0.99)) },
        .init("In flight", .number) { .plain("\($0.inFlight)") },
        .init("Queue", .number) { Self.warning($0.queued) },
        .init("Last fault") { Self.lastFault($0.now) },
      ])
  }

  private var clients: Table {
    Table(
      "clients", "Clients", rows({ $0.clients }, by: { $0.name }), of: now.gateway.clientCount, isAlwaysShown: true,
      [
        .init("Client") { .plain($0.name) },
        .init("Requests", .number) { .plain($0.requests.map { "\($0)" }) },
        .init("per s", .number) { .plain($0.rate { $0.requests }) },
        .init("Refusals", .number) { Self.warning($0.refusals?.values.reduce(0, &+)) },
        .init("Codes") { .plain($0.refusals.flatMap { $0.isEmpty ? nil : StatusText.codes($0) }) },
        .init("Limits hit", .number) { Self.warning($0.rateLimited) },
        .init("In", .number) { .plain($0.bytesIn.map(StatusText.size)) },
        .init("Out", .number) { .plain($0.bytesOut.map(StatusText.size)) },
        .init("Token expires") { tokenExpiry($0.tokenExpiresAt) },
      ])
  }

  private var introspection: Table {
    Table(
      "introspection", "Introspection", rows({ $0.gateway.introspection ?? [] }, by: { $0.provider }),
      isAlwaysShown: false,
      [
        .init("Provider") { .plain($0.provider) },
        .init("Breaker") { Self.breaker($0.breaker) },
        .init("Asked", .number) { .plain("\($0.asked)") },
        .init("Faults", .number) { Self.warning($0.faults) },
      ])
  }

  private var faults: Table {
    Table(
      "faults", "Contained faults of the policy", rows({ $0.gateway.policy.faults }, by: \.self),
      of: now.gateway.policy.faultCount, isAlwaysShown: false, [.init("Fault") { .bad($0.now) }])
  }

  private var recent: Table {
    Table(
      "recent", "Last refusals and faults", rows({ $0.recent }, by: { $0.requestId }), isAlwaysShown: true,
      [
        .init("Time") { .plain(StatusText.time($0.at)) },
        .init("Code") { .plain(GatewayCode.short($0.code)) },
        .init("Client") { .plain($0.client) },
        .init("Instance") { .plain($0.instance) },
        .init("Call") { end in .plain(end.path.map { "\(end.method ?? "-") \($0)" }) },
        .init("Request") { .plain($0.requestId) },
      ])
  }

  // MARK: Cells

  private static func breaker(_ label: String) -> Cell {
    switch label {
    case BreakerPhase.closed.label: .good(label)
    case BreakerPhase.open.label: .bad(label)
    default: .warn(label)
    }
  }

  /// A count that should be 0.
  private static func warning(_ count: Int?) -> Cell {
    guard let count else { return .plain(nil) }
    return count == 0 ? .plain("0") : .warn("\(count)")
  }

  private static func lastFault(_ instance: InstanceStatus) -> Cell {
    if let fault = instance.policyFault { return .bad("policy: \(fault)") }
    guard let fault = instance.lastFault else { return .plain(nil) }
    let detail = fault.detail.map { ": \($0)" } ?? ""
    return .warn("\(StatusText.time(fault.at)) \(GatewayCode.short(fault.code))\(detail)")
  }

  private func tokenExpiry(_ text: String?) -> Cell {
    guard let text else { return .plain(nil) }
    let isDue =
      UnixSeconds(rfc3339: text).map { Attention.isDue($0, at: UnixSeconds(now.milliseconds / 1_000)) } == true
    return isDue ? .warn(StatusText.time(text)) : .plain(StatusText.time(text))
  }
}
