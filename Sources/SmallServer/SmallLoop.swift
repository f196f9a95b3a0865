import Reactor
import Synchronization
import System

/// The server's thread: it owns the handler and the connections, accepts new ones, and stops when it is woken.
final class SmallLoop: EventHandler, EventLoopDelegate {
  /// Everything a loop needs to start on its thread.
  struct Start: Sendable {
    let handle: LoopHandle
    let isStopping: SharedFlag
    let listener: Listener
    let bounds: SmallServerBounds
    let makeHandler: @Sendable () -> any RequestHandler

    /// Serves until the handle is woken.
    func run() {
      // If epoll cannot take the wake-up or the listener, the server ends at once, and peers see refused connections.
      guard let loop = try? SmallLoop(self) else { return }
      loop.run()
    }
  }

  let loop: EventLoop
  let handler: any RequestHandler
  let bounds: SmallServerBounds
  private let isStopping: SharedFlag
  private let listener: Listener
  /// Whether it accepts connections.
  private(set) var isAccepting = true
  private var connections: [ObjectIdentifier: SmallConnection] = [:]
  private var registration = Registration.none
  private var lastWaitOrder: UInt64 = 0

  private init(_ start: Start) throws(Errno) {
    loop = try EventLoop(handle: start.handle)
    isStopping = start.isStopping
    listener = start.listener
    bounds = start.bounds
    handler = start.makeHandler()
    super.init()
    registration = loop.register(self)
    try loop.watch(listener.descriptor.number, for: registration, level: .readable)
  }

  private func run() { loop.run(for: self) }

  // MARK: Connections

  override func ready(_ readiness: Readiness) {
    var peer: SocketAddress?
    while let accepted = try? listener.accept(from: &peer) {
      guard let budget = budgetForNewConnection() else { continue }
      let connection = SmallConnection(Socket(accepted), from: peer, in: budget, on: self)
      guard (try? connection.open()) != nil else { continue }
      connections[ObjectIdentifier(connection)] = connection
    }
  }

  func closed(_ connection: SmallConnection) { connections[ObjectIdentifier(connection)] = nil }

  /// The budget for one more connection, made free if necessary; nil if none can be.
  private func budgetForNewConnection() -> SmallConnection.Budget? {
    if makeCapacity(in: .regular, max: bounds.connectionsMax) { return .regular }
    return makeCapacity(in: .reserved, max: bounds.reservedConnectionsMax) ? .reserved : nil
  }

  /// Closes the connection that has waited longest for a request if the budget is used up; false if none waits.
  private func makeCapacity(in budget: SmallConnection.Budget, max: Int) -> Bool {
    let sharing = connections.values.filter { $0.budget == budget }
    guard sharing.count >= max else { return true }
    // Two passes: a connection with a request that has arrived but not been read serves it first, and may wait afterwards.
    for _ in 0..<2 {
      let waiting = sharing.filter { $0.requestWaitOrder != nil }.sorted {
        ($0.requestWaitOrder ?? 0) < ($1.requestWaitOrder ?? 0)
      }
      if waiting.contains(where: { connection in connection.evictIfWaiting() }) { return true }
    }
    return false
  }

  /// Moves a reserved connection to the regular budget if there is capacity.
  func promote(_ connection: SmallConnection) {
    let regular = connections.values.count { $0.budget == .regular }
    if regular < bounds.connectionsMax { connection.budget = .regular }
  }

  var mayStream: Bool { connections.values.count { $0.budget == .stream } < bounds.streamsMax }

  /// An increasing number: a connection that began to wait earlier has the lower one.
  func nextWaitOrder() -> UInt64 {
    lastWaitOrder += 1
    return lastWaitOrder
  }

  // MARK: Stopping

  func woken() {
    if isAccepting { loop.unwatch(listener.descriptor.number) }
    isAccepting = false
    guard isStopping.value.load(ordering: .acquiring) else {
      for connection in connections.values {
        _ = connection.evictIfWaiting()
        connection.endPause()
      }
      return
    }
    for connection in connections.values { connection.close() }
    // The thread, or a child process being started, may keep the descriptor open a little longer.
    listener.stop()
    loop.unregister(registration)
    loop.stop()
  }

  func adopted(_ descriptor: consuming FileDescriptor, from listener: Int) {}
  func turnEnded() {}
}
