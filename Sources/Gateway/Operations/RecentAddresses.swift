import Policies

/// A time for each address that has asked for one lately, such as when its limit is full again.
///
/// Bound: twice `countMax`; beyond it, the addresses that were set least recently are forgotten first. Each call takes
/// constant time, so that a flood of addresses costs no more than others.
struct RecentAddresses {
  static let countMax = 5_000

  private var recent: [PeerAddress: Int64] = [:]
  private var older: [PeerAddress: Int64] = [:]

  /// - Parameter address: a port does not count.
  subscript(address: PeerAddress) -> Int64? {
    get { recent[address.host] ?? older[address.host] }
    set {
      if recent.count >= Self.countMax { (older, recent) = (recent, [:]) }
      recent[address.host] = newValue
    }
  }
}
