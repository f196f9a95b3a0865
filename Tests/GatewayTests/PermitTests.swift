import Testing
import Upstream

@testable import Gateway
@testable import Policies

/// What a request takes of the limits comes back exactly once, whichever limit refuses it.
@Suite struct PermitTests {
  private static let second: Int64 = 1_000_000_000
  private static let oneOnly = RateLimit(requestsPerSecond: 1, burst: 1)

  /// A client and an instance with bounds of one request each.
  private struct Rig {
    let limiter: ClientLimiter
    let upstream = UpstreamState(BreakerBounds(failuresMax: 1, openMilliseconds: 1_000))

    init(_ rates: ClientLimits.Rates = .unlimited) {
      limiter = ClientLimiter(ClientLimits(rates: rates, concurrentMax: 1), following: nil, now: 0)
    }

    func take(isWrite: Bool = false, now: Int64 = 0) throws(Permit.Refusal) -> Permit {
      try Permit.take(limiter, upstream, concurrentMax: 1, isWrite: isWrite, now: now)
    }

    func refusal(isWrite: Bool = false, now: Int64 = 0) -> Permit.Refusal? {
      do throws(Permit.Refusal) {
        try take(isWrite: isWrite, now: now).release(now: now)
        return nil
      } catch {
        return error
      }
    }

    /// Opens the breaker at 0: it may be probed a second later at the latest.
    func openBreaker() { upstream.failed(now: 0, jitter: 1) }

    func expectNothingTaken() {
      #expect(throws: Never.self) { try limiter.enter(isWrite: false, now: 0) }
      limiter.leave()
      #expect(upstream.enter(max: 1))
      upstream.leave()
    }
  }

  @Test func `a used-up rate takes nothing`() throws {
    let rig = Rig(.separate(read: nil, write: Self.oneOnly))
    #expect(rig.refusal(isWrite: true) == nil)
    let budget = RateBudget(.write, quota: 1, windowSeconds: 1, resetSeconds: 1)
    #expect(rig.refusal(isWrite: true) == Permit.Refusal(rejection: .rateLimited(budget)))
    rig.expectNothingTaken()
  }

  @Test func `a client with all its requests under way gets no other one, and nothing of the instance`() throws {
    let rig = Rig()
    let permit = try rig.take()
    #expect(rig.refusal() == Permit.Refusal(rejection: .concurrencyLimited(max: 1)))
    permit.release(now: 0)
    rig.expectNothingTaken()
  }

  @Test func `an open breaker gives the client's slot back`() throws {
    let rig = Rig()
    rig.openBreaker()
    #expect(rig.refusal() == Permit.Refusal(rejection: .instanceUnavailable(milliseconds: 1_000)))
    rig.expectNothingTaken()
  }

  @Test func `a failing health check gives the client's slot back`() throws {
    let rig = Rig()
    _ = rig.upstream.setDown(true)
    #expect(rig.refusal() == Permit.Refusal(rejection: .instanceUnavailable(milliseconds: 1_000)))
    rig.expectNothingTaken()
  }

  @Test func `a write that finds the breaker due asks for a probe once, and takes nothing`() throws {
    let rig = Rig()
    rig.openBreaker()
    let rejection = Rejection.instanceUnavailable(milliseconds: 1_000)
    let refusal = rig.refusal(isWrite: true, now: Self.second)
    #expect(refusal == Permit.Refusal(rejection: rejection, wantsProbe: true))
    #expect(rig.refusal(isWrite: true, now: Self.second)?.wantsProbe == false)
    rig.expectNothingTaken()
  }

  @Test func `an instance with all its requests under way gives the client's slot back`() throws {
    let rig = Rig()
    #expect(rig.upstream.enter(max: 1))
    #expect(rig.refusal() == Permit.Refusal(rejection: .instanceBusy))
    rig.upstream.leave()
    rig.expectNothingTaken()
  }

  @Test func `a probe that finds no slot lets the next one go at once`() throws {
    let rig = Rig()
    rig.openBreaker()
    #expect(rig.upstream.enter(max: 1))
    #expect(rig.refusal(now: Self.second) == Permit.Refusal(rejection: .instanceBusy))
    rig.upstream.leave()
    rig.expectNothingTaken()
    #expect(rig.upstream.admit(isRead: true, now: 1_000) == .probe)
  }

  @Test func `what a permit holds is back when it is released, each time`() throws {
    let rig = Rig()
    for _ in 0..<100 {
      let permit = try rig.take()
      #expect(!rig.upstream.enter(max: 1))
      #expect(throws: Rejection.concurrencyLimited(max: 1)) { try rig.limiter.enter(isWrite: false, now: 0) }
      permit.release(now: 0)
      rig.expectNothingTaken()
    }
  }

  @Test func `a probe that ends without news lets the next one go at once`() throws {
    let rig = Rig()
    rig.openBreaker()
    for _ in 0..<3 {
      let permit = try rig.take(now: Self.second)
      #expect(rig.upstream.breakerPhase == .probing)
      permit.release(now: Self.second)
    }
    try rig.take(now: Self.second).release(now: Self.second)
    rig.upstream.succeeded()
    rig.expectNothingTaken()
  }

  @Test func `the first limit in order refuses`() throws {
    let rig = Rig(.shared(Self.oneOnly))
    rig.openBreaker()
    #expect(rig.upstream.enter(max: 1))
    #expect(rig.refusal()?.rejection == .instanceUnavailable(milliseconds: 1_000))
    // The breaker refused it, and it counts: the rate is of what the client sends.
    let budget = RateBudget(.all, quota: 1, windowSeconds: 1, resetSeconds: 1)
    #expect(rig.refusal()?.rejection == .rateLimited(budget))
    rig.upstream.succeeded()
    #expect(rig.refusal(now: Self.second)?.rejection == .instanceBusy)
  }

  @Test func `without limits all pass`() throws {
    let upstream = UpstreamState(BreakerBounds())
    for _ in 0..<3 {
      let first = try Permit.take(nil, upstream, concurrentMax: 0, isWrite: true, now: 0)
      let second = try Permit.take(nil, upstream, concurrentMax: 0, isWrite: true, now: 0)
      first.release(now: 0)
      second.release(now: 0)
    }
  }

  @Test func `a permit that is dropped traps`() async {
    await #expect(processExitsWith: .failure) {
      _ = try Permit.take(nil, UpstreamState(BreakerBounds()), concurrentMax: 1, isWrite: false, now: 0)
    }
  }
}
