/// When a breaker opens, and for how long.
package struct BreakerBounds: Hashable, Sendable {
  /// Consecutive failures that open it; 0: it never opens.
  package var failuresMax: Int
  package var openMilliseconds: Int64
  /// The pause doubles up to this with each probe that fails.
  package var openMillisecondsMax: Int64

  package init(failuresMax: Int = 5, openMilliseconds: Int64 = 1_000, openMillisecondsMax: Int64 = 60_000) {
    self.failuresMax = failuresMax
    self.openMilliseconds = openMilliseconds
    self.openMillisecondsMax = openMillisecondsMax
  }
}

/// What a breaker says to a request.
package enum BreakerDecision: Equatable, Sendable {
  case pass
  /// The request passes, and tells whether the upstream is well again. Always a read.
  case probe
  /// - Parameters:
  ///   - milliseconds: after which another try makes sense.
  ///   - wantsProbe: nobody else asks the upstream: whoever gets this starts a probe of his own.
  case refuse(milliseconds: Int64, wantsProbe: Bool)
}

package enum BreakerPhase: UInt64, Sendable {
  case closed, open, probing
}

/// A breaker as a value: closed, open until a moment, or open while one probe is under way.
struct BreakerState: Equatable {
  private(set) var phase = BreakerPhase.closed
  /// Consecutive failures while closed.
  private(set) var failures = 0
  /// How many pauses in a row were not the last.
  private(set) var pauses = 0
  /// When it may be probed, or when a probe counts as lost (monotonic milliseconds).
  private(set) var until: Int64 = 0

  /// A probe that tells nothing for so long is lost, and the next may go.
  static let probeMilliseconds: Int64 = 30_000
  private static let pausesMax = 16

  mutating func admit(isRead: Bool, now: Int64) -> BreakerDecision {
    guard phase != .closed else { return .pass }
    guard now >= until else { return .refuse(milliseconds: until - now, wantsProbe: false) }
    phase = .probing
    until = now + Self.probeMilliseconds
    return isRead ? .probe : .refuse(milliseconds: 1_000, wantsProbe: true)
  }

  mutating func succeeded() { self = BreakerState() }

  /// A probe came to an end that told nothing, such as its client leaving: the next may go at once.
  mutating func probeEnded(now: Int64) {
    if phase == .probing { until = now }
  }

  /// - Parameter jitter: 0..<1, so that many gateways do not probe in step.
  mutating func failed(now: Int64, jitter: Double, _ settings: BreakerBounds) {
    switch phase {
    case .closed:
      failures += 1
      guard settings.failuresMax > 0, failures >= settings.failuresMax else { return }
      pauses = 0
    case .probing: pauses = min(pauses + 1, Self.pausesMax)
    // Requests that were under way when it opened say nothing new.
    case .open: return
    }
    phase = .open
    failures = 0
    let pause = min(settings.openMilliseconds << Int64(pauses), settings.openMillisecondsMax)
    until = now + pause / 2 + Int64(Double(pause / 2) * jitter)
  }

  // MARK: One word

  /// All that loops share of it: two bits of phase, then 62 of failures while closed, else 6 of pauses and 48 of time.
  init(bits: UInt64) {
    phase = BreakerPhase(rawValue: bits & 3) ?? .closed
    switch phase {
    case .closed: failures = Int(bits >> 2)
    case .open, .probing:
      pauses = Int(bits >> 2 & 0x3F)
      until = Int64(bits >> 8 & 0xFFFF_FFFF_FFFF)
    }
  }

  init() {}

  var bits: UInt64 {
    switch phase {
    case .closed: phase.rawValue | UInt64(failures) << 2
    case .open, .probing: phase.rawValue | UInt64(pauses) << 2 | UInt64(until & 0xFFFF_FFFF_FFFF) << 8
    }
  }
}
