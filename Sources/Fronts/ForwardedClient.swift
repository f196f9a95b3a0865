package import HTTP1
package import Policies

/// What a trusted front states in `X-Forwarded-For` and `X-Forwarded-Proto` about the client of one request.
///
/// The list is read from the right, where the peer appended, as long as its addresses are trusted; the first that is
/// not is the client. Differences from other proxies:
/// - nginx (`real_ip_recursive on`) stops at an element that is not an address and takes the trusted address to its
///   right, which would give the client the front's permissions; here, the client is unknown.
/// - Envoy (`xff_trusted_cidrs`) also skips private addresses that are not trusted, and `xff_num_trusted_hops` counts
///   hops instead; here, only the networks count.
/// - HAProxy (`http-request set-src`) takes one position of the list, whatever is there.
package struct ForwardedClient: Equatable, Sendable {
  /// The most elements of a list that are looked at.
  package static let elementsMax = 32

  package let client: PeerAddress
  /// Whether the client's connection to its front uses TLS.
  package let isTLS: Bool

  /// Reads the fields of a request from `peer`, which must be trusted.
  ///
  /// Without a list, the peer is the client. If all of the list is trusted, its leftmost address is the client. Beyond
  /// `elementsMax` trusted addresses, the client is unknown, and `isTLS` false.
  package static func read(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, from peer: PeerAddress, trusting networks: [Network]
  ) -> ForwardedClient {
    guard head.has(.forwarding) else { return ForwardedClient(client: peer, isTLS: false) }
    var list = ForwardedList(.addresses, head)
    var client = peer
    var count = 0
    while let element = list.next(head, bytes) {
      guard count < elementsMax else { return ForwardedClient(client: .unknown, isTLS: false) }
      count += 1
      guard let address = IPAddress(forwarded: element, bytes) else {
        client = .unknown
        break
      }
      client = .ip(address)
      guard networks.contains(where: { $0.contains(address) }) else { break }
    }
    return ForwardedClient(client: client, isTLS: isTLS(head, bytes, position: max(count, 1)))
  }

  /// Whether the element at a position from the right, counted from 1, is `https`; the leftmost if there are fewer.
  private static func isTLS(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, position: Int) -> Bool {
    var list = ForwardedList(.protocols, head)
    var isTLS = false
    for _ in 0..<position {
      guard let element = list.next(head, bytes) else { break }
      isTLS = bytes.has(anyCaseOf: "https", at: element)
    }
    return isTLS
  }
}

extension IPAddress {
  /// An element of `X-Forwarded-For`: an address, an IPv6 address in brackets, or either with a port, where IPv6 needs
  /// the brackets. Nil for anything else, such as `unknown` or an obfuscated identifier (RFC 7239 §6).
  fileprivate init?(forwarded element: Range<Int>, _ bytes: Span<UInt8>) {
    let (start, end) = (element.lowerBound, element.upperBound)
    guard bytes[start] != UInt8(ascii: "[") else {
      guard let bracket = bytes.first(UInt8(ascii: "]"), in: element), isPort(bracket + 1..<end, bytes),
        bytes.first(UInt8(ascii: ":"), in: start..<bracket) != nil
      else { return nil }
      self.init(bytes, start + 1..<bracket)
      return
    }
    // With a second colon, it is IPv6 without a port.
    guard let colon = bytes.first(UInt8(ascii: ":"), in: element),
      bytes.first(UInt8(ascii: ":"), in: colon + 1..<end) == nil
    else {
      self.init(bytes, element)
      return
    }
    guard isPort(colon..<end, bytes) else { return nil }
    self.init(bytes, start..<colon)
  }
}

/// Whether `range` is empty, or a colon and a port.
private func isPort(_ range: Range<Int>, _ bytes: Span<UInt8>) -> Bool {
  guard !range.isEmpty else { return true }
  guard bytes[range.lowerBound] == UInt8(ascii: ":") else { return false }
  var reader = PortReader()
  return range.dropFirst().allSatisfy { reader.take(bytes[$0]) } && reader.port != nil
}
