/// The state of one rate limit: the generic cell rate algorithm (ITU-T I.371), which needs one number.
///
/// Times are nanoseconds of a monotonic clock.
struct RateState: Equatable {
  /// When the budget is full again; each request adds one interval.
  var fullAt: Int64 = 0

  /// Takes one request from the budget. Returns nil if it fits, or the nanoseconds until one fits.
  mutating func take(now: Int64, _ limit: RateLimit) -> Int64? {
    let start = max(fullAt, now)
    let wait = start - now - limit.burstNanoseconds
    guard wait <= 0 else { return wait }
    fullAt = start + limit.intervalNanoseconds
    return nil
  }
}

extension RateState {
  /// A budget with `spent` requests missing, at most a full burst.
  init(spent: Double, now: Int64, _ limit: RateLimit) {
    let debt = min(spent, Double(limit.burst)) * Double(limit.intervalNanoseconds)
    self.init(fullAt: debt > 0 ? now + Int64(debt) : 0)
  }

  /// How many requests are missing from the budget, fractions included.
  func spent(now: Int64, _ limit: RateLimit) -> Double {
    Double(max(0, fullAt - now)) / Double(limit.intervalNanoseconds)
  }
}

extension RateLimit {
  /// How far ahead of its time the last request of a burst may arrive.
  var burstNanoseconds: Int64 { intervalNanoseconds * Int64(burst - 1) }
}
