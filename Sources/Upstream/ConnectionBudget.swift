/// Bounds the upstream connections of one loop, over all its pools.
///
/// At the bound, the connection that has been idle longest is closed. If none is idle, pools queue, and a pool that
/// holds more connections than the first pool in the queue gives one up.
package final class ConnectionBudget {
  let connectionsMax: Int
  private var count = 0
  /// The pools that hold connections.
  private var pools: [Pool] = []
  /// The pools that wait because the budget is used up, in the order of arrival.
  private var starved: [Pool] = []

  package init(connectionsMax: Int) { self.connectionsMax = connectionsMax }

  func didOpen(_ pool: Pool) {
    count += 1
    if pool.count == 1 { pools.append(pool) }
  }

  func didClose(_ pool: Pool) {
    count -= 1
    if pool.count == 0 { pools.removeAll { $0 === pool } }
    serveStarved()
  }

  /// Whether one more connection fits. At the bound, it closes the connection that has been idle longest.
  func ensureCapacity() -> Bool {
    guard count >= connectionsMax else { return true }
    var longest: UpstreamConnection?
    for pool in pools {
      guard let candidate = pool.longestIdle else { continue }
      if candidate.idleSince < longest?.idleSince ?? .max { longest = candidate }
    }
    longest?.close()
    return count < connectionsMax
  }

  /// Queues a pool for the next free connection.
  func enqueue(_ pool: Pool) {
    guard !pool.isStarved else { return }
    pool.isStarved = true
    starved.append(pool)
  }

  /// Serves the queued pools after a connection has been closed or has become idle: they come before newcomers.
  func serveStarved() {
    while let pool = starved.first {
      if pool.needsBudget, !ensureCapacity() { return }
      guard pool.isStarved, starved.first === pool else { continue }
      starved.removeFirst()
      pool.isStarved = false
      // A pool that needs more connections than are free rejoins the queue at its end.
      pool.serveWaiters()
    }
  }

  /// Whether `pool` gives up a connection because the first queued pool holds at least two fewer.
  func shouldYield(_ pool: Pool) -> Bool {
    guard let first = starved.first, first !== pool else { return false }
    return first.needsBudget && first.count + 1 < pool.count
  }
}
