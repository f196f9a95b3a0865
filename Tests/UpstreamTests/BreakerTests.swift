import Testing

@testable import Upstream

@Suite struct BreakerTests {
  private static let bounds = BreakerBounds(failuresMax: 3, openMilliseconds: 1_000, openMillisecondsMax: 8_000)

  @Test func `opens on consecutive failures only`() {
    var breaker = BreakerState()
    for _ in 0..<10 {
      breaker.failed(now: 0, jitter: 0, Self.bounds)
      breaker.failed(now: 0, jitter: 0, Self.bounds)
      breaker.succeeded()
    }
    #expect(breaker.admit(isRead: false, now: 0) == .pass)
    for _ in 0..<3 { breaker.failed(now: 0, jitter: 0, Self.bounds) }
    #expect(breaker.admit(isRead: true, now: 0) == .reject(milliseconds: 500, needsHealthCheck: false))
  }

  /// 1,000,000 is the largest value that a policy file may have.
  @Test(arguments: [1, 255, 256, 257, 1_000_000]) func `opens after exactly that many failures`(count: Int) {
    let state = UpstreamState(BreakerBounds(failuresMax: count))
    for _ in 1..<count { state.failed(now: 1, jitter: 0) }
    #expect(!state.isOpen)
    state.failed(now: 1, jitter: 0)
    #expect(state.isOpen)
  }

  @Test func `goes through one word and back as it is`() {
    var breaker = BreakerState()
    for now: Int64 in [0, 1, 1 << 47] {
      for _ in 0..<3 {
        breaker.failed(now: now, jitter: 0.5, Self.bounds)
        #expect(BreakerState(bits: breaker.bits) == breaker)
      }
      _ = breaker.admit(isRead: true, now: breaker.until)
      #expect(BreakerState(bits: breaker.bits) == breaker)
    }
  }

  @Test func `a state that follows another keeps its health and what is under way`() {
    let old = UpstreamState(Self.bounds)
    #expect(old.setDown(true) && old.takeSlot(max: 1))
    let new = UpstreamState(Self.bounds, following: old)
    #expect(new.failsHealthChecks && !new.takeSlot(max: 1))
    old.releaseSlot()
    #expect(new.takeSlot(max: 1))
  }

  @Test func `admits one read after its pause, and no write`() {
    var reading = Self.open(at: 0)
    #expect(reading.admit(isRead: true, now: 499) == .reject(milliseconds: 1, needsHealthCheck: false))
    #expect(reading.admit(isRead: true, now: 500) == .probe)
    #expect(reading.admit(isRead: true, now: 501) == .reject(milliseconds: 29_999, needsHealthCheck: false))
    var writing = Self.open(at: 0)
    #expect(writing.admit(isRead: false, now: 500) == .reject(milliseconds: 1_000, needsHealthCheck: true))
    #expect(writing.admit(isRead: false, now: 501) == .reject(milliseconds: 29_999, needsHealthCheck: false))
  }

  @Test func `a probe that succeeds closes it, one that is lost is followed by another`() {
    var breaker = Self.open(at: 0)
    #expect(breaker.admit(isRead: true, now: 1_000) == .probe)
    #expect(breaker.admit(isRead: true, now: 1_000 + BreakerState.probeMilliseconds) == .probe)
    breaker.succeeded()
    #expect(breaker.admit(isRead: false, now: 40_000) == .pass)
  }

  @Test func `a probe without a result allows the next one`() {
    var breaker = Self.open(at: 0)
    #expect(breaker.admit(isRead: true, now: 500) == .probe)
    breaker.probeEnded(now: 600)
    #expect(breaker.admit(isRead: true, now: 600) == .probe)
    breaker.succeeded()
    breaker.probeEnded(now: 700)
    #expect(breaker.admit(isRead: false, now: 700) == .pass)
  }

  @Test func `its pauses double up to the bound, with jitter in their second half`() {
    for jitter in [0, 0.5, 0.999] {
      var breaker = Self.open(at: 0, jitter: jitter)
      var now: Int64 = 0
      for pause: Int64 in [1_000, 2_000, 4_000, 8_000, 8_000, 8_000] {
        let length = breaker.until - now
        #expect(length == pause / 2 + Int64(Double(pause / 2) * jitter))
        now = breaker.until
        #expect(breaker.admit(isRead: true, now: now) == .probe)
        breaker.failed(now: now, jitter: jitter, Self.bounds)
      }
    }
  }

  @Test func `never opens with 0 failures allowed`() {
    var breaker = BreakerState()
    for _ in 0..<1_000 { breaker.failed(now: 0, jitter: 0, BreakerBounds(failuresMax: 0)) }
    #expect(breaker.admit(isRead: true, now: 0) == .pass)
  }

  @Test func `one word holds all of it`() {
    var breaker = BreakerState()
    var now: Int64 = 1 << 40
    for _ in 0..<10_000 {
      now += Int64.random(in: 0..<2_000)
      switch Int.random(in: 0..<4) {
      case 0: breaker.succeeded()
      case 1: _ = breaker.admit(isRead: Bool.random(), now: now)
      default: breaker.failed(now: now, jitter: Double.random(in: 0..<1), Self.bounds)
      }
      #expect(BreakerState(bits: breaker.bits) == breaker)
    }
  }

  private static func open(at now: Int64, jitter: Double = 0) -> BreakerState {
    var breaker = BreakerState()
    for _ in 0..<3 { breaker.failed(now: now, jitter: jitter, bounds) }
    return breaker
  }
}

@Suite struct UpstreamStateTests {
  @Test func `a refused key is replaced by the next one, at most once in 10 s`() {
    let state = UpstreamState(BreakerBounds())
    #expect(state.keyIndex == 0)
    #expect(state.switchKey(from: 0, of: 3, now: 5_000) && state.keyIndex == 1)
    // Another loop's news of the old key.
    #expect(state.switchKey(from: 0, of: 3, now: 5_001) && state.keyIndex == 1)
    #expect(!state.switchKey(from: 1, of: 3, now: 14_999) && state.keyIndex == 1)
    #expect(state.switchKey(from: 1, of: 3, now: 15_000) && state.keyIndex == 2)
    #expect(state.switchKey(from: 2, of: 3, now: 25_000) && state.keyIndex == 0)
  }

  @Test func `a single key has no other`() {
    let state = UpstreamState(BreakerBounds())
    #expect(!state.switchKey(from: 0, of: 1, now: 5_000) && state.keyIndex == 0)
  }

  @Test func `concurrent requests are limited`() {
    let state = UpstreamState(BreakerBounds())
    #expect(state.takeSlot(max: 2) && state.takeSlot(max: 2) && !state.takeSlot(max: 2))
    state.releaseSlot()
    #expect(state.takeSlot(max: 2) && !state.takeSlot(max: 2))
  }

  @Test func `an upstream that is down gets nothing until it is up again`() {
    let state = UpstreamState(BreakerBounds())
    #expect(state.setDown(true) && !state.setDown(true))
    #expect(state.admit(isRead: true, now: 0) == .reject(milliseconds: 1_000, needsHealthCheck: false))
    #expect(state.setDown(false) && state.admit(isRead: true, now: 0) == .pass)
  }
}
