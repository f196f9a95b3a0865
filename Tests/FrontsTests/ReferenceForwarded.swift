import Glibc
import Policies

@testable import Fronts

/// A simple reader of `X-Forwarded-For` and `X-Forwarded-Proto` over strings, the reference for `ForwardedClient`.
struct ReferenceForwarded {
  /// The field lines of a request, in order.
  let lines: [(name: String, value: String)]

  func read(from peer: PeerAddress, trusting networks: [Network]) -> ForwardedClient {
    let addresses = Array(elements("x-forwarded-for").reversed())
    let protocols = Array(elements("x-forwarded-proto").reversed())
    func client(_ client: PeerAddress, _ position: Int) -> ForwardedClient {
      let scheme = position < protocols.count ? protocols[position] : protocols.last
      return ForwardedClient(client: client, isTLS: scheme?.lowercased() == "https")
    }
    guard !addresses.isEmpty else { return client(peer, 0) }
    for (position, element) in addresses.prefix(32).enumerated() {
      guard let address = address(element) else { return client(.unknown, position) }
      let isTrusted = networks.contains { $0.contains(address) }
      if !isTrusted || position == addresses.count - 1 { return client(.ip(address), position) }
    }
    return ForwardedClient(client: .unknown, isTLS: false)
  }

  private func elements(_ name: String) -> [String] {
    let values = lines.filter { $0.name.lowercased() == name }.map(\.value)
    return values.joined(separator: ",").split(separator: ",").map(trimmed).filter { !$0.isEmpty }
  }

  private func trimmed(_ text: Substring) -> String {
    let start = text.drop { " \t".contains($0) }
    return String(String(start.reversed().drop { " \t".contains($0) }.reversed()))
  }

  private func address(_ element: String) -> IPAddress? {
    if let address = referenceAddress(element, AF_INET) ?? referenceAddress(element, AF_INET6) { return address }
    if element.hasPrefix("["), element.hasSuffix("]") {
      return referenceAddress(String(element.dropFirst().dropLast()), AF_INET6)
    }
    guard let colon = element.lastIndex(of: ":"), referencePort(String(element[element.index(after: colon)...])) != nil
    else { return nil }
    let host = String(element[..<colon])
    guard host.hasPrefix("["), host.hasSuffix("]") else { return referenceAddress(host, AF_INET) }
    return referenceAddress(String(host.dropFirst().dropLast()), AF_INET6)
  }
}
