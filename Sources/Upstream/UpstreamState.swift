import Synchronization

/// The state of one upstream that all loops share: its breaker, its health, the number of requests in flight, and the
/// key in use.
///
/// Loops write it only on faults and switches, and per request only if the requests in flight are bounded.
package final class UpstreamState: Sendable {
  private let settings: BreakerBounds
  private let breaker = Atomic<UInt64>(0)
  private let isDown: Atomic<Bool>
  private let requestsInFlight = Atomic<Int>(0)
  /// Where requests in flight are counted, if not here: a request can outlast the reload that replaced its state.
  private let counting: UpstreamState?
  /// The index of the key in use in the upper 16 bits, and the time of the switch to it (monotonic milliseconds) in the
  /// lower 48.
  private let key: Atomic<UInt64>

  /// The minimum time between key switches. Core also responds 401 while its database is down, and no key helps then.
  package static let keySwitchMilliseconds: Int64 = 10_000

  /// - Parameters:
  ///   - keyIndex: the key to start with.
  ///   - previous: the state to replace: its health and its requests in flight carry over, its breaker does not.
  package init(_ settings: BreakerBounds, keyIndex: Int = 0, following previous: UpstreamState? = nil) {
    self.settings = settings
    key = Atomic(UInt64(keyIndex) << 48)
    isDown = Atomic(previous?.failsHealthChecks ?? false)
    counting = previous.map { $0.counting ?? $0 }
  }

  // MARK: Breaker

  package func admit(isRead: Bool, now: Int64) -> BreakerDecision {
    if isDown.load(ordering: .relaxed) { return .reject(milliseconds: 1_000, needsHealthCheck: false) }
    guard breaker.load(ordering: .relaxed) & 3 != 0 else { return .pass }
    return change { $0.admit(isRead: isRead, now: now) }
  }

  package func succeeded() {
    guard breaker.load(ordering: .relaxed) != 0 else { return }
    change { $0.succeeded() }
  }

  /// - Parameter jitter: 0..<1.
  package func failed(now: Int64, jitter: Double) {
    change { $0.failed(now: now, jitter: jitter, settings) }
  }

  package func probeEnded(now: Int64) { change { $0.probeEnded(now: now) } }

  /// Whether the breaker is open, or a probe is under way.
  package var isOpen: Bool { breaker.load(ordering: .relaxed) & 3 != 0 }

  package var breakerPhase: BreakerPhase { BreakerState(bits: breaker.load(ordering: .relaxed)).phase }

  @discardableResult
  private func change<Result>(_ body: (inout BreakerState) -> Result) -> Result {
    var old = breaker.load(ordering: .relaxed)
    while true {
      var state = BreakerState(bits: old)
      let result = body(&state)
      if state.bits == old { return result }
      let (exchanged, current) = breaker.weakCompareExchange(
        expected: old, desired: state.bits, ordering: .relaxed)
      if exchanged { return result }
      old = current
    }
  }

  // MARK: Health checks

  package var failsHealthChecks: Bool { isDown.load(ordering: .relaxed) }

  /// Records the result of a health check; true if it differs from the last one.
  package func setDown(_ down: Bool) -> Bool { isDown.exchange(down, ordering: .relaxed) != down }

  // MARK: Concurrency

  /// Takes one of `max` slots for requests in flight; false if all are taken. Each success needs one `releaseSlot`.
  package func takeSlot(max: Int) -> Bool {
    guard (counting ?? self).requestsInFlight.add(1, ordering: .relaxed).newValue > max else { return true }
    releaseSlot()
    return false
  }

  package func releaseSlot() { (counting ?? self).requestsInFlight.subtract(1, ordering: .relaxed) }

  // MARK: Keys

  /// The index of the key in use.
  package var keyIndex: Int { Int(key.load(ordering: .relaxed) >> 48) }

  /// Switches to the next of `count` keys after Core refused key `index`, at most once in `keySwitchMilliseconds`.
  ///
  /// - Returns: whether a key other than `index` is in use now.
  package func switchKey(from index: Int, of count: Int, now: Int64) -> Bool {
    let old = key.load(ordering: .relaxed)
    guard Int(old >> 48) == index else { return true }
    let switchedAt = Int64(old & 0xFFFF_FFFF_FFFF)
    guard count > 1, switchedAt == 0 || now - switchedAt >= Self.keySwitchMilliseconds else { return false }
    let new = UInt64((index + 1) % count) << 48 | UInt64(max(now, 1) & 0xFFFF_FFFF_FFFF)
    // If another loop was faster, its switch is as good.
    _ = key.compareExchange(expected: old, desired: new, ordering: .relaxed)
    return true
  }
}
