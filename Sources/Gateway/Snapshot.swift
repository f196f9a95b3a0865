import Dispatch
import HTTP1
import Policies
import Upstream

/// One loop's own box of one policy generation, with what stands ready of each instance.
///
/// Each loop has its own, so that holding it costs no shared counter.
final class Snapshot {
  let generation: Generation
  let policy: Policy
  private var accesses: [InstanceAccess?]
  private let metrics: LoopMetrics
  private let findPool: (Instance) -> Pool
  /// Requests that ended before an instance was found for them.
  let requestsWithoutInstance: RequestSeries

  init(_ generation: Generation, _ metrics: LoopMetrics, findPool: @escaping (Instance) -> Pool) {
    self.generation = generation
    self.metrics = metrics
    requestsWithoutInstance = RequestSeries(metrics.withoutInstance)
    policy = generation.policy
    self.findPool = findPool
    accesses = Array(repeating: nil, count: policy.instances.count)
  }

  deinit {
    // A large policy takes its time to go: not the loop's.
    DispatchQueue.global().async { [generation, policy] in withExtendedLifetime((generation, policy)) {} }
  }

  /// How to reach an instance; made at its first request.
  @inline(__always)
  func access(to index: Int32) -> InstanceAccess { accesses[Int(index)] ?? makeAccess(to: index) }

  @inline(never)
  private func makeAccess(to index: Int32) -> InstanceAccess {
    let instance = policy.instances[Int(index)]
    let access = InstanceAccess(
      instance, generation.states.states[Int(index)], metrics.instance(instance.id.text), pool: findPool(instance))
    accesses[Int(index)] = access
    return access
  }
}

/// A loop's way to one instance.
final class InstanceAccess {
  /// One for each of the instance's keys.
  let routes: [UpstreamRoute]
  let timeouts: InstanceTimeouts
  /// Requests under way on all loops; 0: no bound.
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
    routes = instance.keys.map { UpstreamRoute(instance, key: $0) }
    timeouts = instance.timeouts
    concurrentMax = instance.limits.concurrentMax
    self.state = state
    self.pool = pool
    locations = [Addressing.Form.inQuery, .inPath, .inQueryOfCorePath, .byDefault].map { Location($0, instance) }
  }

  // What an exchange asks is asked in here: whoever asks a part of this for itself counts the part's reference, too.

  /// Finds or makes a connection for an exchange.
  func acquire(fresh: Bool, for exchange: Exchange, isWrite: Bool) -> Acquisition {
    fresh ? pool.acquireFresh(for: exchange) : pool.acquire(for: exchange, isWrite: isWrite)
  }

  /// Counts a request; false when its counter is still to be found.
  @inline(never)
  func count(status: Int, at slot: Int) -> Bool { requests.count(status: status, at: slot) }

  /// The instance gave a response that does not count against its breaker.
  func succeeded() { state.succeeded() }

  /// The instance failed, in a way that counts against its breaker.
  func failed(now: Int64) { state.failed(now: now, jitter: Double.random(in: 0..<1)) }

  /// How redirects of the instance are told to who asked in this form.
  func location(_ form: Addressing.Form) -> Location {
    switch form {
    case .inQuery: locations[0]
    case .inPath: locations[1]
    case .inQueryOfCorePath: locations[2]
    case .byHost, .byDefault: locations[3]
    }
  }

  /// Whether a fault of the instance may be told now: an instance that is down is told once a second, not each time.
  func mayReport(_ now: Int64) -> Bool {
    guard reportedAt == .min || now - reportedAt >= 1_000 else { return false }
    reportedAt = now
    return true
  }
}

extension UpstreamRoute {
  convenience init(_ instance: Instance, key: Secret) {
    self.init(
      pathPrefix: Array(instance.url.pathPrefix.utf8),
      hostAndKeyLines: [UInt8](fields: ["Host": Array(instance.url.authority.utf8), "X-Blnk-Key": key.reveal()]))
  }
}

extension UpstreamSettings {
  /// A loop's share of an instance's bounds.
  init(_ instance: Instance, loops: Int) {
    self.init(isSecure: instance.url.isTLS, host: instance.url.host, port: instance.url.port)
    tls = TLS(
      authority: instance.tls.authority?.bytes, certificate: instance.tls.certificate?.bytes,
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
