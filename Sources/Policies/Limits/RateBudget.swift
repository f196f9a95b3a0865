/// A budget that is used up, as a client is told of it.
package struct RateBudget: Equatable, Sendable {
  package enum Name: String, Sendable {
    /// Reads and writes together.
    case all
    case read, write
    /// Requests under way.
    case concurrent
  }

  package let name: Name
  /// Requests in a window.
  package let quota: Int
  /// How long a used-up quota takes to come back.
  package let windowSeconds: Int
  /// Until one more request fits.
  package let resetSeconds: Int

  package init(_ name: Name, quota: Int, windowSeconds: Int, resetSeconds: Int) {
    self.name = name
    self.quota = quota
    self.windowSeconds = windowSeconds
    self.resetSeconds = resetSeconds
  }

  /// - Parameter nanoseconds: until one more request fits.
  init(_ name: Name, of limit: RateLimit, nanoseconds: Int64) {
    self.init(
      name, quota: limit.burst,
      windowSeconds: max(1, Int((Double(limit.burst) / limit.requestsPerSecond).rounded(.up))),
      resetSeconds: Int((nanoseconds + 999_999_999) / 1_000_000_000))
  }
}
