/// An exhausted budget, as the `RateLimit` and `RateLimit-Policy` fields report it.
package struct RateBudget: Equatable, Sendable {
  package enum Name: String, Sendable {
    /// Reads and writes together.
    case all
    case read, write
    /// Requests in progress.
    case concurrent
  }

  package let name: Name
  /// Requests per window.
  package let quota: Int
  /// How long an exhausted quota takes to refill.
  package let windowSeconds: Int
  /// How long until one more request fits.
  package let resetSeconds: Int

  package init(_ name: Name, quota: Int, windowSeconds: Int, resetSeconds: Int) {
    self.name = name
    self.quota = quota
    self.windowSeconds = windowSeconds
    self.resetSeconds = resetSeconds
  }

  /// - Parameter nanoseconds: how long until one more request fits.
  init(_ name: Name, of limit: RateLimit, nanoseconds: Int64) {
    self.init(
      name, quota: limit.burst,
      windowSeconds: max(1, Int((Double(limit.burst) / limit.requestsPerSecond).rounded(.up))),
      resetSeconds: Int((nanoseconds + 999_999_999) / 1_000_000_000))
  }
}
