/// How one upstream is reached and how much of it a loop may use.
package struct UpstreamSettings: Hashable, Sendable {
  /// PEM texts and names for an https upstream; nil fields mean libcurl's and the system's defaults.
  package struct TLS: Hashable, Sendable {
    /// A small private CA bundle instead of the system's trust.
    package var authority: [UInt8]?
    package var certificate: [UInt8]?
    package var key: [UInt8]?
    /// The name in the certificate, when it is not the host of the URL.
    package var serverName: String?

    package init(
      authority: [UInt8]? = nil, certificate: [UInt8]? = nil, key: [UInt8]? = nil, serverName: String? = nil
    ) {
      self.authority = authority
      self.certificate = certificate
      self.key = key
      self.serverName = serverName
    }
  }

  package var isSecure: Bool
  /// A name or a numeric address; IPv6 without brackets.
  package var host: String
  package var port: UInt16
  package var tls = TLS()
  /// Connections of one loop.
  package var connectionsMax = 64
  /// The part of the connections that one client may hold while others wait, and at any time for uploads: 0 < share ≤ 1.
  package var share = 0.25
  /// Exchanges of one loop that may wait for a connection.
  package var waitersMax = 256
  package var connectMilliseconds: Int64 = 5_000
  /// How long a resolved name is used for new connections; 0: for one.
  package var nameCacheMilliseconds: Int64 = 5_000
  package var idleMilliseconds: Int64 = 60_000
  package var ageMilliseconds: Int64 = 300_000

  package init(isSecure: Bool, host: String, port: UInt16) {
    self.isSecure = isSecure
    self.host = host
    self.port = port
  }

  /// `share` in connections, where the pool can have this many at most: rounded down, but one at least.
  func clientConnectionsMax(of connectionsMax: Int) -> Int {
    // A share such as 0.29 is a little less than that as a Double.
    max(1, Int(Double(connectionsMax) * share + 1e-9))
  }

  /// Whether connecting needs a resolver: a thread of libcurl's that nothing can stop.
  var hasName: Bool {
    !host.contains(":") && !host.utf8.allSatisfy { $0 == UInt8(ascii: ".") || (48...57).contains($0) }
  }

  /// The URL that libcurl connects to; requests are written by the gateway.
  package var url: String {
    let name = tls.serverName ?? host
    return "\(isSecure ? "https" : "http")://\(name.contains(":") ? "[\(name)]" : name):\(port)/"
  }

  /// libcurl's CONNECT_TO form where the certificate bears another name than the host.
  package var connectTo: String? {
    guard tls.serverName != nil else { return nil }
    return "::\(host.contains(":") ? "[\(host)]" : host):\(port)"
  }
}
