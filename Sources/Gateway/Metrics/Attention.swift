import Policies

/// How long something needs an operator's attention.
enum Attention {
  /// After the last fault of an instance, or the last refusal of a client.
  static let recentMicroseconds: Int64 = 300_000_000
  private static let tokenSeconds: Int64 = 14 * 86_400

  /// Whether a token ends soon.
  static func isDue(_ expiry: UnixSeconds, at now: UnixSeconds) -> Bool {
    expiry.rawValue < now.rawValue + tokenSeconds
  }
}
