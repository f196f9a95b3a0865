import Testing
import Upstream

@testable import Gateway
@testable import Policies

/// What a request takes from the limits is returned exactly once, whichever limit rejects it.
@Suite struct PermitTests {
  private static let second: Int64 = 1_000_000_000
  private static let oneOnly = RateLimit(requestsPerSecond: 1, burst: 1)

  /// A client and an instance, each limited to one concurrent request.
  private struct Rig {
    let limiter: ClientLimiter
    let upstream = UpstreamState(BreakerBounds(failuresMax: 1, openMilliseconds: 1_000))

    init(_ rates: ClientLimits.Rates = .unlimited) {
      limiter = ClientLimiter(ClientLimits(rates: rates, concurrentMax: 1), following: nil, now: 0)
    }

    func take(isWrite: Bool = false, now: Int64 = 0) throws(Permit.LimitRejection) -> Permit {
      try Permit.take(limiter, upstream, concurrentMax: 1, isWrite: isWrite, now: now)
    }

    func limitRejection(isWrite: Bool = false, now: Int64 = 0) -> Permit.LimitRejection? {
      do throws(Permit.LimitRejection) {
        try take(isWrite: isWrite, now: now).release(now: now)
        return nil
      } catch {
        return error
      }
    }

    /// Opens the breaker at time 0; a probe is allowed after a second at most.
    func openBreaker() { upstream.failed(now: 0, jitter: 1) }

    func expectNothingTaken() {
      #expect(throws: Never.self) { try limiter.enter(isWrite: false, now: 0) }
      limiter.leave()
      #expect(upstream.takeSlot(max: 1))
      upstream.releaseSlot()
    }
  }

  @Test func `an exhausted rate takes nothing`() throws {
    let rig = Rig(.separate(read: nil, write: Self.oneOnly))
    #expect(rig.limitRejection(isWrite: true) == nil)
    let budget = RateBudget(.write, quota: 1, windowSeconds: 1, resetSeconds: 1)
    #expect(rig.limitRejection(isWrite: true) == Permit.LimitRejection(rejection: .rateLimited(budget)))
    rig.expectNothingTaken()
  }

  @Test func `a client at its concurrency limit gets no further request, and takes nothing from the instance`() throws {
    let rig = Rig()
    let permit = try rig.take()
    #expect(rig.limitRejection() == Permit.LimitRejection(rejection: .concurrencyLimited(max: 1)))
    permit.release(now: 0)
    rig.expectNothingTaken()
  }

  @Test func `an open breaker returns the client's slot`() throws {
    let rig = Rig()
    rig.openBreaker()
    #expect(rig.limitRejection() == Permit.LimitRejection(rejection: .instanceUnavailable(milliseconds: 1_000)))
    rig.expectNothingTaken()
  }

  @Test func `a failing health check returns the client's slot`() throws {
    let rig = Rig()
    _ = rig.upstream.setDown(true)
    #expect(rig.limitRejection() == Permit.LimitRejection(rejection: .instanceUnavailable(milliseconds: 1_000)))
    rig.expectNothingTaken()
  }

  @Test func `a write at a breaker that is due requests a probe once, and takes nothing`() throws {
    let rig = Rig()
    rig.openBreaker()
    let rejection = Rejection.instanceUnavailable(milliseconds: 1_000)
    let limitRejection = rig.limitRejection(isWrite: true, now: Self.second)
    #expect(limitRejection == Permit.LimitRejection(rejection: rejection, needsHealthCheck: true))
    #expect(rig.limitRejection(isWrite: true, now: Self.second)?.needsHealthCheck == false)
    rig.expectNothingTaken()
  }

  @Test func `an instance at its concurrency limit returns the client's slot`() throws {
    let rig = Rig()
    #expect(rig.upstream.takeSlot(max: 1))
    #expect(rig.limitRejection() == Permit.LimitRejection(rejection: .instanceBusy))
    rig.upstream.releaseSlot()
    rig.expectNothingTaken()
  }

  @Test func `a probe that finds no slot allows the next one immediately`() throws {
    let rig = Rig()
    rig.openBreaker()
    #expect(rig.upstream.takeSlot(max: 1))
    #expect(rig.limitRejection(now: Self.second) == Permit.LimitRejection(rejection: .instanceBusy))
    rig.upstream.releaseSlot()
    rig.expectNothingTaken()
    #expect(rig.upstream.admit(isRead: true, now: 1_000) == .probe)
  }

  @Test func `releasing a permit returns everything it holds, each time`() throws {
    let rig = Rig()
    for _ in 0..<100 {
      let permit = try rig.take()
      #expect(!rig.upstream.takeSlot(max: 1))
      #expect(throws: Rejection.concurrencyLimited(max: 1)) { try rig.limiter.enter(isWrite: false, now: 0) }
      permit.release(now: 0)
      rig.expectNothingTaken()
    }
  }

  @Test func `a probe that ends without a result allows the next one immediately`() throws {
    let rig = Rig()
    rig.openBreaker()
    for _ in 0..<3 {
      let permit = try rig.take(now: Self.second)
      #expect(rig.upstream.breakerPhase == .halfOpen)
      permit.release(now: Self.second)
    }
    try rig.take(now: Self.second).release(now: Self.second)
    rig.upstream.succeeded()
    rig.expectNothingTaken()
  }

  @Test func `the first exceeded limit rejects the request`() throws {
    let rig = Rig(.shared(Self.oneOnly))
    rig.openBreaker()
    #expect(rig.upstream.takeSlot(max: 1))
    #expect(rig.limitRejection()?.rejection == .instanceUnavailable(milliseconds: 1_000))
    // The breaker rejected it, and it still counts: the rate limits what the client sends.
    let budget = RateBudget(.all, quota: 1, windowSeconds: 1, resetSeconds: 1)
    #expect(rig.limitRejection()?.rejection == .rateLimited(budget))
    rig.upstream.succeeded()
    #expect(rig.limitRejection(now: Self.second)?.rejection == .instanceBusy)
  }

  @Test func `without limits every request passes`() throws {
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
