/// The address of a listener: an IP address with a port, or the path of a Unix socket.
package enum ListenAddress: Hashable, Sendable {
  /// Port 0 lets the kernel choose.
  case ip(IPAddress, port: UInt16)
  case unix(path: String)

  package static let rule = #"must be "host:port", "[v6]:port" or "unix:/path"; the host is an IP address or localhost"#
  /// What is wrong with a text that is not such an address, and how to correct it.
  package static func fault(of text: String) -> String {
    let pathBytes = text.utf8.count - 5
    guard text.hasPrefix("unix:/"), pathBytes > pathBytesMax else { return rule }
    return "has a path of \(pathBytes) bytes; the path of a Unix socket has at most \(pathBytesMax)"
  }

  /// `sun_path` holds 108 bytes with the terminating zero (unix(7)).
  private static let pathBytesMax = 107

  /// nil for text that violates `rule`.
  package init?(_ text: String) {
    if text.hasPrefix("unix:") {
      let path = String(text.dropFirst(5))
      guard path.hasPrefix("/"), !path.utf8.contains(0), path.utf8.count <= Self.pathBytesMax else { return nil }
      self = .unix(path: path)
      return
    }
    guard let colon = text.lastIndex(of: ":"), let port = parsePort(text[text.index(after: colon)...]) else {
      return nil
    }
    let host = text[..<colon]
    if host == "localhost" {
      self = .ip(IPAddress(ipv4: 0x7f00_0001), port: port)
    } else if host.first == "[", host.last == "]", host.contains(":"),
      let ip = IPAddress(String(host.dropFirst().dropLast()))
    {
      self = .ip(ip, port: port)
    } else if !host.contains(":"), let ip = IPAddress(String(host)) {
      self = .ip(ip, port: port)
    } else {
      return nil
    }
  }
}

extension ListenAddress {
  /// A note that `[::]` accepts no IPv4; nil for any other address.
  package var familyNote: String? {
    guard case .ip(IPAddress(high: 0, low: 0), let port) = self else { return nil }
    return "[::]:\(port) accepts IPv6 only; to accept IPv4, too, write [\"0.0.0.0:\(port)\", \"[::]:\(port)\"]"
  }

  /// Whether only processes on this machine can connect.
  package var isLocal: Bool {
    switch self {
    case .ip(let address, _): address.isLoopback
    case .unix: true
    }
  }
}

extension ListenAddress: CustomStringConvertible {
  package var description: String {
    switch self {
    case .ip(let address, let port): address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    case .unix(let path): "unix:\(path)"
    }
  }
}

/// 0 to 65535 in at most five digits.
func parsePort(_ text: Substring) -> UInt16? {
  guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy(isDecimalDigit) else { return nil }
  return UInt16(text)
}
