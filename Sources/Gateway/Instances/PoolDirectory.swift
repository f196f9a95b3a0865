import Policies
import Reactor
import Upstream

/// A loop's pools by instance. A pool outlives a reload if the settings of its instance are unchanged.
final class PoolDirectory {
  private let loop: EventLoop
  private let loops: Int
  private let names: NameCache
  private let makeLink: LinkMaker?
  private let budget: ConnectionBudget
  private let metrics: LoopMetrics
  private var pools: [String: Pool] = [:]

  /// - Parameter makeLink: replaces libcurl in a simulation.
  init(
    loop: EventLoop, loops: Int, connectionsMax: Int, metrics: LoopMetrics, failedAddresses: FailedAddresses,
    makeLink: LinkMaker?
  ) {
    names = NameCache(failedAddresses: failedAddresses)
    self.metrics = metrics
    self.makeLink = makeLink
    self.loop = loop
    self.loops = loops
    budget = ConnectionBudget(connectionsMax: (connectionsMax + loops - 1) / loops, loop: loop)
  }

  /// The pool of an instance; a new one if its settings have changed.
  func pool(for instance: Instance) -> Pool {
    let settings = UpstreamSettings(instance, loops: loops)
    if let pool = pools[instance.id.text] {
      if pool.settings == settings { return pool }
      pool.closeIdle()
    }
    let pool = newPool(settings, metrics.instance(instance.id.text).pools)
    pools[instance.id.text] = pool
    return pool
  }

  private func newPool(_ settings: UpstreamSettings, _ counters: PoolCounters) -> Pool {
    guard let makeLink else {
      return Pool(settings: settings, loop: loop, names: names, budget: budget, counters: counters)
    }
    return Pool(settings: settings, loop: loop, budget: budget, counters: counters, makeLink: makeLink)
  }

  /// Closes all idle connections.
  func closeIdle() {
    for pool in pools.values { pool.closeIdle() }
  }

  /// Drops the pools that a new policy does not need; leased connections end with their exchanges. The other pools
  /// resolve their names again, because a reload is the operator's sign that something has changed.
  func retainPools(of policy: Policy) {
    for (id, pool) in pools where settings(of: id, in: policy) != pool.settings {
      pool.closeIdle()
      pools[id] = nil
    }
    for pool in pools.values { pool.expireName() }
  }

  private func settings(of id: String, in policy: Policy) -> UpstreamSettings? {
    let name = Array(id.utf8)
    let index = policy.directory.index(of: name.span)
    return index.map { UpstreamSettings(policy.instances[Int($0)], loops: loops) }
  }
}
