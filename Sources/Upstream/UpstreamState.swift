import Synchronization

/// What all loops share of one upstream: its breaker, whether its health checks fail, how much is under way, its key.
///
/// Written on faults and switches only, but for the count of requests under way where that is bounded.
package final class UpstreamState: Sendable {
  private let settings: BreakerBounds
  private let breaker = Atomic<UInt64>(0)
  private let isDown: Atomic<Bool>
  private let underWay = Atomic<Int>(0)
  /// Where requests under way are counted, if not here: requests end after a reload that they began before.
  private let counting: UpstreamState?
  /// The key in use in the upper 16 bits; when it was switched to (monotonic milliseconds) in the lower 48.
  private let key: Atomic<UInt64>

  /// A Core answers 401 also while its database is down: then a new key each time would help nobody.
  package static let keySwitchMilliseconds: Int64 = 10_000

  /// - Parameters:
  ///   - keyIndex: the key to begin with.
  ///   - previous: of the same upstream until now: its health and what is under way go on, its breaker begins anew.
  package init(_ settings: BreakerBounds, keyIndex: Int = 0, following previous: UpstreamState? = nil) {
    self.settings = settings
    key = Atomic(UInt64(keyIndex) << 48)
    isDown = Atomic(previous?.failsHealthChecks ?? false)
    counting = previous.map { $0.counting ?? $0 }
  }

  // MARK: Breaker

  package func admit(isRead: Bool, now: Int64) -> BreakerDecision {
    if isDown.load(ordering: .relaxed) { return .refuse(milliseconds: 1_000, wantsProbe: false) }
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

  /// Taken out, or put back, by the health checks; true when that is news.
  package func setDown(_ down: Bool) -> Bool { isDown.exchange(down, ordering: .relaxed) != down }

  // MARK: Concurrency

  /// Takes a place among `max` requests under way; false when there is none. Each true is followed by one `leave`.
  package func enter(max: Int) -> Bool {
    guard (counting ?? self).underWay.add(1, ordering: .relaxed).newValue > max else { return true }
    leave()
    return false
  }

  package func leave() { (counting ?? self).underWay.subtract(1, ordering: .relaxed) }

  // MARK: Keys

  /// Which of the upstream's keys is in use.
  package var keyIndex: Int { Int(key.load(ordering: .relaxed) >> 48) }

  /// Core refused key `index`: goes on to the next of `count`, at most once in `keySwitchMilliseconds`.
  ///
  /// - Returns: whether another key than `index` is in use now.
  package func keyWasRefused(_ index: Int, of count: Int, now: Int64) -> Bool {
    let old = key.load(ordering: .relaxed)
    guard Int(old >> 48) == index else { return true }
    let switchedAt = Int64(old & 0xFFFF_FFFF_FFFF)
    guard count > 1, switchedAt == 0 || now - switchedAt >= Self.keySwitchMilliseconds else { return false }
    let new = UInt64((index + 1) % count) << 48 | UInt64(max(now, 1) & 0xFFFF_FFFF_FFFF)
    // Where another loop was faster, its switch serves as well.
    _ = key.compareExchange(expected: old, desired: new, ordering: .relaxed)
    return true
  }
}
