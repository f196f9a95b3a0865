import HTTP1
import Policies
import Reactor

/// The other end of a downstream connection, as policies, logs and Core see it.
///
/// A separate value, so that a trusted proxy's statement can replace it.
struct Peer {
  enum Scheme {
    case http, https

    fileprivate var text: String {
      switch self {
      case .http: "http"
      case .https: "https"
      }
    }
  }

  let address: PeerAddress
  let scheme: Scheme
  /// The address, for logs.
  let text: [UInt8]
  /// The `X-Forwarded-For` and `X-Forwarded-Proto` lines, formatted once.
  let forwardingLines: [UInt8]

  init(_ address: PeerAddress, scheme: Scheme = .http) {
    self.address = address
    self.scheme = scheme
    text = address.text
    forwardingLines = [UInt8](fields: ["X-Forwarded-For": text, "X-Forwarded-Proto": Array(scheme.text.utf8)])
  }
}

extension PeerAddress {
  init(_ address: SocketAddress?) {
    switch address {
    case .ipv4(let address, _): self = .ip(IPAddress(ipv4: address))
    case .ipv6(let high, let low, _): self = .ip(IPAddress(high: high, low: low))
    // A peer without an address is in no network.
    case .unix, nil: self = .unix
    }
  }

  /// The address, or `unix`: the form in logs and in `X-Forwarded-For`.
  var text: [UInt8] {
    var text: [UInt8] = []
    switch self {
    case .ip(let address): address.write(to: &text)
    case .unix: text += "unix".utf8
    }
    return text
  }
}
