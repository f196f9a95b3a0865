import Policies

/// Bounds failed client authentications: by address and, more loosely, by client.
///
/// Each address, or /64 of IPv6, has ten attempts, and regains one every 6 s. A client's failures from everywhere are limited to 100, and
/// one more every second; but an address that has authenticated as that client before is not affected, so that an unknown peer
/// cannot lock a client out.
struct AuthenticationLimits {
  /// Attempts left, as a time in the future: each failure adds its cost.
  private struct Bucket {
    /// Monotonic milliseconds when it is full again.
    var fullAt: Int64

    /// Milliseconds until one attempt is free; 0: one is free now.
    func wait(_ cost: Cost, now: Int64) -> Int64 { max(0, fullAt - now - cost.milliseconds * (cost.burst - 1)) }

    mutating func fail(_ cost: Cost, now: Int64) {
      fullAt = min(max(fullAt, now) + cost.milliseconds, now + cost.milliseconds * cost.burst)
    }
  }

  private struct Cost {
    let milliseconds: Int64
    let burst: Int64
  }

  private struct Pair: Hashable {
    let address: PeerAddress
    let client: String
  }

  private static let addressCost = Cost(milliseconds: 6_000, burst: 10)
  private static let clientCost = Cost(milliseconds: 1_000, burst: 100)
  private static let entriesMax = 10_000

  private var addresses: [PeerAddress: Bucket] = [:]
  private var clients: [String: Bucket] = [:]
  /// Which addresses have authenticated as which client.
  private var known: Set<Pair> = []

  /// Milliseconds until the caller may authenticate as this client; 0: at once.
  func wait(_ address: PeerAddress, client: String, now: Int64) -> Int64 {
    let address = address.host
    let byAddress = addresses[address]?.wait(Self.addressCost, now: now) ?? 0
    guard !known.contains(Pair(address: address, client: client)) else { return byAddress }
    return max(byAddress, clients[client]?.wait(Self.clientCost, now: now) ?? 0)
  }

  /// - Parameter isClient: whether there is such a client: names that an attacker makes up take no memory.
  mutating func failed(_ address: PeerAddress, client: String, isClient: Bool, now: Int64) {
    let address = address.host
    if addresses.count >= Self.entriesMax { addresses = addresses.filter { $0.value.fullAt > now } }
    // Full of failing addresses: the oldest failures are forgotten, so that new ones are limited.
    if addresses.count >= Self.entriesMax { addresses.removeAll() }
    addresses[address, default: Bucket(fullAt: now)].fail(Self.addressCost, now: now)
    if isClient { clients[client, default: Bucket(fullAt: now)].fail(Self.clientCost, now: now) }
  }

  mutating func succeeded(_ address: PeerAddress, client: String) {
    if known.count >= Self.entriesMax { known.removeAll() }
    known.insert(Pair(address: address.host, client: client))
  }
}
