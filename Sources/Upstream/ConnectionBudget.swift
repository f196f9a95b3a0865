/// How many upstream connections a loop may hold, over all upstreams.
///
/// When all places are taken, the connection that has idled longest goes; where none idles, pools queue for a place, and
/// one that holds more connections than the first in the queue gives one up.
package final class ConnectionBudget {
  let connectionsMax: Int
  private var count = 0
  /// Those that hold connections.
  private var pools: [Pool] = []
  /// Pools that could make no connection for want of a place, the one that has waited longest first.
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

  /// Whether one more connection fits; when none does, the one that has idled longest goes.
  func makeRoom() -> Bool {
    guard count >= connectionsMax else { return true }
    var longest: UpstreamConnection?
    for pool in pools {
      guard let candidate = pool.longestIdle else { continue }
      if candidate.idleSince < longest?.idleSince ?? .max { longest = candidate }
    }
    longest?.close()
    return count < connectionsMax
  }

  /// The pool found no place: it gets one in its turn.
  func remember(_ pool: Pool) {
    guard !pool.isStarved else { return }
    pool.isStarved = true
    starved.append(pool)
  }

  /// A place is free, or a connection idles: pools that wait for a place come before newcomers.
  func serveStarved() {
    while let pool = starved.first {
      if pool.lacksPlace, !makeRoom() { return }
      guard pool.isStarved, starved.first === pool else { continue }
      starved.removeFirst()
      pool.isStarved = false
      // Who lacks more than there is goes to the end of the queue.
      pool.serveWaiters()
    }
  }

  /// Whether a pool that still lacks a place holds so much less that this one gives a connection up.
  func isOwedPlace(by pool: Pool) -> Bool {
    guard let first = starved.first, first !== pool else { return false }
    return first.lacksPlace && first.count + 1 < pool.count
  }
}
