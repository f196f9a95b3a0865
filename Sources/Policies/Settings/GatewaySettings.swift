/// How the gateway runs: `gateway.json`.
package struct GatewaySettings: Sendable {
  /// 1 to 16, all different.
  package var listeners = [Listener(address: .ip(IPAddress(ipv4: 0x7f00_0001), port: 8080))]
  /// nil: off.
  package var admin: AdminSettings? = AdminSettings(address: .ip(IPAddress(ipv4: 0x7f00_0001), port: 9901))
  /// 0 to 256 event loops; 0: one per core.
  package var loops = 0
  /// The front proxies on TCP whose `X-Forwarded-For` or PROXY header is believed, and those behind other fronts.
  package var trustedProxies: [Network] = []
  /// nil: off.
  package var accessLog: LogDestination? = .standardOutput
  /// nil: off.
  package var auditLog: LogDestination?
  /// nil: the chain is plain SHA-256.
  package var auditKey: Secret?
  /// Whether a change of the folder causes a reload.
  package var watchesFolder = true
  /// Whether the proxy listeners, too, answer `/livez` and `/readyz`.
  package var answersHealthOnListeners = false
  /// Whether requests are counted by client, if there are few enough: see `Policy.countsClients`.
  package var countsClients = false
  /// Further names for scopes, in clients and in tokens.
  package var scopeAliases: [ScopeAlias] = []
  /// nil: no token endpoint.
  package var oauth: OAuthSettings? {
    didSet { hasTokenEndpoint = oauth != nil }
  }
  /// Asked for each request; comparing `oauth` with nil copies it.
  package private(set) var hasTokenEndpoint = false
  /// Other servers whose opaque tokens are accepted after asking them.
  package var introspection: [IntrospectionProvider] = []
  /// nil: idempotency keys have no effect.
  package var idempotency: IdempotencySettings?
  package var limits = GatewayLimits()
  package var timeouts = GatewayTimeouts()
}

/// What a listener believes its peers say about their clients.
///
/// Every peer on a Unix socket is believed, because the file's permissions decide who connects; on TCP, only those in
/// `trusted_proxies`.
package enum FrontTrust: Hashable, Sendable {
  case nothing
  /// `X-Forwarded-For` and `X-Forwarded-Proto` of each request; and, if a name is given, a field with the SHA-256 of the
  /// client's certificate.
  case forwarded(certificateField: CertificateField?)
  /// A PROXY header at the start of each connection, which must be there.
  case proxyProtocol
}

/// The name of a field with the SHA-256 of the client's certificate. It begins with `X-Forwarded-`, since such fields never
/// reach Core.
package struct CertificateField: Hashable, Sendable {
  /// In lower case.
  package let name: String

  init?(_ text: String) {
    let name = text.lowercased()
    let prefix = "x-forwarded-"
    let isToken = name.utf8.allSatisfy { byte in
      isDecimalDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || byte == UInt8(ascii: "-")
    }
    let taken = ["for", "proto", "host", "port"].map { prefix + $0 }
    guard (prefix.utf8.count + 1...64).contains(name.utf8.count), name.hasPrefix(prefix), isToken, !taken.contains(name)
    else { return nil }
    self.name = name
  }
}

/// One listening socket for clients.
package struct Listener: Hashable, Sendable {
  package let address: ListenAddress
  package var trust = FrontTrust.nothing
  /// Permission bits of a Unix socket, 0 to 0o777; nil: those that the umask leaves.
  package var mode: UInt32?
  /// The group of a Unix socket; nil: that of the process.
  package var group: SocketGroup?

  package init(address: ListenAddress, trust: FrontTrust = .nothing) {
    self.address = address
    self.trust = trust
  }
}

/// A group on the gateway's machine; `check` does not look it up.
package enum SocketGroup: Hashable, Sendable {
  case name(String)
  case number(UInt32)
}

/// The listener for operators.
package struct AdminSettings: Equatable, Sendable {
  package let address: ListenAddress
  /// Required of callers, except for the probes; nil: none.
  package var token: Secret?
  /// Values that `Host` may have besides the address and localhost, in lower case.
  package var hosts: [String]

  package init(address: ListenAddress, token: Secret? = nil, hosts: [String] = []) {
    self.address = address
    self.token = token
    self.hosts = hosts
  }

  package static func == (left: AdminSettings, right: AdminSettings) -> Bool {
    left.address == right.address && left.token?.reveal() == right.token?.reveal() && left.hosts == right.hosts
  }

  /// The error message for an address that is not local, without a token.
  package var missingTokenMessage: String {
    "\(address) is reachable from other machines and needs a token; set \"admin\" to "
      + "{\"address\": \"\(address)\", \"token\": {\"file\": \"PATH\"}}, or use a loopback address such as 127.0.0.1"
  }
}

package enum LogDestination: Hashable, Sendable {
  case standardOutput
  /// Absolute, or relative to the working directory if the state directory is.
  case file(path: String)
}

/// The `limits` of `gateway.json`; maxima unless the name says otherwise.
package struct GatewayLimits: Hashable, Sendable {
  /// Request line and header section together must fit into one large input buffer.
  static let headBytesMax = 48 << 10

  package var requestLineBytesMax = 8192
  package var headerBytesMax = 32768
  package var headerFieldsMax = 100
  package var bodyBytesMax = 5_242_880
  /// 0: no minimum.
  package var bodyBytesPerSecondMin = 500
  /// For uploads that hold an upstream connection, averaged over 5 s; 0: only the minimum above.
  package var bodyBytesPerSecondMinUpstream = 16_384
  package var connectionsMax = 12000
  /// 0: unlimited.
  package var connectionsPerAddressMax = 0
  package var upstreamConnectionsMax = 2048
  /// A limit that the file states is never reduced to fit the descriptor limit.
  package var statesConnections = false
  package var statesUpstreamConnections = false
}

/// The `timeouts` of `gateway.json`, in milliseconds.
package struct GatewayTimeouts: Hashable, Sendable {
  package var headMilliseconds = 10_000
  package var bodyIdleMilliseconds = 10_000
  package var idleMilliseconds = 75_000
  package var drainMilliseconds = 65_000
  package var drainDelayMilliseconds = 0
  package var drainIdleMilliseconds = 1_000
}
