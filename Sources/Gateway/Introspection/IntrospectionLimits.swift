import Digests
import Policies

/// Bounds questions about tokens that were not admitted before, by address, or /64 of IPv6, and for the whole process: each
/// has 100, and regains two a second.
///
/// A question counts from when it is asked, so that many at once are bounded, too. Only an answer that admits the token
/// gives it back.
struct IntrospectionLimits {
  private static let burst: Int64 = 100
  private static let millisecondsEach: Int64 = 500

  /// Monotonic milliseconds when each address has all its questions again.
  private var fullAt = RecentAddresses()

  /// Takes a question of an address; false: it has none left.
  mutating func take(_ address: PeerAddress, now: Int64) -> Bool {
    let time = max(fullAt[address] ?? now, now)
    guard time - now <= Self.millisecondsEach * (Self.burst - 1) else { return false }
    fullAt.set(time + Self.millisecondsEach, for: address)
    return true
  }

  mutating func giveBack(_ address: PeerAddress) {
    if let time = fullAt[address] { fullAt.set(time - Self.millisecondsEach, for: address) }
  }
}

/// The tokens that were admitted within the last hour, and some of the hour before, by what their answers are cached under.
/// Questions about them are not limited.
///
/// Has no part in any decision about a request. Bound: twice `tokensMax`; beyond it, those that were admitted least recently
/// are forgotten first.
struct AdmittedTokens {
  static let tokensMax = 8_192
  static let milliseconds: Int64 = 3_600_000

  private var recent: Set<Digest> = []
  private var older: Set<Digest> = []
  /// Monotonic milliseconds when `recent` was empty.
  private var recentSince: Int64 = 0

  mutating func insert(_ key: Digest, now: Int64) {
    age(now)
    recent.insert(key)
  }

  mutating func remove(_ key: Digest) {
    recent.remove(key)
    older.remove(key)
  }

  mutating func contains(_ key: Digest, now: Int64) -> Bool {
    age(now)
    return recent.contains(key) || older.contains(key)
  }

  private mutating func age(_ now: Int64) {
    let elapsed = now - recentSince
    guard elapsed >= Self.milliseconds || recent.count >= Self.tokensMax else { return }
    older = elapsed >= 2 * Self.milliseconds ? [] : recent
    recent = []
    recentSince = now
  }
}
