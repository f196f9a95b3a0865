import Policies

/// Bounds failed client authentications by address.
///
/// Each address, or /64 of IPv6, may fail ten times, and once more every 6 s. Only failures are limited: a caller with
/// the right secret always succeeds, so that no other caller can lock a client out. No limit depends on whether there is
/// such a client.
struct AuthenticationLimits {
  /// Failures left, as a time in the future: each one adds its cost.
  private struct Bucket {
    /// Monotonic milliseconds when it is full again.
    var fullAt: Int64

    /// Milliseconds until one failure is free; 0: one is free now.
    func wait(now: Int64) -> Int64 { max(0, fullAt - now - costMilliseconds * (burst - 1)) }

    mutating func fail(now: Int64) { fullAt = max(fullAt, now) + costMilliseconds }
  }

  private static let costMilliseconds: Int64 = 6_000
  private static let burst: Int64 = 10
  private static let entriesMax = 10_000

  private var addresses: [PeerAddress: Bucket] = [:]

  /// Counts a failure, if the address has one left.
  ///
  /// - Returns: milliseconds until it has one; 0: it had.
  mutating func failed(_ address: PeerAddress, now: Int64) -> Int64 {
    let address = address.host
    let wait = addresses[address]?.wait(now: now) ?? 0
    guard wait == 0 else { return wait }
    if addresses.count >= Self.entriesMax { addresses = addresses.filter { $0.value.fullAt > now } }
    // Full of failing addresses: the oldest failures are forgotten, so that new ones are limited.
    if addresses.count >= Self.entriesMax { addresses.removeAll() }
    addresses[address, default: Bucket(fullAt: now)].fail(now: now)
    return 0
  }
}
