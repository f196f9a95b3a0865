import Policies
import Synchronization

/// Who may have one more connection: bounds over all clients and for each address.
///
/// The loops share it. Without a bound for each address, nothing in it is ever written.
final class ConnectionGate: Sendable {
  private let connectionsMax: Int
  private let perAddressMax: Int
  /// Their connections are those of many clients.
  private let trustedProxies: [Network]
  private let held = Mutex(Held())

  private struct Held {
    var countOf: [IPAddress: Int] = [:]
    /// By descriptor, because a peer that is gone has no address any more.
    var addressOf: [Int32: IPAddress] = [:]
  }

  init(_ settings: GatewaySettings) {
    connectionsMax = settings.limits.connectionsMax
    perAddressMax = settings.limits.connectionsPerAddressMax
    trustedProxies = settings.trustedProxies
  }

  /// Whether the peer's address has a say at all.
  var countsAddresses: Bool { perAddressMax > 0 }

  /// Lets a connection in, or tells why not.
  ///
  /// - Parameters:
  ///   - count: how many there are.
  ///   - peer: needed only where addresses count.
  func admit(_ descriptor: Int32, from peer: PeerAddress, beside count: Int) -> LocalReply? {
    guard count < connectionsMax else { return .overloaded(connectionsMax: connectionsMax) }
    guard countsAddresses, case .ip(let address) = peer, !trustedProxies.contains(where: { $0.contains(address) })
    else { return nil }
    return hold(descriptor, for: address.ofOneHousehold) ? nil : .addressOverloaded(connectionsMax: perAddressMax)
  }

  private func hold(_ descriptor: Int32, for address: IPAddress) -> Bool {
    held.withLock { held in
      let count = held.countOf[address, default: 0]
      guard count < perAddressMax else { return false }
      held.countOf[address] = count + 1
      held.addressOf[descriptor] = address
      return true
    }
  }

  /// A connection ends; its descriptor is still open, so that no other one bears its number.
  func left(_ descriptor: Int32) {
    guard countsAddresses else { return }
    held.withLock { held in
      guard let address = held.addressOf.removeValue(forKey: descriptor) else { return }
      let count = held.countOf[address, default: 1] - 1
      held.countOf[address] = count > 0 ? count : nil
    }
  }
}

extension IPAddress {
  /// The address, or the /64 of an IPv6 one: that is what a single host is given (RFC 7421 §1).
  fileprivate var ofOneHousehold: IPAddress { isIPv4 ? self : IPAddress(high: high, low: 0) }
}
