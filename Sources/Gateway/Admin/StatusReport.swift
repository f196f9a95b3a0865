import Audit
import Counters
import Dates
import FoundationEssentials
import Journal
import Policies
import Reactor
import Synchronization
import System
import Telemetry
import Upstream

/// One response of `/status`: the gateway, then instances and clients in pieces, so that many of them need little memory,
/// then the last refusals and faults.
struct StatusReport {
  private static let entriesInPiece = 100

  private let state: GatewayState
  private var instances: [InstanceReading]
  private var clients: [ClientReading]
  private let instanceCount: Int
  private let troubledCount: Int
  private var next = 0
  private var phase = Phase.beginning

  private enum Phase {
    case beginning, instances, clients, ended
  }

  /// - Parameter rowsMax: how many instances and clients it shows, those in trouble first; `.max`: all.
  init(_ state: GatewayState, rowsMax: Int = .max) {
    self.state = state
    instances = state.instances().filter { $0.state != nil }
    let generation = state.policyInForce.generation
    let now = UnixSeconds.now
    clients = state.clients(generation.policy, state.tokenSummary(of: generation, at: now))
    instanceCount = instances.count
    let troubles = instances.map { $0.trouble(at: SystemClock.wallMicroseconds) }
    troubledCount = troubles.count { $0 > 0 }
    guard rowsMax < .max else { return }
    var rows: [InstanceReading] = []
    for level in stride(from: InstanceReading.troubleMax, through: 0, by: -1) {
      for (reading, trouble) in zip(instances, troubles) where trouble == level && rows.count < rowsMax {
        rows.append(reading)
      }
    }
    instances = rows
    let troubled = clients.filter { $0.isInTrouble(at: now) }
    clients = Array((troubled + clients.filter { !$0.isInTrouble(at: now) }).prefix(rowsMax))
  }

  /// All of it, without the detour over JSON.
  var reading: StatusReading {
    let now = SystemClock.wallMicroseconds
    return StatusReading(
      gateway(at: now), instances: instances.map(InstanceStatus.init), clients: clients.map(ClientStatus.init),
      recent: RecentStatus.list(recent), milliseconds: now / 1_000)
  }

  private func gateway(at now: Int64) -> GatewayStatus {
    GatewayStatus(state, at: now, instanceCount: instanceCount, instancesTroubled: troubledCount)
  }

  private var recent: [UInt8] { RecentEnds.json(state.loops.map(\.metrics.recentEnds)) }

  /// The next piece; nil after the last one.
  mutating func piece() -> [UInt8]? {
    switch phase {
    case .beginning:
      phase = .instances
      // Reopen the object that the encoder has closed.
      return json(gateway(at: SystemClock.wallMicroseconds)).dropLast() + Array(",\"instances\":[".utf8)
    case .instances:
      if let piece = piece(of: instances.count, { [instances] in json(InstanceStatus(instances[$0])) }) { return piece }
      (phase, next) = (.clients, 0)
      return Array(#"],"clients":["#.utf8)
    case .clients:
      if let piece = piece(of: clients.count, { [clients] in json(ClientStatus(clients[$0])) }) { return piece }
      phase = .ended
      return Array(#"],"recent":"#.utf8) + recent + Array("}\n".utf8)
    case .ended: return nil
    }
  }

  /// The next entries of a list; nil after the last one.
  private mutating func piece(of count: Int, _ entry: (Int) -> [UInt8]) -> [UInt8]? {
    guard next < count else { return nil }
    var bytes: [UInt8] = []
    for index in next..<min(next + Self.entriesInPiece, count) {
      if index > 0 { bytes.append(UInt8(ascii: ",")) }
      bytes += entry(index)
    }
    next = min(next + Self.entriesInPiece, count)
    return bytes
  }
}

private func json(_ value: some Encodable) -> [UInt8] {
  let encoder = JSONEncoder()
  encoder.keyEncodingStrategy = .convertToSnakeCase
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  guard let data = try? encoder.encode(value) else { preconditionFailure("strings and numbers can be encoded") }
  return Array(data)
}

extension GatewayStatus {
  private static let faultsMax = 20

  fileprivate init(_ state: GatewayState, at now: Int64, instanceCount: Int, instancesTroubled: Int) {
    version = gatewayVersion
    commit = Build.commit
    swift = Build.swift
    libcurl = Build.libcurlRunning
    at = timestamp(now)
    startedAt = timestamp(state.startedAt)
    uptimeSeconds = Int((now - state.startedAt) / 1_000_000)
    draining = state.isDraining.load(ordering: .relaxed)
    stuckLoops = state.stuckLoops()
    upgrade = state.upgrade
    requests = state.loops.reduce(0) { $0 + $1.metrics.ownTime.reading.total }
    refusals = state.loops.map(\.metrics.codes).reading.byText
    self.instanceCount = instanceCount
    self.instancesTroubled = instancesTroubled
    latencyBoundsMs = DurationBounds.all.map { Double($0.nanoseconds) / 1_000_000 }
    connections = Connections(
      open: state.loops.reduce(0) { $0 + $1.handle.connections.load(ordering: .relaxed) },
      accepted: state.loops.reduce(0) { $0 + $1.metrics.accepted.current },
      refused: state.loops.reduce(0) { $0 + $1.metrics.refusedConnections.current })
    let inForce = state.policyInForce
    clientCount = inForce.generation.policy.clients.count
    policy = PolicyStatus(
      generation: inForce.generation.number, sha256: inForce.generation.policy.digest, since: timestamp(inForce.since),
      reloads: inForce.reloads, reloadsRefused: inForce.failures,
      lastReloadError: inForce.failure.map { Failure(at: timestamp($0.at), message: $0.message) },
      faults: Array(inForce.faults.prefix(Self.faultsMax)), faultCount: inForce.faults.count)
    accessLogLinesLost = state.log?.droppedLines
    audit = state.audit().map { audit in
      Audit(
        head: audit.head?.description, entries: audit.entries, failures: audit.failures,
        lostOutcomes: audit.lostOutcomes, writable: audit.canWrite)
    }
    idempotency = state.journal.map(\.state).map { journal in
      Idempotency(
        keys: journal.keys, inFlight: journal.inFlight, unknown: journal.unknown, diskBytes: journal.diskBytes,
        failures: journal.failures, lastFault: journal.lastFault.isEmpty ? nil : journal.lastFault,
        writable: journal.canWrite)
    }
    let providers = state.introspections().compactMap { reading in
      reading.breaker.map { breaker in
        Introspection(
          provider: reading.name, breaker: breaker.label, asked: reading.asked, hits: reading.hits,
          inactive: reading.inactive, faults: reading.faults)
      }
    }
    introspection = providers.isEmpty ? nil : providers
  }
}

extension InstanceStatus {
  fileprivate init(_ reading: InstanceReading) {
    id = String(decoding: reading.id, as: UTF8.self)
    policyFault = reading.policyFault
    writes = reading.acceptsWrites
    healthy = reading.state?.failsHealthChecks == false
    breaker = reading.state?.breakerPhase.label ?? ""
    requests = reading.requestCount
    inFlight = reading.inFlight
    queued = reading.sum { $0.waiting.current }
    connections = Connections(open: reading.sum { $0.open.current }, idle: reading.sum { $0.idle.current })
    lastFault = reading.lastFault.map { Fault(at: timestamp($0.at), code: $0.code.text, detail: $0.cause) }
    upstreamMs = Latency(counts: reading.upstreamTime.counts)
  }
}

extension InstanceStatus.Latency {
  /// nil: nothing was counted.
  fileprivate init?(counts: [Int]) {
    func percentile(_ share: Double) -> Double? {
      DurationBounds.quantile(share, of: counts).map { ($0 * 1_000).rounded() / 1_000 }
    }
    guard let p50 = percentile(0.5), let p90 = percentile(0.9), let p99 = percentile(0.99) else { return nil }
    self.init(p50: p50, p90: p90, p99: p99, counts: counts)
  }
}

extension ClientStatus {
  fileprivate init(_ reading: ClientReading) {
    name = String(decoding: reading.name, as: UTF8.self)
    requests = reading.counts?.requests.reduce(0, +)
    refusals = reading.counts?.refusals.byText
    rateLimited = reading.counts.map { $0.count(of: .rateLimited) + $0.count(of: .concurrencyLimited) }
    bytesIn = reading.counts?.bytesIn
    bytesOut = reading.counts?.bytesOut
    tokenExpiresAt = reading.tokenExpiry.map { timestamp($0.rawValue * 1_000_000) }
  }
}

extension CodeReading {
  fileprivate var byText: [String: Int] { Dictionary(uniqueKeysWithValues: map { ($0.code.text, $0.count) }) }
}

/// RFC 3339 with milliseconds.
func timestamp(_ microseconds: Int64) -> String {
  let (second, fraction) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
  let milliseconds = String(1_000 + fraction / 1_000).dropFirst()
  return CivilTime(secondsSince1970: second).rfc3339.dropLast() + ".\(milliseconds)Z"
}
