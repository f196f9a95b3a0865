import HTTP1
import Policies

/// The hosts that the admin endpoint serves: its address, localhost, and those of `admin.hosts`.
///
/// Prevents DNS rebinding: a page whose domain was rebound to the gateway's address still sends that domain as Host.
struct AdminHosts {
  private static let shownBytesMax = 100

  private let address: ListenAddress
  private let names: [String]

  init(_ settings: AdminSettings) {
    address = settings.address
    names = settings.hosts
  }

  /// The message that rejects the host; nil if the host is served.
  func rejection(of head: borrowing RequestHead, _ bytes: Span<UInt8>) -> String? {
    // Browsers cannot reach a Unix socket.
    guard case .ip(let address, _) = address else { return nil }
    // Only HTTP/1.0 requests may lack a Host, and no browser sends them.
    guard let value = hostValue(head, bytes) else { return nil }
    let host = Self.withoutPort(value)
    guard host != "localhost", !names.contains(host), !isOwn(host, address) else { return nil }
    return
      "The admin endpoint does not serve the host \"\(host.prefix(Self.shownBytesMax))\". "
      + "Use its address or localhost, or add the host to \"admin\".\"hosts\" in gateway.json."
  }

  private func hostValue(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> String? {
    for index in head.fields.indices where head.fields[index].kind == .host {
      let range = head.fields[index].value
      return String(decoding: range.map { bytes[$0] }, as: UTF8.self).lowercased()
    }
    return nil
  }

  private static func withoutPort(_ value: String) -> String {
    if value.hasPrefix("["), let end = value.firstIndex(of: "]") { return String(value[...end]) }
    return String(value.prefix { $0 != ":" })
  }

  /// Whether the host is an address of the gateway. If it listens on all addresses, every address counts: an address
  /// cannot be rebound.
  private func isOwn(_ host: String, _ address: IPAddress) -> Bool {
    guard let named = IPAddress(host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host) else { return false }
    return named == address || address == IPAddress(ipv4: 0) || address == IPAddress(high: 0, low: 0)
  }
}
