import Foundation
import Synchronization

/// A Core whose connections a test serves by hand, one thread each.
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

  /// - Parameter serve: called on a thread of its own for each connection, with its number from 0.
  package init(
    at address: LoopbackAddress = .usual, port: UInt16 = 0, _ serve: @escaping @Sendable (TestSocket, Int) -> Void
  ) throws {
    listener = try ListeningSocket(backlog: 128, at: address, port: port)
    self.serve = serve
    Thread { [self] in acceptAll() }.start()
  }

  package convenience init(_ serve: @escaping @Sendable (TestSocket) -> Void) throws {
    try self.init { socket, _ in serve(socket) }
  }

  package var connections: [TestSocket] { state.withLock { $0.connections } }
  package var isStopped: Bool { state.withLock { $0.isStopped } }

  /// Whether one connection more was served to its end, within a test's patience.
  package func waitUntilServed() -> Bool {
    served.wait(timeout: .now() + .seconds(TestSocket.patience)) == .success
  }

  /// Refuses new connections; open ones stay.
  package func stopListening() { listener.stop() }

  /// Ends the listener and all connections.
  package func stop() {
    state.withLock { $0.isStopped = true }
    listener.stop()
    for connection in connections { connection.end() }
  }

  /// Lets go of a connection: who serves it decides how it ends.
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
