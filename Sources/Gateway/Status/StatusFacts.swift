extension StatusChange<StatusReading> {
  private typealias Cell = StatusView.Cell

  private var gateway: StatusChange<GatewayStatus> {
    StatusChange<GatewayStatus>(now: now.gateway, before: before?.gateway, seconds: seconds)
  }

  var facts: [StatusView.Fact] {
    let (connections, policy) = (gateway.connections, gateway.policy)
    return [
      .init("State", state),
      .init("Instances", instances),
      .init("Requests", .plain(gateway.total { $0.requests })),
      .init("Refusals and faults", .plain(gateway.total { $0.refusals.values.reduce(0, &+) })),
      .init(
        "Connections",
        Cell(
          text: "\(connections.open) open, \(connections.accepted) accepted, \(connections.refused) refused",
          tone: connections.refused > 0 ? .warn : .plain)),
      .init("Policy", .plain("generation \(policy.generation) since \(StatusText.time(policy.since))")),
      .init("Reloads", reloads),
      .init("Contained faults", policy.faultCount > 0 ? .bad("\(policy.faultCount)") : .good("0")),
      .init("Audit log", auditLog),
      .init("Journal", journal),
      .init("Access log", accessLog),
      .init("Upgrade", upgrade),
    ]
  }

  var details: [StatusView.Fact] {
    [
      .init("Policy digest", .plain(gateway.policy.sha256)),
      .init("Audit head", .plain(gateway.audit?.head)),
      .init(
        "Up", .plain("\(StatusText.duration(gateway.uptimeSeconds)), since \(StatusText.time(gateway.startedAt))")),
      .init(
        "Version",
        .plain("\(gateway.version) (\(gateway.commit)), Swift \(gateway.swift), libcurl \(gateway.libcurl)")),
    ]
  }

  private var state: Cell {
    guard gateway.stuckLoops.isEmpty else {
      return .bad("stuck: loop \(gateway.stuckLoops.map(String.init).joined(separator: ", "))")
    }
    return gateway.draining ? .warn("draining") : .good("serving")
  }

  private var instances: Cell {
    gateway.instancesTroubled > 0
      ? .bad("\(gateway.instanceCount), \(gateway.instancesTroubled) in trouble") : .good("\(gateway.instanceCount)")
  }

  private var reloads: Cell {
    if let error = gateway.policy.lastReloadError {
      return .bad("refused at \(StatusText.time(error.at)): \(error.message)")
    }
    return .plain("\(gateway.policy.reloads), \(gateway.policy.reloadsRefused) refused")
  }

  private var auditLog: Cell {
    guard let audit = gateway.audit else { return .plain("off") }
    guard audit.writable else { return .bad("cannot be written; writes are rejected") }
    let text = "entries: \(audit.entries), outcomes lost: \(audit.lostOutcomes)"
    return audit.lostOutcomes > 0 ? .warn(text) : .good(text)
  }

  private var journal: Cell {
    guard let keys = gateway.idempotency else { return .plain("off") }
    guard keys.writable else { return .bad("cannot be written: \(keys.lastFault ?? "-")") }
    return keys.unknown > 0
      ? .warn("unknown: \(keys.unknown), in flight: \(keys.inFlight), keys: \(keys.keys)")
      : .good("keys: \(keys.keys), in flight: \(keys.inFlight), \(StatusText.size(keys.diskBytes))")
  }

  private var accessLog: Cell {
    guard let lost = gateway.accessLogLinesLost else { return .plain("off") }
    return lost > 0 ? .warn("lines lost: \(lost)") : .good("lines lost: 0")
  }

  private var upgrade: Cell {
    switch gateway.upgrade {
    case .none: .plain("none since the start")
    case .complete: .plain("complete: this process has replaced another")
    case .predecessorDrains: .warn("the process before this one drains")
    case .handedOver: .warn("another process has taken over")
    }
  }
}
