import Bytes
import Counters
package import Reactor

/// What came of asking a pool for a connection.
package enum Acquisition {
  /// A pooled connection, ready to use.
  case leased(UpstreamConnection)
  /// A new one is under way; `leaseGranted` or `connectFailed` follows.
  case connecting
  /// All are in use; `leaseGranted` or `connectBegan` follows when one is given back, unless `withdraw` comes first.
  case queued
  /// No place in the queue either.
  case full
}

/// A loop's connections to one upstream, and who waits for one.
///
/// Bounds: `connectionsMax` connections, `waitersMax` waiters, and the loop's whole `ConnectionBudget`.
///
/// Waiters are served first come, first served, but clients below their share of the connections come first. An upload
/// lasts as long as its client likes, so the uploads of one client never hold more than its share, even while connections
/// are idle. Every other waiter is served as soon as a connection is idle or can be opened.
package final class Pool {
  package let settings: UpstreamSettings
  private let loop: EventLoop
  private let makeLink: LinkMaker
  /// Room for the byte that must not come.
  let scratch = ByteBuffer(capacity: 1)
  private let budget: ConnectionBudget
  private let counters: PoolCounters
  /// nil: no address is ever skipped.
  let failedAddresses: FailedAddresses?
  /// From when on the name is resolved anew (monotonic milliseconds).
  private var nameDue = Int64.min
  /// The share of one client.
  let clientConnectionsMax: Int
  /// All of them: connecting, idle and leased.
  private(set) var connections: [UpstreamConnection] = []
  package var count: Int { connections.count }
  /// A stack: the one used last is the warmest, and the others can grow old.
  private var idle: [UpstreamConnection] = []
  private var connecting: [UpstreamConnection] = []
  private(set) var queue = WaitQueue()
  /// Kept by the budget: whether the pool stands in its queue.
  var isStarved = false

  /// A name that hangs holds a thread each time it is asked for.
  private static let resolutionsMax = 4
  /// A write takes a connection that idled longer than this (milliseconds) only once it was seen to be open.
  private static let writeProofAfter: Int64 = 100

  package init(
    settings: UpstreamSettings, loop: EventLoop, budget: ConnectionBudget, counters: PoolCounters = PoolCounters(),
    failedAddresses: FailedAddresses? = nil, makeLink: @escaping LinkMaker
  ) {
    self.failedAddresses = failedAddresses
    self.settings = settings
    self.counters = counters
    self.loop = loop
    self.budget = budget
    self.makeLink = makeLink
    clientConnectionsMax = settings.clientConnectionsMax(of: min(settings.connectionsMax, budget.connectionsMax))
  }

  /// A pool of libcurl's connections.
  package convenience init(
    settings: UpstreamSettings, loop: EventLoop, names: NameCache, budget: ConnectionBudget,
    counters: PoolCounters = PoolCounters()
  ) {
    self.init(
      settings: settings, loop: loop, budget: budget, counters: counters,
      failedAddresses: settings.hasName ? names.failedAddresses : nil
    ) { CurlHandle($0, names: names) }
  }

  // MARK: Asking

  /// Finds or makes a connection for one exchange.
  ///
  /// - Parameter isWrite: whether a dead connection would leave the fate of the request open.
  package func acquire(for lessee: any Lessee, isWrite: Bool) -> Acquisition {
    let isUpload = lessee.isUploading
    if isUpload, !mayUpload(lessee.clientKey) { return wait(lessee) }
    if let connection = takeIdle(provingAfter: isWrite ? Self.writeProofAfter : .max) {
      return lease(connection, to: lessee, isUpload: isUpload)
    }
    return mayConnect ? connect(for: lessee, isUpload: isUpload) : wait(lessee)
  }

  /// The same without the pooled ones, as long as another can be made: for the second try of a read whose first met a
  /// dead one.
  package func acquireFresh(for lessee: any Lessee) -> Acquisition {
    let isUpload = lessee.isUploading
    if isUpload, !mayUpload(lessee.clientKey) { return wait(lessee) }
    if mayConnect { return connect(for: lessee, isUpload: isUpload) }
    if let connection = takeIdle(provingAfter: Self.always) {
      return lease(connection, to: lessee, isUpload: isUpload)
    }
    // Closing those that were not fit has made room.
    return mayConnect ? connect(for: lessee, isUpload: isUpload) : wait(lessee)
  }

  /// Closes a leased connection on which nothing was sent and finds another one for its lessee.
  ///
  /// The lessee has had its turn already: it goes to the front of the queue, even of a full one.
  package func replace(_ connection: UpstreamConnection, for lessee: any Lessee) -> Acquisition {
    connection.endLease()
    if let other = takeIdle(provingAfter: Self.always) {
      let isUpload = lessee.isUploading
      let acquisition = lease(other, to: lessee, isUpload: isUpload)
      connection.close()
      return acquisition
    }
    queue.prepend(Waiter(lessee))
    counters.waiting.add()
    connection.close()
    return queue.index(of: lessee) == nil ? .connecting : .queued
  }

  @inline(__always)
  private func lease(_ connection: UpstreamConnection, to lessee: any Lessee, isUpload: Bool) -> Acquisition {
    connection.lease(to: lessee, isUpload: isUpload)
    counters.reuses.add()
    return .leased(connection)
  }

  /// Queues a lessee, if need be in place of a waiter of the client with the most waiters.
  private func wait(_ lessee: any Lessee) -> Acquisition {
    let waiter = Waiter(lessee)
    guard queue.count >= settings.waitersMax else {
      queue.append(waiter)
      counters.waiting.add()
      return .queued
    }
    guard let index = queue.indexToEvict(for: waiter.client) else { return .full }
    let evicted = queue.remove(at: index)
    queue.append(waiter)
    evicted.lessee.turnedAway()
    return .queued
  }

  /// Takes a waiter, or who a connect is under way for, out again.
  package func withdraw(_ lessee: any Lessee) {
    if let index = queue.index(of: lessee) {
      _ = takeWaiter(at: index)
    } else if let connection = connecting.first(where: { $0.isLeased(to: lessee) }) {
      connection.endLease()
      serveWaiters()
    }
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

  private func connect(for lessee: any Lessee, isUpload: Bool) -> Acquisition {
    let connection = UpstreamConnection(pool: self, loop: loop, lessee: lessee, isUpload: isUpload)
    connections.append(connection)
    counters.open.add()
    counters.connects.add()
    budget.didOpen(self)
    connecting.append(connection)
    counters.connecting.add()
    connection.connect()
    return .connecting
  }

  /// A pooled connection that is fit for one more exchange.
  ///
  /// - Parameter provingAfter: it must show that it is open and empty when it idled for longer (milliseconds).
  @inline(__always)
  private func takeIdle(provingAfter: Int64) -> UpstreamConnection? {
    while let connection = idle.popLast() {
      counters.idle.add(-1)
      if connection.isFit(provingAfter: provingAfter) { return connection }
      connection.close()
    }
    return nil
  }

  private static let always: Int64 = -1

  /// A connection knows its address; another name may be asked for.
  func didResolve() { serveWaiters() }

  func didConnect(_ connection: UpstreamConnection) {
    connecting.removeAll { $0 === connection }
    counters.connecting.add(-1)
    serveWaiters()
  }

  /// A connection came to nothing: the name may have another address by now.
  func connectFailed(_ kind: ConnectFault.Kind) {
    counters.connectFailed(kind)
    resolveAnew()
  }

  func makeLink(for connection: UpstreamConnection) -> (any Link)? { makeLink(settings) }

  // MARK: Its name

  /// The next connection asks for the name's addresses again.
  package func resolveAnew() { nameDue = .min }

  /// Whether a connection that begins now is to ask for the name's addresses again, which then hold for those behind it.
  func takesNewAddresses() -> Bool {
    guard loop.now >= nameDue else { return false }
    nameDue = loop.now + settings.nameCacheMilliseconds
    return true
  }

  // MARK: Serving waiters

  /// Serves waiters as long as connections are idle or can be opened.
  func serveWaiters() {
    while !queue.isEmpty, !idle.isEmpty || isWithinOwnBounds, indexOfNextWaiter() != nil {
      // Either may close connections, which serves waiters: look again who is next.
      if let connection = takeIdle(provingAfter: Self.always) {
        give(connection, to: indexOfNextWaiter())
      } else if mayConnect, let index = indexOfNextWaiter() {
        let waiter = takeWaiter(at: index)
        _ = connect(for: waiter.lessee, isUpload: waiter.isUpload)
        waiter.lessee.connectBegan()
      } else {
        return
      }
    }
  }

  private func takeWaiter(at index: Int) -> Waiter {
    counters.waiting.add(-1)
    return queue.remove(at: index)
  }

  /// Leases a connection that has just shown that it is fit to a waiter; nil: it stays in the pool.
  @inline(__always)
  private func give(_ connection: UpstreamConnection, to index: Int?) {
    guard let index else {
      idle.append(connection)
      counters.idle.add()
      return budget.serveStarved()
    }
    let waiter = takeWaiter(at: index)
    connection.lease(to: waiter.lessee, isUpload: waiter.isUpload)
    counters.reuses.add()
    waiter.lessee.leaseGranted(connection)
  }

  // MARK: Giving back

  /// Ends a lease. A connection that is not reusable, has grown old, or is owed to another pool, is closed.
  func release(_ connection: UpstreamConnection, isReusable: Bool) {
    connection.endLease()
    let index = indexOfNextWaiter()
    guard isReusable, !budget.isOwedPlace(by: self), connection.rest(isAwaited: index != nil) else {
      return connection.close()
    }
    give(connection, to: index)
  }

  /// A connection has ended; its place goes to who waits.
  func didClose(_ connection: UpstreamConnection, _ lastPhase: UpstreamConnection.Phase) {
    if let index = connections.firstIndex(where: { $0 === connection }) {
      connections.swapAt(index, connections.count - 1)
      connections.removeLast()
    }
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
    serveWaiters()
  }

  // MARK: The budget's side

  var longestIdle: UpstreamConnection? { idle.first }

  /// Whether somebody waits for whom a place in the budget is all that lacks.
  var lacksPlace: Bool { isWithinOwnBounds && indexOfNextWaiter() != nil }

  /// Closes what idles; leased connections end with their exchange.
  package func closeIdle() {
    while let connection = idle.last { connection.close() }
  }
}
