import Bytes
import Counters
package import Reactor

/// What came of asking a pool for a connection.
package enum Acquisition {
  /// A pooled connection, ready to use.
  case leased(UpstreamConnection)
  /// A new one is under way; `leaseGranted` or `connectFailed` follows.
  case connecting
  /// All are in use; `leaseGranted` follows when one is given back, unless `withdraw` comes first.
  case queued
  /// No place in the queue either.
  case full
}

/// A loop's connections to one upstream, and who waits for one.
///
/// Bounds: `connectionsMax` connections, `waitersMax` waiters, and the loop's whole `ConnectionBudget`.
package final class Pool {
  package let settings: UpstreamSettings
  private let loop: EventLoop
  private let makeLink: LinkMaker
  /// Room for the byte that must not come.
  let scratch = ByteBuffer(capacity: 1)
  private let budget: ConnectionBudget
  private let counters: PoolCounters
  /// A stack: the one used last is the warmest, and the others can grow old.
  private var idle: [UpstreamConnection] = []
  /// All of them: connecting, idle and leased.
  package private(set) var count = 0
  private var connecting: [UpstreamConnection] = []
  private var waiters: [any Lessee] = []

  /// A name that hangs holds a thread each time it is asked for.
  private static let resolutionsMax = 4
  /// A write takes a connection that idled longer than this (milliseconds) only once it was seen to be open.
  private static let writeProofAfter: Int64 = 100

  package init(
    settings: UpstreamSettings, loop: EventLoop, budget: ConnectionBudget, counters: PoolCounters = PoolCounters(),
    makeLink: @escaping LinkMaker
  ) {
    self.settings = settings
    self.counters = counters
    self.loop = loop
    self.budget = budget
    self.makeLink = makeLink
  }

  /// A pool of libcurl's connections.
  package convenience init(
    settings: UpstreamSettings, loop: EventLoop, names: NameCache, budget: ConnectionBudget,
    counters: PoolCounters = PoolCounters()
  ) {
    self.init(settings: settings, loop: loop, budget: budget, counters: counters) { CurlHandle($0, names: names) }
  }

  // MARK: Asking

  /// Finds or makes a connection for one exchange.
  ///
  /// - Parameter isWrite: whether a dead connection would leave the fate of the request open.
  package func acquire(for lessee: any Lessee, isWrite: Bool) -> Acquisition {
    while let connection = idle.popLast() {
      counters.idle.add(-1)
      if connection.isFit(provingAfter: isWrite ? Self.writeProofAfter : .max) {
        connection.lease(to: lessee)
        counters.reuses.add()
        return .leased(connection)
      }
      connection.close()
    }
    return acquireFresh(for: lessee)
  }

  /// The same without the pooled ones: for the second try of a read whose first met a dead one.
  package func acquireFresh(for lessee: any Lessee) -> Acquisition {
    if mayConnect {
      connect(for: lessee)
      return .connecting
    }
    guard waiters.count < settings.waitersMax else { return .full }
    waiters.append(lessee)
    counters.waiting.add()
    return .queued
  }

  /// Closes a leased connection that nothing was sent on, and finds another for its lessee, before all who wait.
  package func replace(_ connection: UpstreamConnection, for lessee: any Lessee) -> Acquisition {
    connection.endLease()
    waiters.insert(lessee, at: 0)
    counters.waiting.add()
    connection.close()
    return waiters.contains { $0 === lessee } ? .queued : .connecting
  }

  /// Takes a waiter, or who a connect is under way for, out again.
  package func withdraw(_ lessee: any Lessee) {
    let before = waiters.count
    waiters.removeAll { $0 === lessee }
    counters.waiting.add(waiters.count - before)
    for connection in connecting where connection.isLeased(to: lessee) { connection.endLease() }
  }

  private var mayConnect: Bool {
    guard isWithinOwnBounds else { return false }
    guard budget.makeRoom() else {
      budget.remember(self)
      return false
    }
    return true
  }

  private var isWithinOwnBounds: Bool {
    guard count < settings.connectionsMax else { return false }
    return !settings.hasName || connecting.count(where: \.isResolving) < Self.resolutionsMax
  }

  private func connect(for lessee: any Lessee) {
    let connection = UpstreamConnection(pool: self, loop: loop, lessee: lessee)
    count += 1
    counters.open.add()
    counters.connects.add()
    budget.didOpen(self)
    connecting.append(connection)
    counters.connecting.add()
    connection.connect(makeLink)
  }

  /// A connection knows its address; another name may be asked for.
  func didResolve() { connectForWaiters() }

  func didConnect(_ connection: UpstreamConnection) {
    connecting.removeAll { $0 === connection }
    counters.connecting.add(-1)
    connectForWaiters()
  }

  /// Nobody waits while a connection could be made for him.
  fileprivate func connectForWaiters() {
    while !waiters.isEmpty, mayConnect { connect(for: takeWaiter()) }
  }

  private func takeWaiter() -> any Lessee {
    counters.waiting.add(-1)
    return waiters.removeFirst()
  }

  /// A connection came to nothing.
  func connectFailed(_ kind: ConnectFault.Kind) { counters.connectFailed(kind) }

  // MARK: Giving back

  /// Ends a lease. A connection that is not reusable, has grown old, or is owed to another pool, is closed.
  func release(_ connection: UpstreamConnection, isReusable: Bool) {
    connection.endLease()
    guard isReusable, !budget.isOwedPlace(by: self), connection.rest(isAwaited: !waiters.isEmpty) else {
      return connection.close()
    }
    guard !waiters.isEmpty else {
      idle.append(connection)
      counters.idle.add()
      return budget.serveStarved()
    }
    // It has just shown that it is fit, however short connections may idle.
    let waiter = takeWaiter()
    connection.lease(to: waiter)
    counters.reuses.add()
    waiter.leaseGranted(connection)
  }

  /// A connection has ended; its place goes to who waits.
  func didClose(_ connection: UpstreamConnection, _ lastPhase: UpstreamConnection.Phase) {
    count -= 1
    counters.open.add(-1)
    switch lastPhase {
    case .connecting:
      connecting.removeAll { $0 === connection }
      counters.connecting.add(-1)
    case .idle:
      let before = idle.count
      idle.removeAll { $0 === connection }
      // One that is about to be leased and turns out to be dead has left the stack already.
      counters.idle.add(idle.count - before)
    case .leased, .closed: break
    }
    budget.didClose(self)
    connectForWaiters()
  }

  // MARK: The budget's side

  fileprivate var longestIdle: UpstreamConnection? { idle.first }

  /// Whether somebody waits for whom a place in the budget is all that lacks.
  fileprivate var lacksPlace: Bool { !waiters.isEmpty && isWithinOwnBounds }

  /// Kept by the budget: whether the pool stands in its queue.
  fileprivate var isStarved = false

  /// Closes what idles; leased connections end with their exchange.
  package func closeIdle() {
    while let connection = idle.last { connection.close() }
  }

}

/// How many upstream connections a loop may hold, over all upstreams.
///
/// When all places are taken, the connection that has idled longest goes; where none idles, pools queue for a place, and
/// one that holds more connections than the first in the queue gives one up.
package final class ConnectionBudget {
  private let connectionsMax: Int
  private var count = 0
  /// Those that hold connections.
  private var pools: [Pool] = []
  /// Pools that could make no connection for want of a place, the one that has waited longest first.
  private var starved: [Pool] = []

  package init(connectionsMax: Int) { self.connectionsMax = connectionsMax }

  fileprivate func didOpen(_ pool: Pool) {
    count += 1
    if pool.count == 1 { pools.append(pool) }
  }

  fileprivate func didClose(_ pool: Pool) {
    count -= 1
    if pool.count == 0 { pools.removeAll { $0 === pool } }
    serveStarved()
  }

  /// Whether one more connection fits; when none does, the one that has idled longest goes.
  fileprivate func makeRoom() -> Bool {
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
  fileprivate func remember(_ pool: Pool) {
    guard !pool.isStarved else { return }
    pool.isStarved = true
    starved.append(pool)
  }

  /// A place is free, or a connection idles: pools that wait for a place come before newcomers.
  fileprivate func serveStarved() {
    while let pool = starved.first {
      if pool.lacksPlace, !makeRoom() { return }
      guard pool.isStarved, starved.first === pool else { continue }
      starved.removeFirst()
      pool.isStarved = false
      // Who lacks more than there is goes to the end of the queue.
      pool.connectForWaiters()
    }
  }

  /// Whether a pool that still lacks a place holds so much less that this one gives a connection up.
  fileprivate func isOwedPlace(by pool: Pool) -> Bool {
    guard let first = starved.first, first !== pool else { return false }
    return first.lacksPlace && first.count + 1 < pool.count
  }
}
