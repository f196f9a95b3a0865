import Policies

/// A time for each of the addresses that were set lately, such as when its limit is full again.
///
/// Bound: twice `countMax`; beyond it, the addresses that were set least recently are forgotten first. Each call takes
/// constant time, so that a flood of addresses costs no more than others.
struct RecentAddresses {
  static let countMax = 5_000

  private var recent: [PeerAddress: Int64] = [:]
  private var older: [PeerAddress: Int64] = [:]

  /// - Parameter address: a port does not count.
  subscript(address: PeerAddress) -> Int64? { recent[address.host] ?? older[address.host] }

  mutating func set(_ time: Int64, for address: PeerAddress) {
    if recent.updateValue(time, forKey: address.host) != nil { return }
    if recent.count > Self.countMax { (older, recent) = (recent, [address.host: time]) }
  }
}
