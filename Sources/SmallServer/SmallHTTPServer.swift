import Dispatch
import Synchronization
package import Reactor
package import System

/// An HTTP/1.1 server for few connections: one loop on its own thread, one request at a time per connection.
package final class SmallHTTPServer: Sendable {
  /// The bound address, with the port that the system chose for port 0.
  package let address: SocketAddress
  private let handle: LoopHandle
  private let isStopping: SharedFlag
  private let ended = DispatchSemaphore(value: 0)

  /// Binds the address and starts serving.
  package convenience init(
    listen: Listener.Address, name: String, bounds: SmallServerBounds,
    makeHandler: @escaping @Sendable () -> any RequestHandler
  ) throws(Errno) {
    try self.init(on: try Listener(listen), name: name, bounds: bounds, makeHandler: makeHandler)
  }

  /// Starts serving.
  ///
  /// - Parameters:
  ///   - name: the thread's name.
  ///   - makeHandler: called once, on that thread.
  package init(
    on listener: Listener, name: String, bounds: SmallServerBounds,
    makeHandler: @escaping @Sendable () -> any RequestHandler
  ) throws(Errno) {
    address = listener.localAddress ?? .unix(path: "")
    handle = try LoopHandle()
    let isStopping = SharedFlag()
    self.isStopping = isStopping
    let start = SmallLoop.Start(
      handle: handle, isStopping: isStopping, listener: listener, bounds: bounds, makeHandler: makeHandler)
    let ended = ended
    startThread(named: name) {
      start.run()
      ended.signal()
    }
  }

  /// Closes all connections, including those with a request in flight, and returns when the loop has ended. Call it once.
  package func stop() {
    isStopping.value.store(true, ordering: .releasing)
    handle.wake()
    ended.wait()
  }

  /// Accepts no more connections, closes those that wait for a request, and asks streams for a part, which may be their
  /// last one. Those with a request in flight are served until `stop`.
  package func retire() { handle.wake() }
}

final class SharedFlag: Sendable {
  let value = Atomic<Bool>(false)
}
