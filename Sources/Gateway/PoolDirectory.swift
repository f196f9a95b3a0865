import Policies
import Reactor
import Upstream

/// A loop's pools by instance; they outlive a reload where the instance is reached as before.
final class PoolDirectory {
  private let loop: EventLoop
  private let loops: Int
  private let names: NameCache
  private let makeLink: LinkMaker?
  private let budget: ConnectionBudget
  private let metrics: LoopMetrics
  private var pools: [String: Pool] = [:]

  /// - Parameter makeLink: what stands for libcurl in a simulation.
  init(
    loop: EventLoop, loops: Int, connectionsMax: Int, metrics: LoopMetrics, failedAddresses: FailedAddresses,
    makeLink: LinkMaker?
  ) {
    names = NameCache(failedAddresses: failedAddresses)
    self.metrics = metrics
    self.makeLink = makeLink
    self.loop = loop
    self.loops = loops
    budget = ConnectionBudget(connectionsMax: (connectionsMax + loops - 1) / loops)
  }

  /// The pool of an instance; a new one where its settings have changed.
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

  /// Closes the connections that nobody uses.
  func closeIdle() {
    for pool in pools.values { pool.closeIdle() }
  }

  /// Lets go of the pools that a new policy does not need; what is leased ends with its exchange. The others resolve their
  /// names anew: a reload is how an operator says that something has changed.
  func keep(only policy: Policy) {
    for (id, pool) in pools where settings(of: id, in: policy) != pool.settings {
      pool.closeIdle()
      pools[id] = nil
    }
    for pool in pools.values { pool.resolveAnew() }
  }

  private func settings(of id: String, in policy: Policy) -> UpstreamSettings? {
    let name = Array(id.utf8)
    let index = policy.directory.index(of: name.span)
    return index.map { UpstreamSettings(policy.instances[Int($0)], loops: loops) }
  }
}
