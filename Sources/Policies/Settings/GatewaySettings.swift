/// How the gateway runs: `gateway.json`.
package struct GatewaySettings: Sendable {
  /// 1 to 16, all different.
  package var listeners = [Listener(address: .ip(IPAddress(ipv4: 0x7f00_0001), port: 8080))]
  /// nil: off.
  package var admin: AdminSettings? = AdminSettings(address: .ip(IPAddress(ipv4: 0x7f00_0001), port: 9901))
  /// 0 to 256 event loops; 0: one a core.
  package var loops = 0
  /// Whose `X-Forwarded-For` and PROXY header are believed.
  package var trustedProxies: [Network] = []
  /// nil: off.
  package var accessLog: LogDestination? = .standardOutput
  /// nil: off.
  package var auditLog: LogDestination?
  /// nil: the chain is plain SHA-256.
  package var auditKey: Secret?
  /// Whether a change of the folder loads it anew.
  package var watchesFolder = true
  /// `/livez` and `/readyz` on the proxy listeners too.
  package var answersHealthOnListeners = false
  package var limits = GatewayLimits()
  package var timeouts = GatewayTimeouts()
}

/// One listening socket for clients.
package struct Listener: Hashable, Sendable {
  package let address: ListenAddress
  /// Whether trusted peers begin a connection with a PROXY header.
  package var expectsProxyHeader = false
  /// Permission bits of a Unix socket, 0 to 0o777; nil: as the umask has it.
  package var mode: UInt32?
  /// The group of a Unix socket; nil: that of the process.
  package var group: SocketGroup?

  package init(address: ListenAddress, expectsProxyHeader: Bool = false) {
    self.address = address
    self.expectsProxyHeader = expectsProxyHeader
  }
}

/// A group of the machine that the gateway runs on, which `check` need not know.
package enum SocketGroup: Hashable, Sendable {
  case name(String)
  case number(UInt32)
}

/// The listener for operators.
package struct AdminSettings: Equatable, Sendable {
  package let address: ListenAddress
  /// What a caller presents for all but the probes; nil: nothing.
  package var token: Secret?
  /// What callers may name in `Host` beside the address and localhost, in lower case.
  package var hosts: [String]

  package init(address: ListenAddress, token: Secret? = nil, hosts: [String] = []) {
    self.address = address
    self.token = token
    self.hosts = hosts
  }

  package static func == (left: AdminSettings, right: AdminSettings) -> Bool {
    left.address == right.address && left.token?.reveal() == right.token?.reveal() && left.hosts == right.hosts
  }

  /// What is wrong where others than this machine's could ask without a token.
  package var lacksToken: String {
    "\(address) can be reached from other machines; give \"admin\" a token, "
      + "{\"address\": \"\(address)\", \"token\": {\"file\": \"PATH\"}}, or choose an address of 127.0.0.1"
  }
}

package enum LogDestination: Hashable, Sendable {
  case standardOutput
  /// Absolute, or relative to the working directory if the state directory is.
  case file(path: String)
}

/// Bounds of `gateway.json`, each the greatest that is accepted unless its name says otherwise.
package struct GatewayLimits: Hashable, Sendable {
  /// Request line and header section together fit in one large input buffer.
  static let headBytesMax = 48 << 10

  package var requestLineBytesMax = 8192
  package var headerBytesMax = 32768
  package var headerFieldsMax = 100
  package var bodyBytesMax = 5_242_880
  /// 0: no least rate.
  package var bodyBytesPerSecondMin = 500
  /// For uploads that hold an upstream connection, averaged over 5 s; 0: no other than the one above.
  package var bodyBytesPerSecondMinUpstream = 16_384
  package var connectionsMax = 12000
  /// 0: no bound.
  package var connectionsPerAddressMax = 0
  package var upstreamConnectionsMax = 2048
  /// A bound that the file states is never shrunk to fit the descriptor limit.
  package var statesConnections = false
  package var statesUpstreamConnections = false
}

/// Deadlines of `gateway.json`, in milliseconds.
package struct GatewayTimeouts: Hashable, Sendable {
  package var headMilliseconds = 10_000
  package var bodyIdleMilliseconds = 10_000
  package var idleMilliseconds = 75_000
  package var drainMilliseconds = 65_000
  package var drainDelayMilliseconds = 0
  package var drainIdleMilliseconds = 1_000
}
