/// How a loop reaches one upstream, and how many resources it may use for it.
package struct UpstreamSettings: Hashable, Sendable {
  /// PEM texts and the server name of an https upstream; nil means the default of libcurl or the system.
  package struct TLS: Hashable, Sendable {
    /// A small private CA bundle that replaces the system's trust store.
    package var caBundle: [UInt8]?
    package var certificate: [UInt8]?
    package var key: [UInt8]?
    /// The name in the certificate, if it is not the host of the URL.
    package var serverName: String?

    package init(
      caBundle: [UInt8]? = nil, certificate: [UInt8]? = nil, key: [UInt8]? = nil, serverName: String? = nil
    ) {
      self.caBundle = caBundle
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
  /// Connections per loop.
  package var connectionsMax = 64
  /// The fraction of the connections that one client may hold while others wait, and for uploads at any time:
  /// 0 < share ≤ 1.
  package var share = 0.25
  /// Exchanges per loop that may wait for a connection.
  package var waitersMax = 256
  package var connectMilliseconds: Int64 = 5_000
  /// How long new connections use a resolved name; 0: each connection resolves it again.
  package var nameCacheMilliseconds: Int64 = 5_000
  package var idleMilliseconds: Int64 = 60_000
  package var ageMilliseconds: Int64 = 300_000

  package init(isSecure: Bool, host: String, port: UInt16) {
    self.isSecure = isSecure
    self.host = host
    self.port = port
  }

  /// `share` of `connectionsMax` connections: rounded down, but at least 1.
  func clientConnectionsMax(of connectionsMax: Int) -> Int {
    // As a Double, a share such as 0.29 can be slightly less.
    max(1, Int(Double(connectionsMax) * share + 1e-9))
  }

  /// Whether connecting needs a resolver, which is a libcurl thread that cannot be cancelled.
  var hasName: Bool {
    !host.contains(":") && !host.utf8.allSatisfy { $0 == UInt8(ascii: ".") || (48...57).contains($0) }
  }

  /// The URL that libcurl connects to. The gateway writes the requests.
  package var url: String {
    let name = tls.serverName ?? host
    return "\(isSecure ? "https" : "http")://\(name.contains(":") ? "[\(name)]" : name):\(port)/"
  }

  /// The value of CURLOPT_CONNECT_TO, if the name in the certificate is not the host; else nil.
  package var connectTo: String? {
    guard tls.serverName != nil else { return nil }
    return "::\(host.contains(":") ? "[\(host)]" : host):\(port)"
  }
}
