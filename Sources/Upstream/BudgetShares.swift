/// How the pools of a loop share its connections: who waits for one, who is next, and who gives one up. A pool is a
/// small number here. Each step takes O(log pools).
///
/// A pool's *level* is the number of its connections divided by the equal share of all pools, rounded down. The lowest
/// level comes first; within a level, the longest wait. Pools of level 0 take turns instead.
///
/// Closing a connection of one pool to open one of another costs as much as many requests. It happens without limit
/// only where fairness needs it: from a pool above its share to one below, and from connections that have idled long.
/// All other moves share a rate, and leave a pool its share.
struct BudgetShares: ~Copyable {
  let connectionsMax: Int
  /// All connections.
  private(set) var count = 0
  private var counts: [Int] = []
  private var freeIDs: [Int32] = []
  /// When each pool below its share began to wait.
  private var turns: [Int] = []
  private var turn = 0
  /// One pool's equal share, in connections.
  private(set) var share: Int
  /// The pools that wait for a place. A rank may be too low, never too high.
  private(set) var waiting = RankedHeap()
  /// The pools with idle connections, by the time since when one idles; that may be too early, never too late.
  private(set) var idle = RankedHeap()
  private var moves = MoveAllowance()

  /// A connection that has idled for longer (milliseconds) may always be moved.
  static let idleMilliseconds: Int64 = 1_000
  /// Among pools of one level, one gives a connection up if the other has waited for more than twice as long plus this
  /// (milliseconds).
  private static let waitMargin: Int64 = 50

  init(connectionsMax: Int) {
    self.connectionsMax = connectionsMax
    share = connectionsMax
  }

  var isFull: Bool { count >= connectionsMax }
  func count(of pool: Int32) -> Int { counts[Int(pool)] }

  // MARK: Pools and connections

  /// Adds a pool that holds or awaits a connection.
  mutating func join() -> Int32 {
    let id = freeIDs.popLast() ?? Int32(counts.count)
    if Int(id) == counts.count {
      counts.append(0)
      turns.append(0)
    }
    updateShare()
    return id
  }

  /// Removes a pool that holds and awaits none.
  mutating func leave(_ pool: Int32) {
    idle.remove(pool)
    freeIDs.append(pool)
    updateShare()
  }

  /// The share may stay smaller than it could be, so that few pools that come and go do not change it.
  private mutating func updateShare() {
    let exact = max(1, connectionsMax / max(1, counts.count - freeIDs.count))
    guard exact < share || exact >= share + max(1, share / 8) else { return }
    let hasGrown = exact > share
    share = exact
    if hasGrown { for pool in waiting.ids { lowerRank(pool) } }
  }

  mutating func opened(_ pool: Int32) {
    count += 1
    counts[Int(pool)] += 1
  }

  mutating func closed(_ pool: Int32) {
    count -= 1
    counts[Int(pool)] -= 1
    lowerRank(pool)
  }

  // MARK: Waiting

  /// Queues a pool for the next place.
  ///
  /// - Parameter since: when its next waiter was queued (monotonic milliseconds).
  mutating func enqueue(_ pool: Int32, since: Int64) {
    turn += 1
    turns[Int(pool)] = turn
    waiting.set(pool, to: rank(pool, since))
  }

  mutating func dequeue(_ pool: Int32) { waiting.remove(pool) }

  /// Whether the first pool in the queue is rightly the first. If not, it gets its place, and another is first.
  mutating func confirmFirst(_ pool: Int32, since: Int64) -> Bool {
    let rank = rank(pool, since)
    guard rank != waiting.rank(of: pool) else { return true }
    waiting.set(pool, to: rank)
    return waiting.first == pool
  }

  /// Whether a pool that has just started to wait comes before the first one in the queue.
  func comesFirst(_ pool: Int32, since: Int64) -> Bool {
    guard let first = waiting.first, first != pool, let firstRank = waiting.rank(of: first) else { return true }
    let level = counts[Int(pool)] / share
    return Rank(level: level, order: level == 0 ? turn + 1 : Int(since)) < firstRank
  }

  /// Lowers the rank of a waiting pool whose level has become lower.
  private mutating func lowerRank(_ pool: Int32) {
    guard let old = waiting.rank(of: pool), counts[Int(pool)] / share < old.level else { return }
    waiting.set(pool, to: rank(pool, Int64(old.order)))
  }

  private func rank(_ pool: Int32, _ since: Int64) -> Rank {
    let level = counts[Int(pool)] / share
    return Rank(level: level, order: level == 0 ? turns[Int(pool)] : Int(since))
  }

  // MARK: Moves

  /// Whether a pool that has a connection to spare closes it for the first one in the queue.
  ///
  /// - Parameters:
  ///   - since: when the next waiter of the holding pool was queued; nil: it has none.
  ///   - firstSince: the same of the first pool in the queue.
  mutating func yields(_ pool: Int32, since: Int64?, to first: Int32, since firstSince: Int64, now: Int64) -> Bool {
    let (held, wanted) = (counts[Int(pool)], counts[Int(first)])
    if wanted < share, held > share { return true }
    guard let since else { return canSpare(held, for: wanted) && moves.take(now) }
    let waitsLonger = now - firstSince > 2 * (now - since) + Self.waitMargin
    // There are more pools than connections.
    if wanted == 0, waitsLonger { return true }
    guard holdsMore(held, than: wanted) || waitsLonger && held > share && wanted / share <= held / share else {
      return false
    }
    return moves.take(now)
  }

  /// Whether a pool that holds more than its share, or more than twice as many connections as the other one, can do
  /// without an idle one.
  private func canSpare(_ held: Int, for wanted: Int) -> Bool { held > share || holdsMore(held, than: wanted) }

  private func holdsMore(_ held: Int, than wanted: Int) -> Bool { held > 2 * wanted }

  mutating func listIdle(_ pool: Int32, since: Int64) { idle.set(pool, to: Rank(level: 0, order: Int(since))) }
  mutating func unlistIdle(_ pool: Int32) { idle.remove(pool) }

  /// Whether the connection that has idled longest may be closed for a pool that needs one.
  ///
  /// - Parameters:
  ///   - holder: the pool of that connection.
  ///   - wanted: how many connections the other one has.
  mutating func mayTakeIdle(of holder: Int32, since: Int64, for wanted: Int, now: Int64) -> Bool {
    if now - since >= Self.idleMilliseconds { return true }
    return canSpare(counts[Int(holder)], for: wanted) && moves.take(now)
  }
}

/// How many connections may be moved between pools: 32 at once, and one more every 8 ms. A move takes about 0.1 ms.
struct MoveAllowance {
  private static let leftMax: Int64 = 32
  static let milliseconds: Int64 = 8

  private var left = leftMax
  /// When the last one was added.
  private var addedAt = Int64.min / 2

  mutating func take(_ now: Int64) -> Bool {
    let more = (now - addedAt) / Self.milliseconds
    if left + more >= Self.leftMax {
      (left, addedAt) = (Self.leftMax, now)
    } else {
      left += more
      addedAt += more * Self.milliseconds
    }
    guard left > 0 else { return false }
    left -= 1
    return true
  }
}
