import Policies
import Upstream

/// What an admitted request holds of its client's and its instance's limits until it ends.
///
/// It is given back exactly once: `release` consumes it, and dropping one that was not released traps.
struct Permit: ~Copyable {
  /// The client's, where it has limits.
  private let limiter: ClientLimiter?
  /// The instance whose breaker waits for what becomes of this request.
  private var probed: UpstreamState?
  /// The instance among whose concurrent requests this one has a slot.
  private var occupied: UpstreamState?
  private var isReleased = false

  private init(_ limiter: ClientLimiter?) { self.limiter = limiter }

  deinit { precondition(isReleased, "a permit was dropped without being released") }

  /// Takes everything or, refused by one limit, nothing: the client's, then the instance's breaker and health, then its
  /// bound on concurrent requests.
  ///
  /// What a refused request took of a rate budget stays spent, as for any other request.
  ///
  /// - Parameters:
  ///   - limiter: the client's; nil: it has no limits.
  ///   - concurrentMax: requests under way at the instance; 0: no bound.
  ///   - now: monotonic nanoseconds.
  ///   - startProbe: called when nobody asks whether the instance is well again, and this request must not.
  static func take(
    _ limiter: ClientLimiter?, _ upstream: UpstreamState, concurrentMax: Int, isWrite: Bool, now: Int64,
    startProbe: () -> Void
  ) throws(Rejection) -> Permit {
    if let limiter { try limiter.enter(isWrite: isWrite, now: now) }
    var permit = Permit(limiter)
    do throws(Rejection) {
      try permit.enter(upstream, concurrentMax: concurrentMax, isWrite: isWrite, now: now, startProbe: startProbe)
    } catch {
      permit.release(now: now)
      throw error
    }
    return permit
  }

  private mutating func enter(
    _ upstream: UpstreamState, concurrentMax: Int, isWrite: Bool, now: Int64, startProbe: () -> Void
  ) throws(Rejection) {
    switch upstream.admit(isRead: !isWrite, now: now / 1_000_000) {
    case .pass: break
    case .probe: probed = upstream
    case .refuse(let milliseconds, let wantsProbe):
      if wantsProbe { startProbe() }
      throw .instanceUnavailable(milliseconds: milliseconds)
    }
    guard concurrentMax > 0 else { return }
    guard upstream.enter(max: concurrentMax) else { throw .instanceBusy }
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
  /// The step of admission behind `authorize`: what the request takes of its client's and its instance's limits.
  ///
  /// - Parameters:
  ///   - access: to the instance of `admission`.
  ///   - now: monotonic nanoseconds.
  ///   - startProbe: as of `Permit.take`.
  func limit(
    _ admission: Admission, _ access: InstanceAccess, now: Int64, startProbe: () -> Void
  ) throws(Rejection) -> Permit {
    try Permit.take(
      generation.limiter(of: admission.clientIndex), access.state, concurrentMax: access.concurrentMax,
      isWrite: admission.isWrite, now: now, startProbe: startProbe)
  }
}
