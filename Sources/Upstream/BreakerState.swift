/// When a circuit breaker opens, and for how long.
package struct BreakerBounds: Hashable, Sendable {
  /// Consecutive failures that open the breaker; 0: it never opens.
  package var failuresMax: Int
  package var openMilliseconds: Int64
  /// Each failed probe doubles the pause, up to this.
  package var openMillisecondsMax: Int64

  package init(failuresMax: Int = 5, openMilliseconds: Int64 = 1_000, openMillisecondsMax: Int64 = 60_000) {
    self.failuresMax = failuresMax
    self.openMilliseconds = openMilliseconds
    self.openMillisecondsMax = openMillisecondsMax
  }
}

/// What a breaker decides about a request.
package enum BreakerDecision: Equatable, Sendable {
  case pass
  /// The request passes, and its result closes or reopens the breaker. Always a read.
  case probe
  /// - Parameters:
  ///   - milliseconds: when to retry.
  ///   - needsHealthCheck: a probe is due, but this request may not serve as the probe, so the caller must start a
  ///     health check.
  case reject(milliseconds: Int64, needsHealthCheck: Bool)
}

package enum BreakerPhase: UInt64, Sendable {
  case closed, open, halfOpen
}

/// The state of a breaker: closed, open until a point in time, or half-open: one probe is under way.
struct BreakerState: Equatable {
  private(set) var phase = BreakerPhase.closed
  /// Consecutive failures while closed.
  private(set) var failures = 0
  /// How many failed probes have doubled the pause.
  private(set) var doublings = 0
  /// When a probe may start, or when the current probe counts as lost (monotonic milliseconds).
  private(set) var until: Int64 = 0

  /// A probe without a result counts as lost after this, and the next one may start.
  static let probeMilliseconds: Int64 = 30_000
  private static let doublingsMax = 16

  mutating func admit(isRead: Bool, now: Int64) -> BreakerDecision {
    guard phase != .closed else { return .pass }
    guard now >= until else { return .reject(milliseconds: until - now, needsHealthCheck: false) }
    phase = .halfOpen
    until = now + Self.probeMilliseconds
    return isRead ? .probe : .reject(milliseconds: 1_000, needsHealthCheck: true)
  }

  mutating func succeeded() { self = BreakerState() }

  /// A probe ended without a result, for example because its caller disconnected: the next may start at once.
  mutating func probeEnded(now: Int64) {
    if phase == .halfOpen { until = now }
  }

  /// - Parameter jitter: 0..<1, so that many gateways do not probe at the same time.
  mutating func failed(now: Int64, jitter: Double, _ settings: BreakerBounds) {
    switch phase {
    case .closed:
      failures += 1
      guard settings.failuresMax > 0, failures >= settings.failuresMax else { return }
      doublings = 0
    case .halfOpen: doublings = min(doublings + 1, Self.doublingsMax)
    // The request was in flight when the breaker opened: nothing new.
    case .open: return
    }
    phase = .open
    failures = 0
    let pause = min(settings.openMilliseconds << Int64(doublings), settings.openMillisecondsMax)
    until = now + pause / 2 + Int64(Double(pause / 2) * jitter)
  }

  // MARK: One word

  /// The state as one word that all loops share: 2 bits of phase; then 62 bits of failures if closed, else 6 bits of
  /// doublings and 48 bits of time.
  init(bits: UInt64) {
    phase = BreakerPhase(rawValue: bits & 3) ?? .closed
    switch phase {
    case .closed: failures = Int(bits >> 2)
    case .open, .halfOpen:
      doublings = Int(bits >> 2 & 0x3F)
      until = Int64(bits >> 8 & 0xFFFF_FFFF_FFFF)
    }
  }

  init() {}

  var bits: UInt64 {
    switch phase {
    case .closed: phase.rawValue | UInt64(failures) << 2
    case .open, .halfOpen: phase.rawValue | UInt64(doublings) << 2 | UInt64(until & 0xFFFF_FFFF_FFFF) << 8
    }
  }
}
