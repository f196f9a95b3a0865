import Audit
import Background
import Counters
import HTTP1
import Journal
import Policies
import Reactor
import Synchronization
import System
import Telemetry
import Upstream

/// The state of the running gateway for metrics and status, readable from any thread.
final class GatewayState: Sendable {
  /// Microseconds since 1970.
  let startedAt = SystemClock.wallMicroseconds
  let loops: [Loop]
  let log: AccessLog?
  let introspection: IntrospectionService
  /// Reads records of instances.
  let records: RecordClient
  /// The journal of idempotency keys; nil without one.
  let journal: Journal?
  /// For operators' commands; nil without an audit log.
  let auditLog: AuditLog?
  /// The state of the audit log; nil without one.
  let audit: @Sendable () -> AuditState?
  /// How many ids of tokens and grants are revoked besides those in `revoked.json`.
  let revokedGrants: @Sendable () -> Int
  /// The process that this one has replaced; nil: none.
  private let predecessor: Int32?
  /// Set once a successor serves.
  let isHandedOver = Atomic<Bool>(false)
  /// Set before draining begins, so that a load balancer has time to notice.
  let isDraining = Atomic<Bool>(false)
  private let inForce: Mutex<PolicyInForce>
  private let tokens = Mutex(KeptTokenSummary())

  struct Loop: Sendable {
    let handle: LoopHandle
    let metrics: LoopMetrics
  }

  init(
    _ generation: Generation, faults: [String] = [], loops: [Loop], log: AccessLog?, journal: Journal? = nil,
    auditLog: AuditLog? = nil, predecessor: Int32? = nil, revokedGrants: @escaping @Sendable () -> Int = { 0 },
    audit: @escaping @Sendable () -> AuditState?
  ) {
    self.predecessor = predecessor
    introspection = IntrospectionService(generation.transfers)
    records = RecordClient(generation.transfers)
    self.loops = loops
    self.log = log
    self.journal = journal
    self.auditLog = auditLog
    self.revokedGrants = revokedGrants
    self.audit = audit
    inForce = Mutex(PolicyInForce(generation: generation, faults: faults, since: SystemClock.wallMicroseconds))
  }

  var policyInForce: PolicyInForce { inForce.withLock(\.self) }

  func tokenSummary(of generation: Generation, at now: UnixSeconds) -> TokenSummary {
    tokens.withLock { $0.summary(of: generation.policy, generation: generation.number, at: now) }
  }

  /// A reload has put `generation` into force.
  func installed(_ generation: Generation, _ faults: [String]) {
    inForce.withLock { inForce in
      inForce.generation = generation
      inForce.faults = faults
      inForce.since = SystemClock.wallMicroseconds
      inForce.reloads += 1
      inForce.failure = nil
    }
  }

  /// A reload was refused.
  func reloadFailed(_ message: String, _ faults: [String]) {
    inForce.withLock { inForce in
      inForce.failures += 1
      inForce.faults = faults
      inForce.failure = PolicyInForce.Failure(message: message, at: SystemClock.wallMicroseconds)
    }
  }

  /// What is in force and what is wrong with the policy folder, for example
  /// `serving generation 3, policy sha256 b27568e2…; 2 faults, the first: policies/clients.json:2: …`.
  var statusLine: String {
    let inForce = policyInForce
    let work = isDraining.load(ordering: .relaxed) ? "draining" : "serving"
    var line = "\(work) generation \(inForce.generation.number), policy sha256 \(inForce.generation.policy.digest)"
    if let failure = inForce.failure { line += "; the last reload was refused: \(failure.message)" }
    if let first = inForce.faults.first {
      line +=
        inForce.faults.count == 1 ? "; 1 fault: \(first)" : "; \(inForce.faults.count) faults, the first: \(first)"
    }
    return line
  }

  /// How far an upgrade is, as `/status` names it.
  var upgrade: UpgradePhase {
    if isHandedOver.load(ordering: .relaxed) { return .handedOver }
    // The successor is a child of the process that it replaces.
    return predecessor.map { parentProcess == $0 ? .predecessorDrains : .complete } ?? .none
  }

  /// The loops that have been in one turn for more than 10 s, because of endless or blocking work.
  func stuckLoops() -> [Int] {
    let now = SystemClock.nanoseconds
    return loops.indices.filter { index in
      let busySince = loops[index].handle.busySince.load(ordering: .relaxed)
      return busySince > 0 && now - busySince > Self.turnNanosecondsMax
    }
  }

  private static let turnNanosecondsMax: Int64 = 10_000_000_000

  /// The introspection providers of this and earlier policies, sorted by name.
  func introspections() -> [IntrospectionReading] {
    var readings: [String: IntrospectionReading] = [:]
    for provider in policyInForce.generation.policy.introspection?.providers ?? [] {
      readings[provider.name] = IntrospectionReading(
        name: provider.name, breaker: introspection.state(of: provider).breakerPhase)
    }
    for loop in loops {
      for (name, metrics) in loop.metrics.introspections {
        readings[name, default: IntrospectionReading(name: name)].add(metrics)
      }
    }
    return readings.values.sorted { $0.name < $1.name }
  }

  /// The clients of the policy in force, in file order; none if there are too many to list.
  func clients(_ policy: Policy, _ summary: TokenSummary) -> [ClientReading] {
    let counted = policy.countsClients ? loops.map(\.metrics.clients) : nil
    return summary.soonestExpiry.indices.map { index in
      let name = policy.clients.id(of: index)
      let parts = counted.map { loops in loops.compactMap { $0[Array(name)] } }
      return ClientReading(
        name: name, tokenExpiry: summary.soonestExpiry[index], counts: parts.map(ClientReading.Counts.init))
    }
  }

  /// Why this gateway cannot serve; nil: it can.
  ///
  /// Only what concerns this gateway alone, so that no shared fault makes all gateways unready at once: a full disk, a Core
  /// or a policy can be those of all of them.
  var unreadiness: String? {
    if isDraining.load(ordering: .relaxed) { return "draining" }
    return stuckLoops().first.map { "loop \($0) has been in one turn for more than 10 s" }
  }

  /// What it rejects or has not applied although it is ready, one line each, without names.
  var restrictions: [String] {
    var lines: [String] = []
    if audit()?.canWrite == false { lines.append("writes are rejected: the audit log cannot be written") }
    if journal?.state.canWrite == false {
      lines.append("writes with a new idempotency key are rejected: the journal cannot be written")
    }
    let inForce = policyInForce
    let states = inForce.generation.states.states
    let unavailable = states.count { $0.breakerPhase != .closed || $0.failsHealthChecks }
    if unavailable > 0 { lines.append("instances unavailable: \(unavailable) of \(states.count)") }
    if inForce.failure != nil || !inForce.faults.isEmpty { lines.append("the policy folder has a fault") }
    return lines
  }

  /// The instances of this and earlier policies, sorted by id.
  func instances() -> [InstanceReading] {
    var readings: [String: InstanceReading] = [:]
    let generation = policyInForce.generation
    for (instance, state) in zip(generation.policy.instances, generation.states.states) {
      readings[instance.id.text] = InstanceReading(
        id: instance.id.bytes, policyFault: instance.fault, acceptsWrites: instance.acceptsWrites, state: state)
    }
    for loop in loops {
      for (id, metrics) in loop.metrics.instances {
        readings[id, default: InstanceReading(id: Array(id.utf8), state: nil)].parts.append(metrics)
      }
    }
    return readings.values.sorted { $0.id.lexicographicallyPrecedes($1.id) }
  }
}

/// The policy in force, and its reloads.
struct PolicyInForce {
  struct Failure {
    let message: String
    let at: Int64
  }

  var generation: Generation
  /// The faults of individual files and instances the last time the folder was read, whether or not it was put into
  /// force.
  var faults: [String]
  /// Microseconds since 1970.
  var since: Int64
  var reloads = 0
  var failures = 0
  /// Why the last reload was refused; nil if it was not.
  var failure: Failure?
}

/// The metrics of one instance, over all loops.
struct InstanceReading {
  let id: [UInt8]
  var policyFault: String?
  /// false: maintenance, or the policy has no valid definition of it.
  var acceptsWrites = true
  /// nil: the policy in force no longer has it.
  let state: UpstreamState?
  /// One for each loop that has sent it a request.
  var parts: [InstanceMetrics] = []

  func sum(_ count: (PoolCounters) -> Int) -> Int { parts.reduce(0) { $0 + count($1.pools) } }

  var leased: Int { sum { $0.open.current - $0.idle.current - $0.connecting.current } }

  /// Exchanges that have a connection, or wait for one.
  var inFlight: Int { sum { $0.open.current - $0.idle.current + $0.waiting.current } }

  var upstreamTime: HistogramReading { parts.reduce(into: HistogramReading()) { $0 += $1.upstreamTime.reading } }

  /// The counts per kind, in a fixed order; each in the order of `RequestCounter.classes`.
  var requests: [(kind: RequestKind, counts: [Int])] {
    var sums: [RequestKind: [Int]] = [:]
    for part in parts {
      for (kind, counter) in part.requests {
        let counts = counter.reading
        sums[kind] = sums[kind].map { zip($0, counts).map(+) } ?? counts
      }
    }
    return sums.sorted { ($0.key.order, $0.key.method.rawValue) < ($1.key.order, $1.key.method.rawValue) }
      .map { (kind: $0.key, counts: $0.value) }
  }

  var refusals: CodeReading { parts.compactMap(\.codes).reading }

  var requestCount: Int {
    parts.reduce(0) { $0 + $1.requests.values.reduce(0) { $0 + $1.reading.reduce(0, +) } }
  }

  static let troubleMax = 5

  /// How much it needs an operator's attention, at most `troubleMax`; 0: not at all.
  ///
  /// - Parameter now: microseconds since 1970.
  func trouble(at now: Int64) -> Int {
    if state?.breakerPhase == .open { return Self.troubleMax }
    if state?.failsHealthChecks == true || policyFault != nil { return 4 }
    if state?.breakerPhase != .closed { return 3 }
    if sum({ $0.waiting.current }) > 0 { return 2 }
    return lastFault.map { now - $0.at < Attention.recentMicroseconds } == true ? 1 : 0
  }

  var lastFault: InstanceFault? { parts.compactMap(\.lastFault).max { $0.at < $1.at } }
}

extension RequestKind {
  fileprivate var order: String { String(decoding: route, as: UTF8.self) }
}

/// The metrics of one introspection provider, over all loops.
struct IntrospectionReading {
  let name: String
  /// nil: the policy in force no longer has it.
  var breaker: BreakerPhase?
  private(set) var asked = 0
  private(set) var hits = 0
  private(set) var inactive = 0
  private(set) var faults = 0
  private(set) var unasked = 0
  private(set) var latency = HistogramReading()

  init(name: String, breaker: BreakerPhase? = nil) {
    self.name = name
    self.breaker = breaker
  }

  mutating func add(_ metrics: IntrospectionMetrics) {
    asked += metrics.asked.current
    hits += metrics.hits.current
    inactive += metrics.inactive.current
    faults += metrics.faults.current
    unasked += metrics.unasked.current
    latency += metrics.latency.reading
  }

  var label: PrometheusText.Labels { [("provider", Array(name.utf8))] }
}
