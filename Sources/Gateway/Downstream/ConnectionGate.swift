import Policies
import Synchronization

/// Enforces the limits on downstream connections: in total, and per address.
///
/// All loops share it. Without a limit per address, it is never written.
final class ConnectionGate: Sendable {
  private let connectionsMax: Int
  private let perAddressMax: Int
  private let counts = Mutex(AddressCounts())

  private struct AddressCounts {
    var countOf: [IPAddress: Int] = [:]
    /// By descriptor, because a closed socket no longer has a peer address.
    var addressOf: [Int32: IPAddress] = [:]
  }

  init(_ settings: GatewaySettings) {
    connectionsMax = settings.limits.connectionsMax
    perAddressMax = settings.limits.connectionsPerAddressMax
  }

  /// Whether there is a limit per address.
  var countsAddresses: Bool { perAddressMax > 0 }

  /// Admits a connection, or returns the reply that refuses it.
  ///
  /// - Parameters:
  ///   - peer: used only if there is a limit per address.
  ///   - openCount: the number of open connections.
  ///   - exempt: the fronts, whose connections serve many callers.
  func admit(_ descriptor: Int32, from peer: PeerAddress, openCount: Int, exempting exempt: [Network]) -> LocalReply? {
    guard openCount < connectionsMax else { return .overloaded(connectionsMax: connectionsMax) }
    guard countsAddresses, case .ip(let address) = peer, !exempt.contains(where: { $0.contains(address) })
    else { return nil }
    return admitClient(descriptor, address)
  }

  /// Counts the connection of a client whose address a front has reported; or returns the reply that refuses it.
  func admitClient(_ descriptor: Int32, _ client: IPAddress) -> LocalReply? {
    guard countsAddresses else { return nil }
    return count(descriptor, at: client.hostAddress) ? nil : .addressOverloaded(connectionsMax: perAddressMax)
  }

  private func count(_ descriptor: Int32, at address: IPAddress) -> Bool {
    counts.withLock { counts in
      let count = counts.countOf[address, default: 0]
      guard count < perAddressMax else { return false }
      counts.countOf[address] = count + 1
      counts.addressOf[descriptor] = address
      return true
    }
  }

  /// Removes a connection. Call it before the descriptor is closed, so that no other connection has its number.
  func release(_ descriptor: Int32) {
    guard countsAddresses else { return }
    counts.withLock { counts in
      guard let address = counts.addressOf.removeValue(forKey: descriptor) else { return }
      let count = counts.countOf[address, default: 1] - 1
      counts.countOf[address] = count > 0 ? count : nil
    }
  }
}
