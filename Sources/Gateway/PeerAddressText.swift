import Policies
import Reactor

extension PeerAddress {
  init(_ address: SocketAddress?) {
    switch address {
    case .ipv4(let address, _): self = .ip(IPAddress(ipv4: address))
    case .ipv6(let high, let low, _): self = .ip(IPAddress(high: high, low: low))
    // A peer without an address is never within anybody's networks.
    case .unix, nil: self = .unix
    }
  }

  /// As logs and Core are told: the address, or `unix`.
  var text: [UInt8] {
    var text: [UInt8] = []
    switch self {
    case .ip(let address): address.write(to: &text)
    case .unix: text += "unix".utf8
    }
    return text
  }
}
