import FoundationEssentials
package import Reactor
import SmallServer
package import System

/// Serves a sandbox over HTTP/1.1, with one loop on its own thread.
package final class SandboxServer: Sendable {
  private let server: SmallHTTPServer
  private let requests = ReceivedRequests()
  private let ledger: SharedLedger

  /// Binds the listener and starts serving.
  ///
  /// - Parameters:
  ///   - key: the required value of `X-Blnk-Key`.
  ///   - dialect: what to follow where Core and its documents differ.
  package init(listen: Listener.Address, key: String, dialect: CoreDialect = .measured) throws(Errno) {
    let ledger = SharedLedger(
      SandboxLedger(
        key: key, dialect: dialect, clock: { SystemClock.wallMicroseconds * 1000 },
        makeUUID: { UUID().uuidString.lowercased() }))
    self.ledger = ledger
    let requests = requests
    server = try SmallHTTPServer(listen: listen, name: "sandbox", bounds: SandboxHandler.bounds) {
      SandboxHandler(ledger, requests: requests)
    }
  }

  /// The bound address; for port 0, it has the port that the system chose.
  package var address: SocketAddress { server.address }

  /// The most recent requests, oldest first, except those that are not valid HTTP.
  package var received: [ReceivedRequest] { requests.all }

  /// How often each write was executed.
  package var executions: [SandboxExecution: Int] { ledger.executions }

  /// Plans one fault for each of the next writes (POST, PUT and DELETE), in the order in which they arrive.
  package func failNextWrites(_ faults: SandboxFault...) { ledger.failNextWrites(faults) }

  /// Executes what `SandboxFault.executedLate` and `.queuedLate` have delayed, in the order of arrival.
  package func executeLateWrites() { ledger.executeLateWrites() }

  /// Stops immediately and aborts requests in progress. Returns when the loop has ended. Call it once.
  package func stop() { server.stop() }
}
