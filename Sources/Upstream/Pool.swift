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
  private let names: NameCache
  private let budget: ConnectionBudget
  /// A stack: the one used last is the warmest, and the others can grow old.
  private var idle: [UpstreamConnection] = []
  private var count = 0
  private var connecting: [UpstreamConnection] = []
  private var waiters: [any Lessee] = []

  /// A name that hangs holds a thread each time it is asked for.
  private static let resolutionsMax = 4
  /// A write takes a connection that idled longer than this (milliseconds) only once it was seen to be open.
  private static let writeProofAfter: Int64 = 100

  package init(settings: UpstreamSettings, loop: EventLoop, names: NameCache, budget: ConnectionBudget) {
    self.settings = settings
    self.loop = loop
    self.names = names
    self.budget = budget
    budget.pools.append(self)
  }

  // MARK: Asking

  /// Finds or makes a connection for one exchange.
  ///
  /// - Parameter isWrite: whether a dead connection would leave the fate of the request open.
  package func acquire(for lessee: any Lessee, isWrite: Bool) -> Acquisition {
    while let connection = idle.popLast() {
      if connection.isFit(provingAfter: isWrite ? Self.writeProofAfter : .max) {
        connection.lease(to: lessee)
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
    return .queued
  }

  /// Takes a waiter, or who a connect is under way for, out again.
  package func withdraw(_ lessee: any Lessee) {
    waiters.removeAll { $0 === lessee }
    for connection in connecting where connection.isLeased(to: lessee) { connection.endLease() }
  }

  private var mayConnect: Bool {
    guard count < settings.connectionsMax else { return false }
    guard !settings.hasName || connecting.count(where: \.isResolving) < Self.resolutionsMax else { return false }
    return budget.makeRoom()
  }

  private func connect(for lessee: any Lessee) {
    let connection = UpstreamConnection(pool: self, loop: loop, lessee: lessee)
    count += 1
    budget.count += 1
    connecting.append(connection)
    connection.connect(names: names)
  }

  /// A connection knows its address; another name may be asked for.
  func didResolve() { connectForWaiters() }

  func didConnect(_ connection: UpstreamConnection) {
    connecting.removeAll { $0 === connection }
    connectForWaiters()
  }

  /// Nobody waits while a connection could be made for him.
  private func connectForWaiters() {
    while !waiters.isEmpty, mayConnect { connect(for: waiters.removeFirst()) }
  }

  // MARK: Giving back

  /// Ends a lease. A connection that is not reusable, or has grown old, is closed.
  package func release(_ connection: UpstreamConnection, isReusable: Bool) {
    connection.endLease()
    guard isReusable, connection.rest() else { return connection.close() }
    // It has just shown that it is fit, however short connections may idle.
    guard !waiters.isEmpty else { return idle.append(connection) }
    let waiter = waiters.removeFirst()
    connection.lease(to: waiter)
    waiter.leaseGranted(connection)
  }

  /// A connection has ended; its place goes to who waits.
  func didClose(_ connection: UpstreamConnection, _ lastPhase: UpstreamConnection.Phase) {
    count -= 1
    budget.count -= 1
    switch lastPhase {
    case .connecting: connecting.removeAll { $0 === connection }
    case .idle: idle.removeAll { $0 === connection }
    case .leased, .closed: break
    }
    connectForWaiters()
  }

  // MARK: The budget's side

  var longestIdle: UpstreamConnection? { idle.first }

  /// Closes what idles; leased connections end with their exchange.
  package func closeIdle() {
    while let connection = idle.last { connection.close() }
  }

  package var connectionCount: Int { count }
}

/// How many upstream connections a loop may hold, over all upstreams.
package final class ConnectionBudget {
  fileprivate var count = 0
  fileprivate var pools: [Pool] = []
  private let connectionsMax: Int

  package init(connectionsMax: Int) { self.connectionsMax = connectionsMax }

  /// Whether one more connection fits; when none does, the one that has idled longest goes.
  fileprivate func makeRoom() -> Bool {
    guard count >= connectionsMax else { return true }
    let oldest = pools.compactMap(\.longestIdle).min { $0.idleSince < $1.idleSince }
    oldest?.close()
    return count < connectionsMax
  }
}
