package import Reactor
import SmallServer
package import System

/// The stand-in Core behind a socket: one loop on a thread of its own, HTTP/1.1.
package final class SandboxServer: Sendable {
  private let server: SiteServer
  private let requests = ReceivedRequests()

  /// Binds and serves from then on.
  ///
  /// - Parameters:
  ///   - key: what `X-Blnk-Key` has to be.
  ///   - dialect: whose word it takes where Core and its documents differ.
  package init(listen: Listener.Address, key: String, dialect: CoreDialect = .measured) throws(Errno) {
    let requests = requests
    server = try SiteServer(listen: listen, name: "sandbox", bounds: SandboxSite.bounds) {
      SandboxSite(key: key, dialect: dialect, requests: requests)
    }
  }

  /// With the port that the system chose for port 0.
  package var address: SocketAddress { server.address }

  /// The last requests that came, the oldest first; those that are not HTTP are not among them.
  package var received: [ReceivedRequest] { requests.all }

  /// Ends at once; what is in flight is cut. Returns when the loop has ended; call it once.
  package func stop() { server.stop() }
}
