import Foundation
import Synchronization

/// A Core whose connections are served by a closure of the test, one thread each, until the test ends.
package final class RawUpstream: Sendable {
  package var port: UInt16 { listener.port }
  private let listener: ListeningSocket
  private let serve: @Sendable (TestSocket, Int) -> Void
  private let served = DispatchSemaphore(value: 0)

  private struct State: Sendable {
    var connections: [TestSocket] = []
    var isStopped = false
  }
  private let state = Mutex(State())

  /// - Parameter serve: called on a new thread for each connection, with its number from 0.
  package init(
    at address: LoopbackAddress = .usual, port: UInt16 = 0, _ serve: @escaping @Sendable (TestSocket, Int) -> Void
  ) throws {
    let fixtures = try Fixtures.ofTest()
    listener = try ListeningSocket(backlog: 128, at: address, port: port)
    self.serve = serve
    Thread { [self] in acceptAll() }.start()
    fixtures.add(stop: stop)
  }

  package convenience init(_ serve: @escaping @Sendable (TestSocket) -> Void) throws {
    try self.init { socket, _ in serve(socket) }
  }

  package var connections: [TestSocket] { state.withLock { $0.connections } }
  package var isStopped: Bool { state.withLock { $0.isStopped } }

  /// Waits until `serve` has returned for another connection.
  package func waitUntilServed() -> Bool {
    served.wait(timeout: .now() + .seconds(TestSocket.patience)) == .success
  }

  /// Refuses new connections and keeps open ones.
  package func stopListening() { listener.stop() }

  /// Ends the listener and all connections.
  @Sendable package func stop() {
    state.withLock { $0.isStopped = true }
    listener.stop()
    for connection in connections { connection.end() }
  }

  /// Releases a connection; `serve` decides how it ends.
  package func forget(_ connection: TestSocket) { state.withLock { $0.connections.removeAll { $0 === connection } } }

  private func acceptAll() {
    var count = 0
    while true {
      guard let socket = listener.accept() else { return }
      let isStopped = state.withLock { state in
        state.connections.append(socket)
        return state.isStopped
      }
      guard !isStopped else { return }
      let index = count
      count += 1
      Thread { [self] in
        serve(socket, index)
        forget(socket)
        served.signal()
      }.start()
    }
  }
}
