import Bytes
import Counters
package import Reactor

/// The result of asking a pool for a connection.
package enum Acquisition {
  /// A pooled connection, ready for use.
  case leased(UpstreamConnection)
  /// A new connection is being opened; `leaseGranted` or `connectFailed` follows.
  case connecting
  /// All connections are in use; `leaseGranted` or `connectBegan` follows once one is free, `evictedFromQueue` if
  /// another client needs the place in the queue; none of them after `withdraw`.
  case queued
  /// All connections are in use, and the queue is full.
  case full
}

/// A loop's connections to one upstream, and the exchanges that wait for one.
///
/// Bounds: `connectionsMax` connections, `waitersMax` waiters, and the loop's `ConnectionBudget`.
///
/// Waiters are served in order of arrival, but clients below their share of the connections come first. The sender
/// decides how long an upload lasts, so the uploads of one client never hold more than its share, even while
/// connections are idle. Every other waiter is served as soon as a connection is idle or can be opened.
package final class Pool {
  package let settings: UpstreamSettings
  private let loop: EventLoop
  private let makeLink: LinkMaker
  /// For the read that finds out whether a connection is open and empty.
  let scratch = ByteBuffer(capacity: 1)
  private let budget: ConnectionBudget
  private let counters: PoolCounters
  /// nil: no address is skipped.
  let failedAddresses: FailedAddresses?
  /// When the name has to be resolved again (monotonic milliseconds).
  private var nameExpiry = Int64.min
  /// The share of one client, in connections.
  let clientConnectionsMax: Int
  /// All connections: connecting, idle and leased.
  private(set) var connections: [UpstreamConnection] = []
  package var count: Int { connections.count }
  /// A stack: the last one used is the warmest, and the others can expire.
  private var idle: [UpstreamConnection] = []
  private var connecting: [UpstreamConnection] = []
  private(set) var queue = WaitQueue()
  /// Whether the pool is in the budget's queue. Set by the budget.
  var isStarved = false

  /// Name resolutions at a time: each one that hangs blocks a thread.
  private static let resolutionsMax = 4
  /// Before a write, a connection that was idle for longer than this (milliseconds) is checked to be open.
  private static let writeCheckAfterIdle: Int64 = 100

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

  /// Makes a pool of libcurl connections.
  package convenience init(
    settings: UpstreamSettings, loop: EventLoop, names: NameCache, budget: ConnectionBudget,
    counters: PoolCounters = PoolCounters()
  ) {
    self.init(
      settings: settings, loop: loop, budget: budget, counters: counters,
      failedAddresses: settings.hasName ? names.failedAddresses : nil
    ) { CurlHandle($0, names: names) }
  }

  // MARK: Acquiring

  /// Finds or opens a connection for one exchange.
  ///
  /// - Parameter isWrite: whether a dead connection would leave the outcome of the request unknown.
  package func acquire(for delegate: any ConnectionDelegate, isWrite: Bool) -> Acquisition {
    let isUpload = delegate.isUploading
    if isUpload, !mayUpload(delegate.clientKey) { return enqueue(delegate) }
    if let connection = takeIdle(checkingAfterIdle: isWrite ? Self.writeCheckAfterIdle : .max) {
      return lease(connection, to: delegate, isUpload: isUpload)
    }
    return mayConnect ? connect(for: delegate, isUpload: isUpload) : enqueue(delegate)
  }

  /// Opens a new connection rather than reusing a pooled one, if the bounds allow: for the retry of a read whose pooled
  /// connection was dead.
  package func acquireFresh(for delegate: any ConnectionDelegate) -> Acquisition {
    let isUpload = delegate.isUploading
    if isUpload, !mayUpload(delegate.clientKey) { return enqueue(delegate) }
    if mayConnect { return connect(for: delegate, isUpload: isUpload) }
    if let connection = takeIdle(checkingAfterIdle: Self.always) {
      return lease(connection, to: delegate, isUpload: isUpload)
    }
    // Closing the unusable ones may have made room for a new connection.
    return mayConnect ? connect(for: delegate, isUpload: isUpload) : enqueue(delegate)
  }

  /// Closes a leased connection on which nothing was sent, and finds another one for its delegate.
  ///
  /// The delegate has waited its turn already: it goes to the front of the queue, even of a full one.
  package func replace(_ connection: UpstreamConnection, for delegate: any ConnectionDelegate) -> Acquisition {
    connection.endLease()
    if let other = takeIdle(checkingAfterIdle: Self.always) {
      let isUpload = delegate.isUploading
      let acquisition = lease(other, to: delegate, isUpload: isUpload)
      connection.close()
      return acquisition
    }
    queue.prepend(Waiter(delegate))
    counters.waiting.add()
    connection.close()
    return queue.index(of: delegate) == nil ? .connecting : .queued
  }

  @inline(__always)
  private func lease(_ connection: UpstreamConnection, to delegate: any ConnectionDelegate, isUpload: Bool)
    -> Acquisition
  {
    connection.lease(to: delegate, isUpload: isUpload)
    counters.reuses.add()
    return .leased(connection)
  }

  /// Queues a delegate. A full queue may evict a waiter of the client with the most waiters instead.
  private func enqueue(_ delegate: any ConnectionDelegate) -> Acquisition {
    let waiter = Waiter(delegate)
    guard queue.count >= settings.waitersMax else {
      queue.append(waiter)
      counters.waiting.add()
      return .queued
    }
    guard let index = queue.indexToEvict(for: waiter.client) else { return .full }
    let evicted = queue.remove(at: index)
    queue.append(waiter)
    evicted.delegate.evictedFromQueue()
    return .queued
  }

  /// Withdraws a request for a connection: the delegate gets no further calls.
  package func withdraw(_ delegate: any ConnectionDelegate) {
    if let index = queue.index(of: delegate) {
      _ = takeWaiter(at: index)
    } else if let connection = connecting.first(where: { $0.isLeased(to: delegate) }) {
      connection.endLease()
      serveWaiters()
    }
  }

  private var mayConnect: Bool {
    guard isWithinOwnBounds else { return false }
    guard budget.ensureCapacity() else {
      budget.enqueue(self)
      return false
    }
    return true
  }

  private var isWithinOwnBounds: Bool {
    guard count < settings.connectionsMax else { return false }
    return !settings.hasName || connecting.count(where: \.isResolving) < Self.resolutionsMax
  }

  private func connect(for delegate: any ConnectionDelegate, isUpload: Bool) -> Acquisition {
    let connection = UpstreamConnection(pool: self, loop: loop, delegate: delegate, isUpload: isUpload)
    connections.append(connection)
    counters.open.add()
    counters.connects.add()
    budget.didOpen(self)
    connecting.append(connection)
    counters.connecting.add()
    connection.connect()
    return .connecting
  }

  /// Pops a pooled connection that is usable for one more exchange; closes those that are not.
  ///
  /// - Parameter checkingAfterIdle: a connection that was idle for longer (milliseconds) is read to check that it is
  ///   open and empty.
  @inline(__always)
  private func takeIdle(checkingAfterIdle: Int64) -> UpstreamConnection? {
    while let connection = idle.popLast() {
      counters.idle.add(-1)
      if connection.isUsable(checkingAfterIdle: checkingAfterIdle) { return connection }
      connection.close()
    }
    return nil
  }

  /// As `checkingAfterIdle`: checks every connection.
  private static let always: Int64 = -1

  /// A connection has resolved its name, so another resolution may start.
  func didResolve() { serveWaiters() }

  func didConnect(_ connection: UpstreamConnection) {
    connecting.removeAll { $0 === connection }
    counters.connecting.add(-1)
    serveWaiters()
  }

  /// A connect failed: the name may have another address by now.
  func connectFailed(_ kind: ConnectFault.Kind) {
    counters.connectFailed(kind)
    expireName()
  }

  func makeLink(for connection: UpstreamConnection) -> (any Link)? { makeLink(settings) }

  // MARK: Name resolution

  /// Makes the next connection resolve the name again.
  package func expireName() { nameExpiry = .min }

  /// Whether the cached addresses have expired; if so, the calling connection resolves the name for the following ones.
  func renewNameIfExpired() -> Bool {
    guard loop.now >= nameExpiry else { return false }
    nameExpiry = loop.now + settings.nameCacheMilliseconds
    return true
  }

  // MARK: Serving waiters

  /// Serves waiters while connections are idle or can be opened.
  func serveWaiters() {
    while !queue.isEmpty, !idle.isEmpty || isWithinOwnBounds, indexOfNextWaiter() != nil {
      // `takeIdle` and `mayConnect` can close connections, which serves waiters: find the next waiter again.
      if let connection = takeIdle(checkingAfterIdle: Self.always) {
        assign(connection, to: indexOfNextWaiter())
      } else if mayConnect, let index = indexOfNextWaiter() {
        let waiter = takeWaiter(at: index)
        _ = connect(for: waiter.delegate, isUpload: waiter.isUpload)
        waiter.delegate.connectBegan()
      } else {
        return
      }
    }
  }

  private func takeWaiter(at index: Int) -> Waiter {
    counters.waiting.add(-1)
    return queue.remove(at: index)
  }

  /// Leases a usable connection to the waiter at `index`; nil: adds it to the idle ones.
  @inline(__always)
  private func assign(_ connection: UpstreamConnection, to index: Int?) {
    guard let index else {
      idle.append(connection)
      counters.idle.add()
      return budget.serveStarved()
    }
    let waiter = takeWaiter(at: index)
    connection.lease(to: waiter.delegate, isUpload: waiter.isUpload)
    counters.reuses.add()
    waiter.delegate.leaseGranted(connection)
  }

  // MARK: Releasing

  /// Ends a lease. Closes the connection if it is not reusable, has expired, or another pool needs it.
  func release(_ connection: UpstreamConnection, isReusable: Bool) {
    connection.endLease()
    let index = indexOfNextWaiter()
    guard isReusable, !budget.shouldYield(self), connection.becomeIdle(isAwaited: index != nil) else {
      return connection.close()
    }
    assign(connection, to: index)
  }

  /// Removes a closed connection and serves waiters.
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
      // `takeIdle` has popped the ones that it closes.
      counters.idle.add(idle.count - before)
    case .leased, .closed: break
    }
    budget.didClose(self)
    serveWaiters()
  }

  // MARK: For the budget

  var longestIdle: UpstreamConnection? { idle.first }

  /// Whether only the budget keeps the pool from serving its next waiter.
  var needsBudget: Bool { isWithinOwnBounds && indexOfNextWaiter() != nil }

  /// Closes the idle connections. Leased ones continue.
  package func closeIdle() {
    while let connection = idle.last { connection.close() }
  }
}
