import TestValues
import Testing

@testable import Policies

/// Limits to one request, on a clock that the test moves.
@Suite struct RateTests {
  private static let second: Int64 = 1_000_000_000

  @Test(arguments: [(50.0, 100), (1.0, 1), (3.0, 7), (0.5, 2), (1_000_000.0, 1), (100.0, 1_000)])
  func `a burst, and then as many as the rate gives, to one request`(rate: Double, burst: Int) {
    let limit = RateLimit(requestsPerSecond: rate, burst: burst)
    var state = RateState()
    var now: Int64 = 12_345
    for _ in 0..<burst { #expect(state.take(now: now, limit) == nil) }
    #expect(state.take(now: now, limit) != nil)
    // One more comes exactly when its time has come.
    for _ in 0..<20 {
      guard let wait = state.take(now: now, limit) else {
        Issue.record("one too many")
        return
      }
      #expect(wait > 0 && wait <= limit.intervalNanoseconds)
      #expect(state.take(now: now + wait - 1, limit) != nil)
      #expect(state.take(now: now + wait, limit) == nil)
      now += wait
    }
  }

  @Test func `over a long time the rate holds, whatever the rhythm`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededGenerator(state: seed)
    let limit = RateLimit(requestsPerSecond: 10, burst: 5)
    var state = RateState()
    var now: Int64 = 0
    var taken = 0
    while now < 100 * Self.second {
      now += Int64.random(in: 0..<50_000_000, using: &random)
      if state.take(now: now, limit) == nil { taken += 1 }
    }
    #expect((990...1_005).contains(taken), "seed \(seed): \(taken)")
  }

  @Test func `reads and writes have separate budgets`() {
    let limits = ClientLimits(
      rates: .separate(
        read: RateLimit(requestsPerSecond: 1, burst: 2), write: RateLimit(requestsPerSecond: 1, burst: 1)))
    let limiter = ClientLimiter(limits, following: nil, now: 0)
    #expect(limiter.rejection(isWrite: true, now: 0) == nil)
    #expect(
      limiter.rejection(isWrite: true, now: 0)
        == .rateLimited(RateBudget(.write, quota: 1, windowSeconds: 1, resetSeconds: 1)))
    #expect(limiter.rejection(isWrite: false, now: 0) == nil && limiter.rejection(isWrite: false, now: 0) == nil)
    #expect(limiter.rejection(isWrite: false, now: 0) != nil)
  }

  @Test(arguments: [
    (50.0, 100, 1, 2, 1), (0.5, 1, 2_000_000_000, 2, 2), (0.001, 2, 1_000_000_001, 2_000, 2), (3.0, 1, 1, 1, 1),
  ])
  func `a client gets whole seconds`(rate: Double, burst: Int, wait: Int64, window: Int, reset: Int) {
    let budget = RateBudget(.all, of: RateLimit(requestsPerSecond: rate, burst: burst), nanoseconds: wait)
    #expect(budget == RateBudget(.all, quota: burst, windowSeconds: window, resetSeconds: reset))
  }

  @Test func `a flat limit is one budget for both`() {
    let limiter = ClientLimiter(
      ClientLimits(rates: .shared(RateLimit(requestsPerSecond: 1, burst: 2))), following: nil, now: 0)
    #expect(limiter.rejection(isWrite: true, now: 0) == nil && limiter.rejection(isWrite: false, now: 0) == nil)
    #expect(limiter.rejection(isWrite: true, now: 0) != nil && limiter.rejection(isWrite: false, now: 0) != nil)
  }

  @Test func `a new limiter continues from the old one's state`() {
    let limit = RateLimit(requestsPerSecond: 1, burst: 3)
    let old = ClientLimiter(ClientLimits(rates: .shared(limit)), following: nil, now: 0)
    for _ in 0..<3 { #expect(old.rejection(isWrite: false, now: 0) == nil) }
    let new = ClientLimiter(ClientLimits(rates: .shared(limit), concurrentMax: 9), following: old, now: 0)
    #expect(new.rejection(isWrite: false, now: 0) != nil && new.rejection(isWrite: false, now: Self.second) == nil)
  }

  /// At 0.001 requests a second a used-up burst of 10,000 comes back in 115 days.
  @Test(arguments: [(1_000.0, 1), (1_000.0, 10_000), (0.001, 20_000)])
  func `a raised limit takes effect at once`(rate: Double, burst: Int) {
    let old = ClientLimiter(
      ClientLimits(rates: .shared(RateLimit(requestsPerSecond: 0.001, burst: 10_000))), following: nil, now: 7)
    while old.rejection(isWrite: false, now: 7) == nil {}
    let new = ClientLimiter(
      ClientLimits(rates: .shared(RateLimit(requestsPerSecond: rate, burst: burst))), following: old, now: 7)
    // Of a greater burst the rest is there at once, else one request once its time has come.
    #expect(new.rejection(isWrite: false, now: 7 + (burst > 10_000 ? 0 : 1_000_000)) == nil)
  }

  @Test func `what was spent stays spent under other limits, but never more than a burst`() {
    let limit = RateLimit(requestsPerSecond: 0.001, burst: 10)
    let old = ClientLimiter(ClientLimits(rates: .shared(limit)), following: nil, now: 0)
    for _ in 0..<4 { #expect(old.rejection(isWrite: true, now: 0) == nil) }
    func granted(_ rates: ClientLimits.Rates, isWrite: Bool, after previous: ClientLimiter) -> Int {
      let new = ClientLimiter(ClientLimits(rates: rates), following: previous, now: 0)
      return (0..<20).count { _ in new.rejection(isWrite: isWrite, now: 0) == nil }
    }
    let six = RateLimit(requestsPerSecond: 0.5, burst: 6)
    #expect(granted(.shared(six), isWrite: false, after: old) == 2)
    #expect(granted(.separate(read: six, write: nil), isWrite: false, after: old) == 2)
    #expect(granted(.separate(read: six, write: six), isWrite: true, after: old) == 2)
    #expect(granted(.shared(RateLimit(requestsPerSecond: 0.5, burst: 3)), isWrite: true, after: old) == 0)
    let apart = ClientLimiter(ClientLimits(rates: .separate(read: six, write: six)), following: nil, now: 0)
    for isWrite in [true, false] { #expect(apart.rejection(isWrite: isWrite, now: 0) == nil) }
    #expect(granted(.shared(six), isWrite: true, after: apart) == 4)
  }

  @Test func `what is under way counts under new limits, too`() {
    let old = ClientLimiter(ClientLimits(concurrentMax: 3), following: nil, now: 0)
    for _ in 0..<3 { #expect(old.rejection(isWrite: true, now: 0) == nil) }
    let new = ClientLimiter(ClientLimits(concurrentMax: 4), following: old, now: 0)
    #expect(new.rejection(isWrite: true, now: 0) == nil)
    #expect(new.rejection(isWrite: true, now: 0) == .concurrencyLimited(max: 4))
    old.leave()
    #expect(new.rejection(isWrite: true, now: 0) == nil)
  }

  @Test func `concurrent requests are limited, and a rejected one takes no slot and no budget`() {
    let limits = ClientLimits(rates: .shared(RateLimit(requestsPerSecond: 1, burst: 3)), concurrentMax: 2)
    let limiter = ClientLimiter(limits, following: nil, now: 0)
    #expect(limiter.rejection(isWrite: false, now: 0) == nil && limiter.rejection(isWrite: true, now: 0) == nil)
    for _ in 0..<5 { #expect(limiter.rejection(isWrite: false, now: 0) == .concurrencyLimited(max: 2)) }
    limiter.leave()
    #expect(limiter.rejection(isWrite: false, now: 0) == nil)
    limiter.leave()
    // The budget is used up now, and no slot with it.
    for _ in 0..<5 { #expect(limiter.rejection(isWrite: false, now: 0) != .concurrencyLimited(max: 2)) }
  }

  @Test func `many threads together get exactly the burst`() async {
    let limiter = ClientLimiter(
      ClientLimits(rates: .shared(RateLimit(requestsPerSecond: 0.001, burst: 1_000))), following: nil, now: 0)
    let granted = await withTaskGroup(of: Int.self) { group in
      for _ in 0..<8 {
        group.addTask { (0..<500).count { _ in limiter.rejection(isWrite: false, now: 0) == nil } }
      }
      return await group.reduce(0, +)
    }
    #expect(granted == 1_000)
  }
}

extension ClientLimiter {
  /// Takes one request in; why not.
  fileprivate func rejection(isWrite: Bool, now: Int64) -> Rejection? {
    do throws(Rejection) {
      try enter(isWrite: isWrite, now: now)
      return nil
    } catch {
      return error
    }
  }
}
