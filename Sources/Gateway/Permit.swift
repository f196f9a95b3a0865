import Policies
import Reactor
import System
import Upstream

/// What an admitted request holds of its client's and its instance's limits until it ends.
///
/// It is given back exactly once: `release` consumes it, and dropping one that was not released traps.
struct Permit: ~Copyable {
  /// Why there is none; nothing stays taken.
  struct Refusal: Error, Equatable {
    let rejection: Rejection
    /// Nobody asks whether the instance is well again, and this request must not: a health check has to.
    var wantsProbe = false
  }

  /// The client's, where it has limits.
  private var limiter: ClientLimiter?
  /// The instance whose breaker waits for what becomes of this request.
  private var probed: UpstreamState?
  /// The instance among whose concurrent requests this one has a slot.
  private var occupied: UpstreamState?
  private var isReleased = false

  private init() {}

  deinit { precondition(isReleased, "a permit was dropped without being released") }

  /// Takes everything or nothing, in this order: the client's limits, the instance's breaker and health, its bound on
  /// concurrent requests.
  ///
  /// What a request takes of a rate budget stays spent when a later limit refuses it.
  ///
  /// - Parameters:
  ///   - limiter: the client's; nil: it has no limits.
  ///   - concurrentMax: requests under way at the instance; 0: no bound.
  ///   - now: monotonic nanoseconds.
  static func take(
    _ limiter: consuming ClientLimiter?, _ upstream: UpstreamState, concurrentMax: Int, isWrite: Bool, now: Int64
  ) throws(Refusal) -> Permit {
    var permit = Permit()
    do throws(Refusal) {
      try permit.enter(limiter, isWrite: isWrite, now: now)
      try permit.enter(upstream, concurrentMax: concurrentMax, isWrite: isWrite, now: now)
    } catch {
      permit.release(now: now)
      throw error
    }
    return permit
  }

  @inline(__always)
  private mutating func enter(_ limiter: consuming ClientLimiter?, isWrite: Bool, now: Int64) throws(Refusal) {
    do throws(Rejection) {
      try limiter?.enter(isWrite: isWrite, now: now)
    } catch {
      throw Refusal(rejection: error)
    }
    self.limiter = limiter
  }

  @inline(__always)
  private mutating func enter(
    _ upstream: UpstreamState, concurrentMax: Int, isWrite: Bool, now: Int64
  ) throws(Refusal) {
    switch upstream.admit(isRead: !isWrite, now: now / 1_000_000) {
    case .pass: break
    case .probe: probed = upstream
    case .refuse(let milliseconds, let wantsProbe):
      throw Refusal(rejection: .instanceUnavailable(milliseconds: milliseconds), wantsProbe: wantsProbe)
    }
    guard concurrentMax > 0 else { return }
    guard upstream.enter(max: concurrentMax) else { throw Refusal(rejection: .instanceBusy) }
    occupied = upstream
  }

  /// Gives everything back.
  ///
  /// - Parameter now: monotonic nanoseconds.
  consuming func release(now: Int64) {
    occupied?.leave()
    limiter?.leave()
    probed?.probeEnded(now: now / 1_000_000)
    isReleased = true
  }
}

extension Snapshot {
  /// The step of admission behind `authorize`: takes what the request needs of its client's and its instance's limits.
  ///
  /// - Parameters:
  ///   - access: to the instance of `admission`.
  ///   - now: monotonic nanoseconds.
  func limit(_ admission: Admission, _ access: InstanceAccess, now: Int64) throws(Rejection) -> Permit {
    do throws(Permit.Refusal) {
      return try Permit.take(
        generation.limiter(of: admission.clientIndex), access.state, concurrentMax: access.concurrentMax,
        isWrite: admission.isWrite, now: now)
    } catch {
      if error.wantsProbe { probe(admission.instanceIndex) }
      throw error.rejection
    }
  }

  /// Asks an instance for its health, and tells its breaker.
  private func probe(_ index: Int32) {
    let state = generation.states.states[Int(index)]
    generation.states.probe(index) { isWell in
      let now = MonotonicClock.nanoseconds / 1_000_000
      isWell ? state.succeeded() : state.failed(now: now, jitter: Double.random(in: 0..<1))
    }
  }
}
