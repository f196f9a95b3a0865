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
      guard connections.count < bounds.connectionsMax else { continue }
      let connection = SmallConnection(Socket(accepted), from: peer, on: self)
      guard (try? connection.open()) != nil else { continue }
      connections[ObjectIdentifier(connection)] = connection
    }
  }

  func closed(_ connection: SmallConnection) { connections[ObjectIdentifier(connection)] = nil }

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
