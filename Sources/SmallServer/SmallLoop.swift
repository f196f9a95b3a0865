import Foundation
import Reactor

/// What the stand-in's thread owns: the ledger and the connections. It accepts, and stops when it is woken.
final class SandboxLoop: EventLoopDelegate, EventHandler {
  /// All that a loop needs to begin on its thread.
  struct Start: Sendable {
    let handle: LoopHandle
    let listener: Listener
    let key: String
    let dialect: CoreDialect
    let requests: ReceivedRequests

    /// Serves until the handle is woken.
    func run() {
      // Without an epoll descriptor's room for the wake-up there is nothing to serve with; callers see refused connections.
      guard let loop = try? SandboxLoop(self) else { return }
      loop.run()
    }
  }

  /// More are closed as soon as they are accepted.
  private static let connectionsMax = 1024

  let loop: EventLoop
  private(set) var ledger: SandboxLedger
  private let listener: Listener
  private let requests: ReceivedRequests
  private var connections: [ObjectIdentifier: SandboxConnection] = [:]
  private var registration = Registration.none

  private init(_ start: Start) throws(Errno) {
    loop = try EventLoop(handle: start.handle)
    listener = start.listener
    requests = start.requests
    ledger = SandboxLedger(
      key: start.key, dialect: start.dialect, clock: { MonotonicClock.wallMicroseconds * 1000 },
      makeUUID: { UUID().uuidString.lowercased() })
    registration = loop.register(self)
    try loop.watch(listener.descriptor.number, for: registration, level: .readable)
  }

  private func run() { loop.run(for: self) }

  func answer(_ request: SandboxRequest, as received: ReceivedRequest) -> SandboxAnswer {
    requests.append(received)
    return ledger.answer(request)
  }

  // MARK: Connections

  func ready(_ readiness: Readiness) {
    while let accepted = try? listener.accept() {
      guard connections.count < Self.connectionsMax else { continue }
      let connection = SandboxConnection(Socket(accepted), on: self)
      guard (try? connection.open()) != nil else { continue }
      connections[ObjectIdentifier(connection)] = connection
    }
  }

  func closed(_ connection: SandboxConnection) { connections[ObjectIdentifier(connection)] = nil }

  // MARK: The end

  func woken() {
    for connection in connections.values { connection.close() }
    loop.unwatch(listener.descriptor.number)
    // The thread, and a process that is being started, may hold the descriptor a little longer.
    listener.stop()
    loop.unregister(registration)
    loop.stop()
  }

  func adopted(_ descriptor: consuming FileDescriptor) {}
  func turnEnded() {}
  func deadlinePassed() {}
}
