import Policies
import Reactor
import System
import Upstream

/// The slots that an admitted request holds in the limits of its client and its instance, until it ends.
///
/// `release` consumes it and returns the slots. Dropping a permit that was not released traps.
struct Permit: ~Copyable {
  /// Why there is no permit. No slot is taken.
  struct LimitRejection: Error, Equatable {
    let rejection: Rejection
    /// A probe is due, but this request may not serve as the probe, so the caller must start a health check.
    var needsHealthCheck = false
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
  /// A request that a later limit rejects still counts against the rate budget.
  ///
  /// - Parameters:
  ///   - limiter: the client's limiter; nil: the client has no limits.
  ///   - concurrentMax: the bound on requests in flight to the instance; 0: no bound.
  ///   - now: monotonic nanoseconds.
  static func take(
    _ limiter: consuming ClientLimiter?, _ upstream: UpstreamState, concurrentMax: Int, isWrite: Bool, now: Int64
  ) throws(LimitRejection) -> Permit {
    var permit = Permit()
    do throws(LimitRejection) {
      try permit.enter(limiter, isWrite: isWrite, now: now)
      try permit.enter(upstream, concurrentMax: concurrentMax, isWrite: isWrite, now: now)
    } catch {
      permit.release(now: now)
      throw error
    }
    return permit
  }

  @inline(__always)
  private mutating func enter(_ limiter: consuming ClientLimiter?, isWrite: Bool, now: Int64) throws(LimitRejection) {
    do throws(Rejection) {
      try limiter?.enter(isWrite: isWrite, now: now)
    } catch {
      throw LimitRejection(rejection: error)
    }
    self.limiter = limiter
  }

  @inline(__always)
  private mutating func enter(
    _ upstream: UpstreamState, concurrentMax: Int, isWrite: Bool, now: Int64
  ) throws(LimitRejection) {
    switch upstream.admit(isRead: !isWrite, now: now / 1_000_000) {
    case .pass: break
    case .probe: probed = upstream
    case .reject(let milliseconds, let needsHealthCheck):
      throw LimitRejection(
        rejection: .instanceUnavailable(milliseconds: milliseconds), needsHealthCheck: needsHealthCheck)
    }
    guard concurrentMax > 0 else { return }
    guard upstream.takeSlot(max: concurrentMax) else { throw LimitRejection(rejection: .instanceBusy) }
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
    do throws(Permit.LimitRejection) {
      return try Permit.take(
        generation.limiter(of: admission.clientIndex), access.state, concurrentMax: access.concurrentMax,
        isWrite: admission.isWrite, now: now)
    } catch {
      if error.needsHealthCheck { checkHealth(of: admission.instanceIndex) }
      throw error.rejection
    }
  }

  /// Starts a health check of an instance, and reports the result to its breaker.
  private func checkHealth(of index: Int32) {
    let state = generation.states.states[Int(index)]
    generation.states.checkHealth(of: index) { isHealthy in
      let now = SystemClock.nanoseconds / 1_000_000
      isHealthy ? state.succeeded() : state.failed(now: now, jitter: Double.random(in: 0..<1))
    }
  }
}
