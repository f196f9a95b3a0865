import Policies

/// Bounds failed client authentications by address.
///
/// Each address, or /64 of IPv6, may fail ten times, and once more every 6 s. Only failures are limited: a caller with
/// the right secret always succeeds, so that no other caller can lock a client out. No limit depends on whether there is
/// such a client.
struct AuthenticationLimits {
  private static let costMilliseconds: Int64 = 6_000
  private static let burst: Int64 = 10

  /// Monotonic milliseconds when each address has all its failures again: each one adds its cost.
  private var fullAt = RecentAddresses()

  /// Counts a failure, if the address has one left.
  ///
  /// - Returns: milliseconds until it has one; 0: it had.
  mutating func failed(_ address: PeerAddress, now: Int64) -> Int64 {
    let time = max(fullAt[address] ?? now, now)
    let wait = time - now - Self.costMilliseconds * (Self.burst - 1)
    guard wait <= 0 else { return wait }
    fullAt.set(time + Self.costMilliseconds, for: address)
    return 0
  }
}
