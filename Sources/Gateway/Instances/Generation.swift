import Background
import Dispatch
import Policies
import System
import Upstream

/// A policy in force, with the state that the loops share under it. A reload replaces it; it never changes.
final class Generation: Sendable {
  /// The number of the policy since the start, from 1.
  let number: Int
  let policy: Policy
  let states: InstanceStates
  /// Of the whole process; carried from one generation to the next.
  let transfers: BackgroundTransfers
  /// Keeps the keys in use across restarts; nil: they are not kept.
  private let accepted: AcceptedKeys?
  /// Indexed by `ClientTable.limitsSlot`; nil for clients without limits.
  private let limiters: [ClientLimiter?]

  /// - Parameter previous: the generation in force until now: its budgets, breakers and keys carry over.
  init(_ policy: Policy, following previous: Generation?, _ accepted: AcceptedKeys? = nil) {
    self.accepted = accepted
    number = (previous?.number ?? 0) + 1
    self.policy = policy
    transfers = previous?.transfers ?? BackgroundTransfers()
    states = InstanceStates(policy, following: previous?.states, accepted, transfers)
    let now = SystemClock.nanoseconds
    let before = previous.map(Self.limitersByID) ?? [:]
    var limiters: [ClientLimiter?] = [nil]
    for index in policy.clients.indices where policy.clients.limitsSlot(of: index) > 0 {
      let limits = policy.clients.limits(of: index)
      let old = before[policy.clients.id(of: index)]
      limiters.append(old.flatMap { $0.has(limits) ? $0 : nil } ?? ClientLimiter(limits, following: old, now: now))
    }
    self.limiters = limiters
  }

  /// Runs after the last exchange under this generation has ended. Its members are freed right after it returns.
  deinit {
    Self.releases.asyncAfter(deadline: .now() + .milliseconds(100)) { releaseFreedMemory() }
  }

  /// Frees what is no longer in force. Not a global queue: Dispatch watches the threads of those through `/proc`, and ends
  /// the process where that is missing.
  static let releases = DispatchQueue(label: "releases")

  /// An instance has switched to another key.
  func keyChanged() { accepted?.changed(states) }

  @inline(__always)
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
