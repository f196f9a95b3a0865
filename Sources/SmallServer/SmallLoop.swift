import Reactor
import System

/// What the server's thread owns: the site and the connections. It accepts, and stops when it is woken.
final class SmallLoop: EventHandler, EventLoopDelegate {
  /// All that a loop needs to begin on its thread.
  struct Start: Sendable {
    let handle: LoopHandle
    let listener: Listener
    let bounds: SmallServerBounds
    let makeSite: @Sendable () -> any Site

    /// Serves until the handle is woken.
    func run() {
      // Without an epoll descriptor's room for the wake-up there is nothing to serve with; callers see refused connections.
      guard let loop = try? SmallLoop(self) else { return }
      loop.run()
    }
  }

  let loop: EventLoop
  let site: any Site
  let bounds: SmallServerBounds
  private let listener: Listener
  private var connections: [ObjectIdentifier: SmallConnection] = [:]
  private var registration = Registration.none
  private var tickets: UInt64 = 0

  private init(_ start: Start) throws(Errno) {
    loop = try EventLoop(handle: start.handle)
    listener = start.listener
    bounds = start.bounds
    site = start.makeSite()
    super.init()
    registration = loop.register(self)
    try loop.watch(listener.descriptor.number, for: registration, level: .readable)
  }

  private func run() { loop.run(for: self) }

  // MARK: Connections

  override func ready(_ readiness: Readiness) {
    var peer: SocketAddress?
    while let accepted = try? listener.accept(from: &peer) {
      guard let place = freePlace() else { continue }
      let connection = SmallConnection(Socket(accepted), from: peer, in: place, on: self)
      guard (try? connection.open()) != nil else { continue }
      connections[ObjectIdentifier(connection)] = connection
    }
  }

  func closed(_ connection: SmallConnection) { connections[ObjectIdentifier(connection)] = nil }

  /// A place for one more connection, if need be that of the one that waits longest for a request; nil: there is none.
  private func freePlace() -> SmallConnection.Place? {
    if hasRoom(in: .usual, of: bounds.connectionsMax) { return .usual }
    return hasRoom(in: .reserved, of: bounds.reservedConnectionsMax) ? .reserved : nil
  }

  private func hasRoom(in place: SmallConnection.Place, of count: Int) -> Bool {
    let sharing = connections.values.filter { $0.place == place }
    guard sharing.count >= count else { return true }
    // Where a request has come already, and only its turn has not, the connection stays: until it waits for another.
    for _ in 0..<2 {
      let waiting = sharing.filter { $0.waitsForHead != nil }.sorted { ($0.waitsForHead ?? 0) < ($1.waitsForHead ?? 0) }
      if waiting.contains(where: { connection in connection.makesWay() }) { return true }
    }
    return false
  }

  /// A connection in reserve moves up when there is room for it.
  func moveUp(_ connection: SmallConnection) {
    let usual = connections.values.count { $0.place == .usual }
    if usual < bounds.connectionsMax { connection.place = .usual }
  }

  /// A number that grows: who began to wait earlier has the lower one.
  func nextTicket() -> UInt64 {
    tickets += 1
    return tickets
  }

  // MARK: The end

  func woken() {
    for connection in connections.values { connection.close() }
    loop.unwatch(listener.descriptor.number)
    // The thread, and a process that is being started, may hold the descriptor a little longer.
    listener.stop()
    loop.unregister(registration)
    loop.stop()
  }

  func adopted(_ descriptor: consuming FileDescriptor, from listener: Int) {}
  func turnEnded() {}
}
