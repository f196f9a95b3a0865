import Background
import Policies
import Upstream

/// What all loops share of the instances of a policy, and the checks of their health.
final class InstanceStates: Sendable {
  /// In the order of `Policy.instances`.
  let states: [UpstreamState]
  private let policy: Policy
  /// The same over reloads, so that its bound holds for the process.
  private let probe: HealthProbe

  /// - Parameter previous: the states until now; that of an instance which is reached as before goes on.
  /// - Parameter accepted: which keys were in use before the start.
  init(_ policy: Policy, following previous: InstanceStates?, _ accepted: AcceptedKeys? = nil) {
    self.policy = policy
    probe = previous?.probe ?? HealthProbe()
    states = policy.instances.map { instance in
      guard let (old, state) = previous?.find(instance), old.url == instance.url else {
        return UpstreamState(BreakerBounds(instance.breaker), keyIndex: accepted?.index(of: instance) ?? 0)
      }
      guard InstanceIdentity(old) == InstanceIdentity(instance) else {
        let key = state.keyIndex < old.keys.count ? old.keys[state.keyIndex] : nil
        let index = key.flatMap { key in instance.keys.firstIndex { $0 == key } }
        return UpstreamState(BreakerBounds(instance.breaker), keyIndex: index ?? 0, following: state)
      }
      return state
    }
  }

  /// Of the instances that are not at the first of their keys.
  func keysInUse(_ mark: (Secret, Instance) -> String) -> [String: String] {
    var marks: [String: String] = [:]
    for (instance, state) in zip(policy.instances, states)
    where state.keyIndex > 0 && state.keyIndex < instance.keys.count {
      marks[instance.id.text] = mark(instance.keys[state.keyIndex], instance)
    }
    return marks
  }

  /// The instance with the same id.
  private func find(_ instance: Instance) -> (instance: Instance, state: UpstreamState)? {
    let id = instance.id.bytes
    return policy.directory.index(of: id.span).map { (policy.instances[Int($0)], states[Int($0)]) }
  }

  /// Asks one instance for its health, in place of a read that would do so: a write is never a probe.
  func probe(_ index: Int32, report: @escaping @Sendable (Bool) -> Void) {
    probe.ask(HealthTarget(policy.instances[Int(index)]), tell: report)
  }

  /// Begins the checks that the policy asks for, and puts back what earlier checks took out where it asks for none; those
  /// must have ended.
  ///
  /// - Parameter report: told in one line when an instance is taken out or put back.
  func beginChecks(report: @escaping @Sendable (String) -> Void) -> [HealthSchedule] {
    policy.instances.enumerated().compactMap { index, instance in
      let interval = instance.health.intervalMilliseconds
      guard interval > 0 else {
        if states[index].setDown(false) {
          report("instance \(instance.id.text): its health checks are switched off; it gets requests again")
        }
        return nil
      }
      var target = HealthTarget(instance)
      target.timeoutMilliseconds = min(target.timeoutMilliseconds, interval)
      let (state, name) = (states[index], instance.id.text)
      return probe.askRepeatedly(target, every: interval) { isWell in
        guard state.setDown(!isWell) else { return }
        report(
          "instance \(name): \(isWell ? "its health check succeeds again" : "its health check fails; it gets no requests")"
        )
      }
    }
  }
}

extension BreakerBounds {
  init(_ settings: BreakerSettings) {
    self.init(
      failuresMax: settings.failuresMax, openMilliseconds: Int64(settings.openMilliseconds),
      openMillisecondsMax: Int64(settings.openMillisecondsMax))
  }
}

extension HealthTarget {
  init(_ instance: Instance) {
    let settings = UpstreamSettings(instance, loops: 1)
    self.init(
      url: settings.url + instance.url.pathPrefix.dropFirst() + (instance.url.pathPrefix.isEmpty ? "health" : "/health")
    )
    authority = instance.tls.authority?.bytes
    certificate = instance.tls.certificate?.bytes
    key = instance.tls.key?.bytes
    connectTo = settings.connectTo
  }
}

/// What makes an instance another one for its breaker and its choice of key, beside its URL.
private struct InstanceIdentity: Equatable, Sendable {
  /// Indices of keys count in these.
  let keys: [Secret]
  let breaker: BreakerSettings

  init(_ instance: Instance) {
    keys = instance.keys
    breaker = instance.breaker
  }
}
