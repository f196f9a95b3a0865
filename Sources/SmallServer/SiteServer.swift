import Dispatch
package import Reactor
package import System

/// A server of one loop on a thread of its own, for few callers: HTTP/1.1, each request gets its response before the next is read.
package final class SiteServer: Sendable {
  /// With the port that the system chose for port 0.
  package let address: SocketAddress
  private let handle: LoopHandle
  private let ended = DispatchSemaphore(value: 0)

  /// Binds and serves from then on.
  ///
  /// - Parameters:
  ///   - name: of the thread.
  ///   - makeSite: called once, on that thread.
  package init(
    listen: Listener.Address, name: String, bounds: SmallServerBounds, makeSite: @escaping @Sendable () -> any Site
  ) throws(Errno) {
    let listener = try Listener(listen)
    address = listener.localAddress ?? .unix(path: "")
    handle = try LoopHandle()
    let start = SmallLoop.Start(handle: handle, listener: listener, bounds: bounds, makeSite: makeSite)
    let ended = ended
    startThread(named: name) {
      start.run()
      ended.signal()
    }
  }

  /// Ends at once; what is in flight is cut. Returns when the loop has ended; call it once.
  package func stop() {
    handle.wake()
    ended.wait()
  }
}
