import Dispatch
import Foundation
package import Reactor

/// The stand-in Core behind a socket: one loop on a thread of its own, HTTP/1.1.
package final class SandboxServer: Sendable {
  /// With the port that the system chose for port 0.
  package let address: SocketAddress
  private let requests = ReceivedRequests()
  private let handle: LoopHandle
  private let ended = DispatchSemaphore(value: 0)

  /// Binds and serves from then on.
  ///
  /// - Parameters:
  ///   - key: what `X-Blnk-Key` has to be.
  ///   - dialect: whose word it takes where Core and its documents differ.
  package init(listen: Listener.Address, key: String, dialect: CoreDialect = .measured) throws(Errno) {
    let listener = try Listener(listen)
    address = listener.localAddress ?? .unix(path: "")
    handle = try LoopHandle()
    let loop = SandboxLoop.Start(handle: handle, listener: listener, key: key, dialect: dialect, requests: requests)
    let ended = ended
    let thread = Thread {
      loop.run()
      ended.signal()
    }
    thread.name = "sandbox"
    thread.start()
  }

  /// The last requests that came, the oldest first; those that are not HTTP are not among them.
  package var received: [ReceivedRequest] { requests.all }

  /// Ends at once; what is in flight is cut. Returns when the loop has ended; call it once.
  package func stop() {
    handle.wake()
    ended.wait()
  }
}
