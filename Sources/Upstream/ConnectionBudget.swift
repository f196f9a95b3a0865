package import Reactor

/// Bounds the upstream connections of one loop, over all its pools.
///
/// At the bound, pools queue; `BudgetShares` decides who is next, and who closes a connection for it.
package final class ConnectionBudget: EventHandler {
  private(set) var shares: BudgetShares
  /// The pools that hold or await connections, by their numbers in `shares`.
  private var pools: [Pool?] = []
  private unowned let loop: EventLoop
  private var registration = Registration.none
  /// Whether pools wait.
  private(set) var isContended = false
  /// Whether a place that becomes free is already taken care of: by `serve`, or for one pool by `hasPlace`.
  private var isServing = false

  var connectionsMax: Int { shares.connectionsMax }

  package init(connectionsMax: Int, loop: EventLoop) {
    shares = BudgetShares(connectionsMax: connectionsMax)
    self.loop = loop
  }

  // MARK: For pools

  func didOpen(_ pool: Pool) {
    join(pool)
    shares.opened(pool.budgetID)
  }

  func didClose(_ pool: Pool) {
    shares.closed(pool.budgetID)
    leaveIfUnused(pool)
    if isContended { serve() }
  }

  /// Called when a connection of `pool` becomes idle, and the pool is not listed among those that have one.
  func listIdle(_ pool: Pool) {
    shares.listIdle(pool.budgetID, since: loop.now)
    pool.isListedAsIdle = true
  }

  /// Whether one more connection of `pool` fits. At the bound, this may close the connection that has been idle longest.
  func hasPlace(for pool: Pool, since: Int64) -> Bool {
    guard shares.isFull else { return true }
    if let first = firstWaiting(), first !== pool {
      join(pool)
      defer { leaveIfUnused(pool) }
      guard shares.comesFirst(pool.budgetID, since: since) else { return false }
    }
    let wasServing = isServing
    isServing = true
    defer { isServing = wasServing }
    return takeIdle(for: pool)
  }

  /// Queues a pool for a place.
  func enqueue(_ pool: Pool, since: Int64) {
    guard !pool.isWaitingForBudget else { return }
    join(pool)
    pool.isWaitingForBudget = true
    shares.enqueue(pool.budgetID, since: since)
    isContended = true
    setTimer()
  }

  /// Whether `pool` closes a connection that it could use, because the first pool in the queue gets it.
  func shouldYield(_ pool: Pool) -> Bool {
    guard let first = firstWaiting(), first !== pool, let firstSince = first.needsBudgetSince else { return false }
    return shares.yields(
      pool.budgetID, since: pool.queue.nextSince, to: first.budgetID, since: firstSince, now: loop.now)
  }

  /// Serves the queued pools after a connection was closed or became idle.
  func serve() {
    guard !isServing else { return }
    isServing = true
    defer { isServing = false }
    while let pool = firstWaiting() {
      guard !shares.isFull || takeIdle(for: pool) else { return setTimer() }
      dequeue(pool)
      // A pool that needs more connections than there are places rejoins the queue.
      pool.serveWaiters()
      leaveIfUnused(pool)
    }
  }

  // MARK: Details

  private func join(_ pool: Pool) {
    guard pool.budgetID < 0 else { return }
    pool.budgetID = shares.join()
    if Int(pool.budgetID) == pools.count { pools.append(pool) } else { pools[Int(pool.budgetID)] = pool }
  }

  private func leaveIfUnused(_ pool: Pool) {
    guard pool.budgetID >= 0, !pool.isWaitingForBudget, shares.count(of: pool.budgetID) == 0 else { return }
    shares.leave(pool.budgetID)
    pools[Int(pool.budgetID)] = nil
    pool.budgetID = -1
    pool.isListedAsIdle = false
  }

  private func dequeue(_ pool: Pool) {
    shares.dequeue(pool.budgetID)
    pool.isWaitingForBudget = false
    isContended = !shares.waiting.isEmpty
  }

  /// The pool that gets the next place.
  private func firstWaiting() -> Pool? {
    while let id = shares.waiting.first, let pool = pools[Int(id)] {
      guard let since = pool.needsBudgetSince else {
        dequeue(pool)
        leaveIfUnused(pool)
        continue
      }
      if shares.confirmFirst(id, since: since) { return pool }
    }
    return nil
  }

  /// Closes the connection that has been idle longest, if the rules allow.
  private func takeIdle(for pool: Pool) -> Bool {
    guard let connection = longestIdle(), let id = shares.idle.first,
      shares.mayTakeIdle(of: id, since: connection.idleSince, for: pool.count, now: loop.now)
    else { return false }
    connection.close()
    return !shares.isFull
  }

  private func longestIdle() -> UpstreamConnection? {
    while let id = shares.idle.first, let pool = pools[Int(id)] {
      guard let connection = pool.longestIdle() else {
        shares.unlistIdle(id)
        pool.isListedAsIdle = false
        continue
      }
      if Int64(shares.idle.rank(of: id)?.order ?? 0) == connection.idleSince { return connection }
      shares.listIdle(id, since: connection.idleSince)
    }
    return nil
  }

  // MARK: Idle connections that may be moved later

  var isTimerSet: Bool { registration != .none }

  /// Tries again after a while, if a connection idles while a pool waits.
  private func setTimer() {
    guard !isTimerSet, longestIdle() != nil else { return }
    registration = loop.register(self)
    loop.setDeadline(loop.now + MoveAllowance.milliseconds, for: registration)
  }

  package override func deadlinePassed() {
    loop.unregister(registration)
    registration = .none
    serve()
  }
}
