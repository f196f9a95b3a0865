import Foundation
import Glibc
import Reactor
import Synchronization

/// A Core whose connections a test serves by hand, one thread each.
package final class RawUpstream: Sendable {
  package let port: UInt16
  private let listener: FileDescriptor
  private let serve: @Sendable (TestSocket, Int) -> Void
  private let served = DispatchSemaphore(value: 0)

  private struct State: Sendable {
    var connections: [TestSocket] = []
    var isStopped = false
  }
  private let state = Mutex(State())

  /// - Parameter serve: called on a thread of its own for each connection, with its number from 0.
  package init(_ serve: @escaping @Sendable (TestSocket, Int) -> Void) throws {
    let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { throw Errno.last }
    let listener = FileDescriptor(owning: number)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = unsafe withUnsafeMutableBytes(of: &address) {
      let pointer = unsafe $0.baseAddress!.assumingMemoryBound(to: sockaddr.self)
      return unsafe bind(number, pointer, size) | listen(number, 128) | getsockname(number, pointer, &size)
    }
    guard result == 0 else { throw Errno.last }
    port = UInt16(bigEndian: address.sin_port)
    self.listener = listener
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

  /// Ends the listener and all connections.
  package func stop() {
    state.withLock { $0.isStopped = true }
    shutdown(listener.number, Int32(SHUT_RDWR))
    for connection in connections { connection.end() }
  }

  /// Lets go of a connection: who serves it decides how it ends.
  package func forget(_ connection: TestSocket) { state.withLock { $0.connections.removeAll { $0 === connection } } }

  private func acceptAll() {
    var count = 0
    while true {
      let number = accept(listener.number, nil, nil)
      guard number >= 0 else { return }
      let socket = TestSocket(owning: number)
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
