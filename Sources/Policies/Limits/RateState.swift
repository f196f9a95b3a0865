/// A rate limit as a value: the generic cell rate algorithm, which needs one number (ITU-T I.371).
///
/// The number is when the budget would be whole again; a request moves it on by its share of a second. Times are
/// nanoseconds of a monotonic clock.
struct RateState: Equatable {
  var wholeAt: Int64 = 0

  /// Takes one request out of the budget; nil when it fits, else nanoseconds until one would.
  mutating func take(now: Int64, _ limit: RateLimit) -> Int64? {
    let start = max(wholeAt, now)
    let wait = start - now - limit.burstNanoseconds
    guard wait <= 0 else { return wait }
    wholeAt = start + limit.intervalNanoseconds
    return nil
  }
}

extension RateState {
  /// A budget that lacks `spent` requests, at most a whole burst.
  init(spent: Double, now: Int64, _ limit: RateLimit) {
    let debt = min(spent, Double(limit.burst)) * Double(limit.intervalNanoseconds)
    self.init(wholeAt: debt > 0 ? now + Int64(debt) : 0)
  }

  /// How many requests the budget lacks, in parts of one, too.
  func spent(now: Int64, _ limit: RateLimit) -> Double {
    Double(max(0, wholeAt - now)) / Double(limit.intervalNanoseconds)
  }
}

extension RateLimit {
  /// How far ahead of its time the last request of a burst may come.
  var burstNanoseconds: Int64 { intervalNanoseconds * Int64(burst - 1) }
}
