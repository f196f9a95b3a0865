import Policies
import Reactor
import System
import Upstream

/// The slots that an admitted request holds in the limits of its client and its instance, until it ends.
///
/// `release` consumes it and returns the slots. Dropping a permit that was not released traps.
struct Permit: ~Copyable {
  /// Why there is no permit. No slot is taken.
  struct Refusal: Error, Equatable {
    let rejection: Rejection
    /// A probe of the instance is due, and this request must not be it: the caller starts a health check.
    var wantsProbe = false
  }

  /// The client's limiter; nil: the client has no limits.
  private var limiter: ClientLimiter?
  /// The instance, if this request is the probe of its breaker.
  private var probed: UpstreamState?
  /// The instance, if this request has a slot among its concurrent requests.
  private var occupied: UpstreamState?
  private var isReleased = false

  private init() {}

  deinit { precondition(isReleased, "a permit was dropped without being released") }

  /// Takes all slots or none, in this order: the client's limits, the instance's breaker and health, its bound on
  /// concurrent requests.
  ///
  /// A request that a later limit refuses still counts against the rate budget.
  ///
  /// - Parameters:
  ///   - limiter: the client's limiter; nil: the client has no limits.
  ///   - concurrentMax: the bound on requests in flight to the instance; 0: no bound.
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
    case .reject(let milliseconds, let wantsProbe):
      throw Refusal(rejection: .instanceUnavailable(milliseconds: milliseconds), wantsProbe: wantsProbe)
    }
    guard concurrentMax > 0 else { return }
    guard upstream.takeSlot(max: concurrentMax) else { throw Refusal(rejection: .instanceBusy) }
    occupied = upstream
  }

  /// Returns all slots.
  ///
  /// - Parameter now: monotonic nanoseconds.
  consuming func release(now: Int64) {
    occupied?.releaseSlot()
    limiter?.leave()
    probed?.probeEnded(now: now / 1_000_000)
    isReleased = true
  }
}

extension Snapshot {
  /// The admission step after `authorize`: takes slots in the limits of the client and the instance.
  ///
  /// - Parameters:
  ///   - access: the instance of `admission`.
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

  /// Starts a health check of an instance, and reports the result to its breaker.
  private func probe(_ index: Int32) {
    let state = generation.states.states[Int(index)]
    generation.states.probe(index) { isHealthy in
      let now = MonotonicClock.nanoseconds / 1_000_000
      isHealthy ? state.succeeded() : state.failed(now: now, jitter: Double.random(in: 0..<1))
    }
  }
}
