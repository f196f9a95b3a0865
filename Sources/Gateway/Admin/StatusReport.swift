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

  /// All of it, as one line.
  var oneLine: [UInt8] {
    var (rest, line) = (self, [UInt8]())
    while let piece = rest.piece() { line += piece }
    return line
  }

  /// The next piece; nil after the last one.
  mutating func piece() -> [UInt8]? {
    switch phase {
    case .beginning:
      phase = .instances
      // Reopen the object that the encoder has closed.
      return json(GatewayStatus(state)).dropLast() + Array("\(more),\"instances\":[".utf8)
    case .instances:
      if let piece = piece(of: instances.count, { [self] in instance(instances[$0]) }) { return piece }
      (phase, next) = (.clients, 0)
      return Array(#"],"clients":["#.utf8)
    case .clients:
      if let piece = piece(of: clients.count, { [clients] in json(ClientStatus(clients[$0])) }) { return piece }
      phase = .ended
      return Array(#"],"recent":"#.utf8) + RecentEnds.json(state.loops.map(\.metrics.recentEnds)) + Array("}\n".utf8)
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

  private func instance(_ reading: InstanceReading) -> [UInt8] {
    json(InstanceStatus(reading)).dropLast() + more(reading).utf8
  }

  /// Further members of the gateway as a whole.
  private var more: String {
    let refusals = state.loops.map(\.metrics.codes).reading.map { "\"\($0.code.text)\":\($0.count)" }
      .joined(separator: ",")
    let bounds = DurationBounds.all.map { "\(Double($0.nanoseconds) / 1_000_000)" }.joined(separator: ",")
    return """
      ,"at":"\(timestamp(SystemClock.wallMicroseconds))","upgrade":"\(state.upgrade)",\
      "requests":\(state.loops.reduce(0) { $0 + $1.metrics.ownTime.reading.total }),"refusals":{\(refusals)},\
      "instance_count":\(instanceCount),"instances_troubled":\(troubledCount),"latency_bounds_ms":[\(bounds)]
      """
  }

  /// Further members of an instance. Its times are since the start; two readings of `counts` give the percentiles of the
  /// time between them.
  private func more(_ reading: InstanceReading) -> String {
    let counts = reading.upstreamTime.counts
    var text = ",\"requests\":\(reading.requestCount)"
    guard DurationBounds.quantile(0.5, of: counts) != nil else { return text + "}" }
    for (name, share) in [("{\"p50", 0.5), (",\"p90", 0.9), (",\"p99", 0.99)] {
      let milliseconds = ((DurationBounds.quantile(share, of: counts) ?? 0) * 1_000).rounded() / 1_000
      text += "\(share == 0.5 ? ",\"upstream_ms\":" : "")\(name)\":\(milliseconds)"
    }
    return text + ",\"counts\":\(counts)}}"
  }
}

private func json(_ value: some Encodable) -> [UInt8] {
  let encoder = JSONEncoder()
  encoder.keyEncodingStrategy = .convertToSnakeCase
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  guard let data = try? encoder.encode(value) else { preconditionFailure("strings and numbers can be encoded") }
  return Array(data)
}

/// The members of `/status` about the gateway as a whole.
private struct GatewayStatus: Encodable {
  struct Connections: Encodable {
    let open: Int
    let accepted: Int
    let refused: Int
  }

  struct PolicyStatus: Encodable {
    let generation: Int
    let sha256: String
    let since: String
    let reloads: Int
    let reloadsRefused: Int
    let lastReloadError: Failure?
    /// The first faults of individual files and instances.
    let faults: [String]
    let faultCount: Int
  }

  private static let faultsMax = 20

  struct Audit: Encodable {
    /// For `audit verify --expect`.
    let head: String?
    let entries: Int
    let failures: Int
    let lostOutcomes: Int
    let writable: Bool

    init(_ state: AuditState) {
      head = state.head?.description
      entries = state.entries
      failures = state.failures
      lostOutcomes = state.lostOutcomes
      writable = state.canWrite
    }
  }

  struct Idempotency: Encodable {
    let keys: Int
    let inFlight: Int
    let unknown: Int
    let diskBytes: Int
    let failures: Int
    let lastFault: String?
    let writable: Bool

    init(_ state: JournalState) {
      keys = state.keys
      inFlight = state.inFlight
      unknown = state.unknown
      diskBytes = state.diskBytes
      failures = state.failures
      lastFault = state.lastFault.isEmpty ? nil : state.lastFault
      writable = state.canWrite
    }
  }

  struct Introspection: Encodable {
    let provider: String
    let breaker: String
    let asked: Int
    let hits: Int
    let inactive: Int
    let faults: Int

    init(_ reading: IntrospectionReading) {
      provider = reading.name
      breaker = reading.breaker?.label ?? ""
      asked = reading.asked
      hits = reading.hits
      inactive = reading.inactive
      faults = reading.faults
    }
  }

  struct Failure: Encodable {
    let at: String
    let message: String
  }

  let version: String
  let commit: String
  let swift: String
  /// The version that this process has loaded.
  let libcurl: String
  let startedAt: String
  let uptimeSeconds: Int
  let draining: Bool
  /// Also of those that are too many to list.
  let clientCount: Int
  let stuckLoops: [Int]
  let connections: Connections
  let policy: PolicyStatus
  let accessLogLinesLost: Int?
  let audit: Audit?
  let idempotency: Idempotency?
  /// nil: no provider is configured.
  let introspection: [Introspection]?

  init(_ state: GatewayState) {
    version = gatewayVersion
    commit = Build.commit
    swift = Build.swift
    libcurl = Build.libcurlRunning
    startedAt = timestamp(state.startedAt)
    uptimeSeconds = Int((SystemClock.wallMicroseconds - state.startedAt) / 1_000_000)
    draining = state.isDraining.load(ordering: .relaxed)
    stuckLoops = state.stuckLoops()
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
    audit = state.audit().map(Audit.init)
    idempotency = state.journal.map { Idempotency($0.state) }
    let providers = state.introspections().filter { $0.breaker != nil }.map(Introspection.init)
    introspection = providers.isEmpty ? nil : providers
  }
}

/// One entry of `instances`.
private struct InstanceStatus: Encodable {
  struct Fault: Encodable {
    let at: String
    let code: String
    let detail: String?
  }

  struct Connections: Encodable {
    let open: Int
    let idle: Int
  }

  let id: String
  /// Why its definition in the files is not in force.
  let policyFault: String?
  /// false: maintenance (`"writes": false`), or `policyFault` says why it gets no requests at all.
  let writes: Bool
  let healthy: Bool
  let breaker: String
  let inFlight: Int
  let queued: Int
  let connections: Connections
  let lastFault: Fault?

  init(_ reading: InstanceReading) {
    id = String(decoding: reading.id, as: UTF8.self)
    policyFault = reading.policyFault
    writes = reading.acceptsWrites
    healthy = reading.state?.failsHealthChecks == false
    breaker = reading.state?.breakerPhase.label ?? ""
    inFlight = reading.inFlight
    queued = reading.sum { $0.waiting.current }
    connections = Connections(open: reading.sum { $0.open.current }, idle: reading.sum { $0.idle.current })
    lastFault = reading.lastFault.map { Fault(at: timestamp($0.at), code: $0.code.text, detail: $0.cause) }
  }
}

/// One entry of `clients`. The counts are nil unless requests are counted by client.
private struct ClientStatus: Encodable {
  let name: String
  let requests: Int?
  let refusals: [String: Int]?
  /// Of the client's own limits: rate and concurrency.
  let rateLimited: Int?
  let bytesIn: Int?
  let bytesOut: Int?
  let tokenExpiresAt: String?

  init(_ reading: ClientReading) {
    name = String(decoding: reading.name, as: UTF8.self)
    requests = reading.counts?.requests.reduce(0, +)
    refusals = reading.counts.map { counts in
      Dictionary(uniqueKeysWithValues: counts.refusals.map { ($0.code.text, $0.count) })
    }
    rateLimited = reading.counts.map { $0.count(of: .rateLimited) + $0.count(of: .concurrencyLimited) }
    bytesIn = reading.counts?.bytesIn
    bytesOut = reading.counts?.bytesOut
    tokenExpiresAt = reading.tokenExpiry.map { timestamp($0.rawValue * 1_000_000) }
  }
}

/// RFC 3339 with milliseconds.
func timestamp(_ microseconds: Int64) -> String {
  let (second, fraction) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
  let milliseconds = String(1_000 + fraction / 1_000).dropFirst()
  return CivilTime(secondsSince1970: second).rfc3339.dropLast() + ".\(milliseconds)Z"
}
