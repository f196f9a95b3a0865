/// The URL of an instance: `http` or `https`, a host, a port and an optional path prefix.
package struct InstanceURL: Hashable, Sendable {
  package let isTLS: Bool
  /// A DNS name in lower case or an IP address; IPv6 without brackets.
  package let host: String
  package let port: UInt16
  /// Empty, or `/a/b` without a trailing slash.
  package let pathPrefix: String

  /// The `Host` field's value: the host, in brackets if IPv6, with the port unless it is the scheme's own.
  package var authority: String {
    let name = host.contains(":") ? "[\(host)]" : host
    return port == (isTLS ? 443 : 80) ? name : "\(name):\(port)"
  }

  /// For an instance whose URL is unknown: a name that never resolves (RFC 2606 §2).
  static let unknown = InstanceURL(isTLS: true, host: "unknown.invalid", port: 443)

  private init(isTLS: Bool, host: String, port: UInt16) {
    self.isTLS = isTLS
    self.host = host
    self.port = port
    pathPrefix = ""
  }

  /// Why a text is not such a URL. Does not contain the text itself, which may include a password.
  package struct Fault: Error {
    package let message: String
  }

  package init(_ text: String) throws(Fault) {
    guard !text.hasPrefix("unix:") else {
      throw Fault(message: "must start with http:// or https://; instances on Unix sockets are not supported")
    }
    // By bytes: a search by characters takes most of the time of reading very many instances.
    guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")), text.utf8[colon...].starts(with: "://".utf8) else {
      throw Fault(message: "must start with http:// or https://")
    }
    switch text[..<colon].lowercased() {
    case "http": isTLS = false
    case "https": isTLS = true
    default: throw Fault(message: "must start with http:// or https://")
    }
    let rest = text[text.utf8.index(colon, offsetBy: 3)...]
    guard !rest.utf8.contains(UInt8(ascii: "?")), !rest.utf8.contains(UInt8(ascii: "#")) else {
      throw Fault(message: "must not have a query or fragment")
    }
    let authority = rest[..<(rest.utf8.firstIndex(of: UInt8(ascii: "/")) ?? rest.endIndex)]
    guard !authority.utf8.contains(UInt8(ascii: "@")) else {
      throw Fault(message: "must not have a user name or password")
    }
    (host, port) = try hostAndPort(authority, default: isTLS ? 443 : 80)
    pathPrefix = try prefix(rest[authority.endIndex...])
  }
}

private func hostAndPort(_ authority: Substring, default port: UInt16) throws(InstanceURL.Fault) -> (String, UInt16) {
  if authority.first == "[" {
    guard let bracket = authority.firstIndex(of: "]"), authority[..<bracket].contains(":"),
      let address = IPAddress(String(authority[..<bracket].dropFirst()))
    else { throw InstanceURL.Fault(message: "must have an IPv6 address between the brackets") }
    guard !address.isIPv4 else {
      throw InstanceURL.Fault(message: "has an IPv4-mapped address between the brackets; write \(address)")
    }
    return (address.description, try portNumber(authority[bracket...].dropFirst(), default: port))
  }
  let host = authority[..<(authority.utf8.firstIndex(of: UInt8(ascii: ":")) ?? authority.endIndex)]
  guard isHostName(host) || IPAddress(String(host)) != nil else {
    throw InstanceURL.Fault(
      message: "must have a host name of letters, digits, \"-\", \"_\" and \".\", or an IP address")
  }
  return (host.lowercased(), try portNumber(authority[host.endIndex...], default: port))
}

/// `:5001`, or nothing for the default.
private func portNumber(_ suffix: Substring, default port: UInt16) throws(InstanceURL.Fault) -> UInt16 {
  if suffix.isEmpty { return port }
  guard suffix.first == ":", let number = parsePort(suffix.dropFirst()), number > 0 else {
    throw InstanceURL.Fault(message: "must have a port from 1 to 65535 after the colon")
  }
  return number
}

/// RFC 1123 labels, and `_`, which container networks use. The last label must not be all digits, like an address.
func isHostName(_ host: Substring) -> Bool {
  let labels = host.split(separator: ".", omittingEmptySubsequences: false)
  guard host.utf8.count <= 253, let last = labels.last, !last.utf8.allSatisfy(isDecimalDigit) else { return false }
  return labels.allSatisfy { label in
    (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
      && label.utf8.allSatisfy { byte in
        isAlphanumeric(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
      }
  }
}

/// Segments of unreserved characters (RFC 3986 §2.3), at most 256 bytes in all; drops one trailing slash.
private func prefix(_ path: Substring) throws(InstanceURL.Fault) -> String {
  let trimmed = path.last == "/" ? path.dropLast() : path
  if trimmed.isEmpty { return "" }
  let segments = trimmed.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
  let isPlain = segments.allSatisfy { segment in
    !segment.isEmpty && segment != "." && segment != ".." && segment.utf8.allSatisfy(isUnreserved)
  }
  guard isPlain, trimmed.utf8.count <= 256 else {
    throw InstanceURL.Fault(message: "must have a plain path: letters, digits and -._~ between single slashes")
  }
  return String(trimmed)
}

func isUnreserved(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"): true
  default: isAlphanumeric(byte)
  }
}

/// Whether the traffic to a host can cross the internet, judging by the host's name alone.
enum HostExposure {
  case privateNetwork, internet
  /// The name may resolve to a private address.
  case unknown
}

extension InstanceURL {
  /// Does not resolve the name: a check must not depend on the network.
  var exposure: HostExposure {
    if let address = IPAddress(host) { return address.isPrivate ? .privateNetwork : .internet }
    // Container networks use names without a dot. The names of RFC 6761, RFC 6762 and RFC 8375 and ICANN's `internal`
    // are never public.
    let zones = ["localhost", "local", "internal", "test", "lan", "home.arpa"]
    let isReserved = zones.contains { zone in host == zone || host.hasSuffix(".\(zone)") }
    // `core.blnk.svc`, a name that only Kubernetes resolves.
    return !host.contains(".") || isReserved || host.hasSuffix(".svc") ? .privateNetwork : .unknown
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
