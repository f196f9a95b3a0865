import Policies
import Upstream

/// One policy in force, with what its loops share: replaced whole, never changed.
final class Generation: Sendable {
  /// Counts the policies since the start, from 1.
  let number: Int
  let policy: Policy
  let states: InstanceStates
  /// In the order of `Policy.clients`; nil for clients without limits.
  let meters: [ClientMeter?]

  /// - Parameter previous: what was in force until now: budgets, breakers and keys go on.
  init(_ policy: Policy, following previous: Generation?) {
    number = (previous?.number ?? 0) + 1
    self.policy = policy
    states = InstanceStates(policy, following: previous?.states)
    let before = previous.map(Self.metersByID) ?? [:]
    meters = policy.clients.indices.map { index in
      let limits = policy.clients.limits(of: index)
      guard !limits.isUnlimited else { return nil }
      let old = before[policy.clients.id(of: index)]
      if let old, old.has(limits) { return old }
      return ClientMeter(limits, following: old)
    }
  }

  private static func metersByID(_ generation: Generation) -> [ArraySlice<UInt8>: ClientMeter] {
    var meters: [ArraySlice<UInt8>: ClientMeter] = [:]
    for (index, meter) in generation.meters.enumerated() {
      if let meter { meters[generation.policy.clients.id(of: index)] = meter }
    }
    return meters
  }
}
