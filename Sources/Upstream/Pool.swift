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
/// Waiters are served in order of arrival, but clients below their share of the connections come first, as `WaitQueue`
/// decides. The sender decides how long an upload lasts, so the uploads of one client never hold more than its share,
/// even while connections are idle. Every other waiter is served as soon as a connection is idle or can be opened.
package final class Pool {
  // First what each request reads or writes, as in `UpstreamConnection`.
  private var idle = IdleStack()
  /// Whether the budget knows that a connection idles. Set by the budget, like the next two.
  var isListedAsIdle = false
  var isWaitingForBudget = false
  /// The pool's number in the budget; -1: none.
  var budgetID: Int32 = -1
  private let budget: ConnectionBudget
  private let counters: PoolCounters
  private let loop: EventLoop
  private(set) var queue: WaitQueue

  package let settings: UpstreamSettings
  private let makeLink: LinkMaker
  /// For the read that finds out whether a connection is open and empty.
  let scratch = ByteBuffer(capacity: 1)
  /// nil: no address is skipped.
  let failedAddresses: FailedAddresses?
  /// When the name has to be resolved again (monotonic milliseconds).
  private var nameExpiry = Int64.min
  /// All connections: connecting, idle and leased.
  private(set) var connections: [UpstreamConnection] = []
  package var count: Int { connections.count }
  /// How many connections resolve their names.
  private var resolving = 0

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
    let connectionsMax = min(settings.connectionsMax, budget.connectionsMax)
    queue = WaitQueue(share: settings.clientConnectionsMax(of: connectionsMax), connectionsMax: connectionsMax)
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
    if isUpload, !queue.mayUpload(delegate.clientKey) { return enqueue(delegate) }
    if let connection = takeIdle(checkingAfterIdle: isWrite ? Self.writeCheckAfterIdle : .max) {
      return lease(connection, to: delegate, isUpload: isUpload)
    }
    return mayConnect ? connect(for: delegate, isUpload: isUpload) : enqueue(delegate)
  }

  /// Opens a new connection rather than reusing a pooled one, if the bounds allow: for the retry of a read whose pooled
  /// connection was dead.
  package func acquireFresh(for delegate: any ConnectionDelegate) -> Acquisition {
    let isUpload = delegate.isUploading
    if isUpload, !queue.mayUpload(delegate.clientKey) { return enqueue(delegate) }
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
    beginCounting()
    delegate.poolPlace = .queued(queue.prepend(Waiter(delegate, now: loop.now)))
    counters.waiting.add()
    connection.close()
    if case .queued = delegate.poolPlace { return .queued }
    return .connecting
  }

  @inline(__always)
  private func lease(_ connection: UpstreamConnection, to delegate: any ConnectionDelegate, isUpload: Bool)
    -> Acquisition
  {
    connection.lease(to: delegate, isUpload: isUpload)
    if isUpload || queue.isCounting { count(connection, for: delegate) }
    counters.reuses.add()
    return .leased(connection)
  }

  /// Queues a delegate. A full queue may evict a waiter of the client with the most waiters instead.
  private func enqueue(_ delegate: any ConnectionDelegate) -> Acquisition {
    let waiter = Waiter(delegate, now: loop.now)
    guard queue.count >= settings.waitersMax else {
      append(waiter)
      return .queued
    }
    guard let slot = queue.slotToEvict(for: waiter.client) else { return .full }
    let evicted = takeWaiter(slot)
    append(waiter)
    evicted.delegate.evictedFromQueue()
    return .queued
  }

  private func append(_ waiter: Waiter) {
    beginCounting()
    waiter.delegate.poolPlace = .queued(queue.append(waiter))
    counters.waiting.add()
    if needsBudgetSince != nil { budget.enqueue(self, since: waiter.since) }
  }

  private func takeWaiter(_ slot: Int32) -> Waiter {
    counters.waiting.add(-1)
    let waiter = queue.remove(slot)
    waiter.delegate.poolPlace = .none
    return waiter
  }

  /// Withdraws a request for a connection: the delegate gets no further calls.
  package func withdraw(_ delegate: any ConnectionDelegate) {
    switch delegate.poolPlace {
    case .none: break
    case .queued(let slot): _ = takeWaiter(slot)
    case .connecting(let connection):
      delegate.poolPlace = .none
      connection.endLease()
      serveWaiters()
    }
  }

  // MARK: Counting leases

  /// Counts the lease of a connection for its client.
  @inline(never)
  private func count(_ connection: UpstreamConnection, for delegate: any ConnectionDelegate) {
    connection.account = queue.hold(delegate.clientKey, isUpload: connection.carriesUpload)
  }

  /// Counts the leases that are not counted yet.
  private func beginCounting() {
    guard !queue.isCounting else { return }
    queue.beginCounting()
    for connection in connections where connection.account < 0 {
      if let delegate = connection.delegate { count(connection, for: delegate) }
    }
  }

  /// Called at the end of a lease that was counted.
  @inline(never)
  func endCount(_ connection: UpstreamConnection) {
    queue.endHold(connection.account, isUpload: connection.carriesUpload)
    connection.account = -1
  }

  // MARK: Connecting

  /// Whether a newcomer gets a new connection: not before those that wait.
  private var mayConnect: Bool {
    next == nil && isWithinOwnBounds && budget.hasPlace(for: self, since: loop.now)
  }

  private var isWithinOwnBounds: Bool {
    count < settings.connectionsMax && resolving < Self.resolutionsMax
  }

  private func connect(for delegate: any ConnectionDelegate, isUpload: Bool) -> Acquisition {
    let connection = newConnection(for: delegate, isUpload: isUpload)
    if isUpload || queue.isCounting { count(connection, for: delegate) }
    connection.connect()
    return .connecting
  }

  private func newConnection(for delegate: any ConnectionDelegate, isUpload: Bool) -> UpstreamConnection {
    let connection = UpstreamConnection(pool: self, loop: loop, delegate: delegate, isUpload: isUpload)
    connection.place = connections.count
    connections.append(connection)
    delegate.poolPlace = .connecting(connection)
    if settings.hasName { resolving += 1 }
    counters.open.add()
    counters.connects.add()
    counters.connecting.add()
    budget.didOpen(self)
    return connection
  }

  /// Pops a pooled connection that is usable for one more exchange; closes those that are not.
  ///
  /// - Parameter checkingAfterIdle: a connection that was idle for longer (milliseconds) is read to check that it is
  ///   open and empty.
  @inline(__always)
  private func takeIdle(checkingAfterIdle: Int64) -> UpstreamConnection? {
    while let connection = idle.pop() {
      counters.idle.add(-1)
      if connection.isUsable(checkingAfterIdle: checkingAfterIdle) { return connection }
      connection.idlePlace = -1
      connection.close()
    }
    return nil
  }

  /// As `checkingAfterIdle`: checks every connection.
  private static let always: Int64 = -1

  /// A connection resolves its name no longer.
  func endedResolving() { resolving -= 1 }

  /// Another resolution may start.
  func didResolve() { serveWaiters() }

  func didConnect(_ connection: UpstreamConnection) {
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

  /// The slot of the waiter to serve next.
  @inline(__always)
  private var next: Int32? { queue.isEmpty ? nil : nextOfSome }

  // Inlined, it would copy the queue for each request.
  @inline(never)
  private var nextOfSome: Int32? { queue.next }

  /// Serves waiters while connections are idle or can be opened.
  func serveWaiters() {
    while let since = queue.nextSince, !idle.isEmpty || isWithinOwnBounds {
      // `takeIdle` and `hasPlace` can close connections, which serves waiters: find the next waiter again.
      if let connection = takeIdle(checkingAfterIdle: Self.always) {
        if let next { assign(connection, to: next) } else { keep(connection) }
      } else if isWithinOwnBounds, !budget.hasPlace(for: self, since: since) {
        if let since = needsBudgetSince { budget.enqueue(self, since: since) }
        return
      } else if isWithinOwnBounds, let next {
        connect(for: next)
      }
    }
  }

  private func connect(for slot: Int32) {
    let (waiter, account) = queue.serve(slot)
    counters.waiting.add(-1)
    let connection = newConnection(for: waiter.delegate, isUpload: waiter.isUpload)
    connection.account = account
    connection.connect()
    waiter.delegate.connectBegan()
  }

  @inline(never)
  private func assign(_ connection: UpstreamConnection, to slot: Int32) {
    let (waiter, account) = queue.serve(slot)
    counters.waiting.add(-1)
    waiter.delegate.poolPlace = .none
    connection.lease(to: waiter.delegate, isUpload: waiter.isUpload)
    connection.account = account
    counters.reuses.add()
    waiter.delegate.leaseGranted(connection)
  }

  /// Adds a connection to the idle ones.
  @inline(__always)
  private func keep(_ connection: UpstreamConnection) {
    idle.push(connection)
    counters.idle.add()
    if !isListedAsIdle { budget.listIdle(self) }
  }

  // MARK: Releasing

  /// Ends a lease. Closes the connection if it is not reusable, has expired, or another pool needs it.
  func release(_ connection: UpstreamConnection, isReusable: Bool) {
    connection.endLease()
    let (next, isContended) = (next, budget.isContended)
    guard isReusable, !isContended || !budget.shouldYield(self), connection.becomeIdle(isAwaited: next != nil) else {
      return connection.close()
    }
    if let next { return assign(connection, to: next) }
    keep(connection)
    if isContended { budget.serve() }
  }

  /// Removes a closed connection and serves waiters.
  func didClose(_ connection: UpstreamConnection, _ lastPhase: UpstreamConnection.Phase) {
    let last = connections.removeLast()
    if last !== connection {
      connections[connection.place] = last
      last.place = connection.place
    }
    counters.open.add(-1)
    switch lastPhase {
    case .connecting: counters.connecting.add(-1)
    // `takeIdle` has popped the ones that it closes.
    case .idle where connection.idlePlace >= 0:
      idle.remove(connection)
      counters.idle.add(-1)
    case .idle, .leased, .closed: break
    }
    budget.didClose(self)
    serveWaiters()
  }

  // MARK: For the budget

  func longestIdle() -> UpstreamConnection? { idle.longest() }

  /// Since when its next waiter waits, if only the budget keeps the pool from serving it (monotonic milliseconds).
  var needsBudgetSince: Int64? { isWithinOwnBounds ? queue.nextSince : nil }

  /// Closes the idle connections. Leased ones continue.
  package func closeIdle() {
    while let connection = idle.last { connection.close() }
  }
}
