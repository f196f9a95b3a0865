import Policies
import Upstream

/// One policy in force, with what its loops share: replaced whole, never changed.
final class Generation: Sendable {
  /// Counts the policies since the start, from 1.
  let number: Int
  let policy: Policy
  let states: InstanceStates
  /// By `ClientTable.limitsPlace`; nil for clients without limits.
  private let meters: [ClientMeter?]

  /// - Parameter previous: what was in force until now: budgets, breakers and keys go on.
  init(_ policy: Policy, following previous: Generation?) {
    number = (previous?.number ?? 0) + 1
    self.policy = policy
    states = InstanceStates(policy, following: previous?.states)
    let before = previous.map(Self.metersByID) ?? [:]
    var meters: [ClientMeter?] = [nil]
    for index in policy.clients.indices where policy.clients.limitsPlace(of: index) > 0 {
      let limits = policy.clients.limits(of: index)
      let old = before[policy.clients.id(of: index)]
      meters.append(old.flatMap { $0.has(limits) ? $0 : nil } ?? ClientMeter(limits, following: old))
    }
    self.meters = meters
  }

  func meter(of clientIndex: Int32) -> ClientMeter? { meters[policy.clients.limitsPlace(of: Int(clientIndex))] }

  private static func metersByID(_ generation: Generation) -> [ArraySlice<UInt8>: ClientMeter] {
    var meters: [ArraySlice<UInt8>: ClientMeter] = [:]
    for index in generation.policy.clients.indices {
      if let meter = generation.meter(of: Int32(index)) { meters[generation.policy.clients.id(of: index)] = meter }
    }
    return meters
  }
}
