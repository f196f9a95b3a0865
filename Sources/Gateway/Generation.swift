import Dispatch
import Policies
import System
import Upstream

/// One policy in force, with what its loops share: replaced whole, never changed.
final class Generation: Sendable {
  /// Counts the policies since the start, from 1.
  let number: Int
  let policy: Policy
  let states: InstanceStates
  /// Where the choice of keys is kept over a restart; nil: nowhere.
  private let accepted: AcceptedKeys?
  /// By `ClientTable.limitsSlot`; nil for clients without limits.
  private let limiters: [ClientLimiter?]

  /// - Parameter previous: what was in force until now: budgets, breakers and keys go on.
  init(_ policy: Policy, following previous: Generation?, _ accepted: AcceptedKeys? = nil) {
    self.accepted = accepted
    number = (previous?.number ?? 0) + 1
    self.policy = policy
    states = InstanceStates(policy, following: previous?.states, accepted)
    let now = MonotonicClock.nanoseconds
    let before = previous.map(Self.limitersByID) ?? [:]
    var limiters: [ClientLimiter?] = [nil]
    for index in policy.clients.indices where policy.clients.limitsSlot(of: index) > 0 {
      let limits = policy.clients.limits(of: index)
      let old = before[policy.clients.id(of: index)]
      limiters.append(old.flatMap { $0.has(limits) ? $0 : nil } ?? ClientLimiter(limits, following: old, now: now))
    }
    self.limiters = limiters
  }

  /// It goes once the last exchange under it has ended, most often at once; what it held goes right behind this.
  deinit {
    DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(100)) { giveBackFreedMemory() }
  }

  /// An instance has gone on to another of its keys.
  func keyChanged() { accepted?.changed(states) }

  func limiter(of clientIndex: Int32) -> ClientLimiter? { limiters[policy.clients.limitsSlot(of: Int(clientIndex))] }

  private static func limitersByID(_ generation: Generation) -> [ArraySlice<UInt8>: ClientLimiter] {
    var limiters: [ArraySlice<UInt8>: ClientLimiter] = [:]
    for index in generation.policy.clients.indices {
      if let limiter = generation.limiter(of: Int32(index)) {
        limiters[generation.policy.clients.id(of: index)] = limiter
      }
    }
    return limiters
  }
}
