import Dispatch
import HTTP1
import Policies
import Telemetry
import Upstream

/// A per-loop wrapper around a policy generation, with the loop's access to each instance.
///
/// Each loop has its own, so that retaining it touches no reference count that loops share.
final class Snapshot {
  let generation: Generation
  let policy: Policy
  private var accesses: [InstanceAccess?]
  private let metrics: LoopMetrics
  private let findPool: (Instance) -> Pool
  /// By client index; empty: clients are not counted.
  private let clients: [ClientMetrics]
  let countsClients: Bool
  /// Counters of requests that ended before an instance was resolved.
  let requestsWithoutInstance: RequestSeries

  init(_ generation: Generation, _ metrics: LoopMetrics, findPool: @escaping (Instance) -> Pool) {
    self.generation = generation
    self.metrics = metrics
    requestsWithoutInstance = RequestSeries(metrics.withoutInstance)
    policy = generation.policy
    clients = metrics.clients(of: policy)
    countsClients = !clients.isEmpty
    self.findPool = findPool
    accesses = Array(repeating: nil, count: policy.instances.count)
  }

  deinit {
    // Freeing a large policy takes long: do it off the loop.
    Generation.releases.async { [generation, policy] in withExtendedLifetime((generation, policy)) {} }
  }

  /// The access to an instance, made at its first request.
  @inline(__always)
  func access(to index: Int32) -> InstanceAccess { accesses[Int(index)] ?? makeAccess(to: index) }

  /// The client in a pool's accounts. A method, because outside of one the compiler copies the policy's tables.
  @inline(never)
  func clientKey(of index: Int32) -> UInt32 { policy.clients.clientKey(of: Int(index)) }

  /// Counts an exchange of a client, whose index in this policy the trace has.
  @inline(never)
  func count(_ record: borrowing ExchangeRecord, _ code: GatewayCode?, of trace: AdmissionTrace) {
    guard trace.clientIndex >= 0 else { return }
    clients[policy.client(of: trace.clientIndex)].count(record, code)
  }

  @inline(never)
  private func makeAccess(to index: Int32) -> InstanceAccess {
    let instance = policy.instances[Int(index)]
    let access = InstanceAccess(
      instance, generation.states.states[Int(index)], metrics.instance(instance.id.text), pool: findPool(instance))
    accesses[Int(index)] = access
    return access
  }
}

/// What a loop needs to send requests to one instance.
final class InstanceAccess {
  /// One for each of the instance's keys.
  let headWriters: [UpstreamHeadWriter]
  let timeouts: InstanceTimeouts
  /// The bound on requests in flight on all loops; 0: no bound.
  let concurrentMax: Int
  let state: UpstreamState
  let pool: Pool
  let metrics: InstanceMetrics
  let requests: RequestSeries
  private let locations: [Location]
  private var reportedAt = Int64.min

  init(_ instance: Instance, _ state: UpstreamState, _ metrics: InstanceMetrics, pool: Pool) {
    self.metrics = metrics
    requests = RequestSeries(metrics)
    headWriters = instance.keys.map { UpstreamHeadWriter(instance, key: $0) }
    timeouts = instance.timeouts
    concurrentMax = instance.limits.concurrentMax
    self.state = state
    self.pool = pool
    locations = [Addressing.Form.inQuery, .inPath, .inQueryOfCorePath, .byDefault].map { Location($0, instance) }
  }

  // Exchanges call these methods instead of reading the stored objects, which saves a retain and release per call.

  /// Finds or opens a connection for an exchange.
  @_optimize(speed)
  func acquire(fresh: Bool, for exchange: Exchange, isWrite: Bool) -> Acquisition {
    fresh ? pool.acquireFresh(for: exchange) : pool.acquire(for: exchange, isWrite: isWrite)
  }

  /// Counts a request; false if `requests` has to find its counter first.
  @inline(never)
  func count(status: Int, at slot: Int) -> Bool { requests.count(status: status, at: slot) }

  /// Reports a response that does not count against the breaker.
  func succeeded() { state.succeeded() }

  /// Reports a failure that counts against the breaker.
  func failed(now: Int64) { state.failed(now: now, jitter: Double.random(in: 0..<1)) }

  /// Rewrites the instance's redirects for requests in this form.
  func location(_ form: Addressing.Form) -> Location {
    switch form {
    case .inQuery: locations[0]
    case .inPath: locations[1]
    case .inQueryOfCorePath: locations[2]
    case .byHost, .byDefault: locations[3]
    }
  }

  /// Whether to report a fault of the instance now: at most once in ten seconds.
  func mayReport(_ now: Int64) -> Bool {
    guard reportedAt == .min || now - reportedAt >= 10_000 else { return false }
    reportedAt = now
    return true
  }
}

extension UpstreamHeadWriter {
  convenience init(_ instance: Instance, key: Secret) {
    self.init(
      pathPrefix: Array(instance.url.pathPrefix.utf8),
      hostAndKeyLines: [UInt8](fields: ["Host": Array(instance.url.authority.utf8), "X-Blnk-Key": key.reveal()]))
  }
}

extension UpstreamSettings {
  /// One loop's share of an instance's limits.
  init(_ instance: Instance, loops: Int) {
    self.init(isSecure: instance.url.isTLS, host: instance.url.host, port: instance.url.port)
    tls = TLS(
      caBundle: instance.tls.caBundle?.bytes, certificate: instance.tls.certificate?.bytes,
      key: instance.tls.key?.bytes, serverName: instance.tls.serverName)
    connectionsMax = (instance.limits.connectionsMax + loops - 1) / loops
    share = instance.limits.share
    waitersMax = (instance.limits.queueMax + loops - 1) / loops
    connectMilliseconds = Int64(instance.timeouts.connectMilliseconds)
    nameCacheMilliseconds = Int64(instance.timeouts.nameCacheMilliseconds)
    idleMilliseconds = Int64(instance.timeouts.poolIdleMilliseconds)
    ageMilliseconds = Int64(instance.timeouts.poolAgeMilliseconds)
  }
}
