import HTTP1
import Policies

/// Which hosts a caller of the admin endpoint may name: its address, localhost, and those of `admin.hosts`.
///
/// A page of another site whose name was made to lead here (DNS rebinding) names that site.
struct AdminHosts {
  private static let shownBytesMax = 100

  private let address: ListenAddress
  private let names: [String]

  init(_ settings: AdminSettings) {
    address = settings.address
    names = settings.hosts
  }

  /// What a caller is told who names another host; nil: it may be answered.
  func refusal(of head: borrowing RequestHead, _ bytes: Span<UInt8>) -> String? {
    // Browsers reach no Unix socket.
    guard case .ip(let address, _) = address else { return nil }
    // Only HTTP/1.0 does without, and no browser speaks it.
    guard let value = hostValue(head, bytes) else { return nil }
    let host = Self.withoutPort(value)
    guard host != "localhost", !names.contains(host), !isOwn(host, address) else { return nil }
    return
      "No answers for the host \"\(host.prefix(Self.shownBytesMax))\" here: ask for the address or for localhost, or add the "
      + "name to \"hosts\" of \"admin\" in gateway.json."
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

  /// Where the gateway listens on every address, each is its own: an address leads to no other site.
  private func isOwn(_ host: String, _ address: IPAddress) -> Bool {
    guard let named = IPAddress(host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host) else { return false }
    return named == address || address == IPAddress(ipv4: 0) || address == IPAddress(high: 0, low: 0)
  }
}
