/// Who may be on the way to a host, as far as its name tells.
enum Reach {
  case isPrivate, isPublic
  /// A name that a resolver of one's own may map to a private address.
  case isUnknown
}

extension InstanceURL {
  /// Without asking a resolver: a check must not depend on the network.
  var reach: Reach {
    if let address = IPAddress(host) { return address.isPrivate ? .isPrivate : .isPublic }
    // Container networks give names without a dot. RFC 6761, RFC 6762, RFC 8375 and ICANN's `internal` are never public.
    let zones = ["localhost", "local", "internal", "test", "lan", "home.arpa"]
    let isReserved = zones.contains { zone in host == zone || host.hasSuffix(".\(zone)") }
    // `core.blnk.svc`, a name that only Kubernetes resolves.
    return !host.contains(".") || isReserved || host.hasSuffix(".svc") ? .isPrivate : .isUnknown
  }
}

extension IPAddress {
  private static let privateNetworks = [
    // RFC 1918, RFC 1122 loopback, RFC 3927 link-local, RFC 6598 shared; RFC 4291 loopback and link-local, RFC 4193.
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10", "::1/128",
    "fe80::/10", "fc00::/7",
  ].compactMap(Network.init)

  var isPrivate: Bool { Self.privateNetworks.contains { network in network.contains(self) } }
}
