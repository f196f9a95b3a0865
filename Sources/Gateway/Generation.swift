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
    meters = policy.clients.map { client in
      guard !client.limits.isUnlimited else { return nil }
      let old = before[client.id.text]
      if let old, old.has(client.limits) { return old }
      return ClientMeter(client.limits, following: old)
    }
  }

  private static func metersByID(_ generation: Generation) -> [String: ClientMeter] {
    var meters: [String: ClientMeter] = [:]
    for (client, meter) in zip(generation.policy.clients, generation.meters) { meters[client.id.text] = meter }
    return meters
  }
}
