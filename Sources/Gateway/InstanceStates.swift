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
  init(_ policy: Policy, following previous: InstanceStates?) {
    self.policy = policy
    probe = previous?.probe ?? HealthProbe()
    states = policy.instances.map { instance in
      guard let (old, state) = previous?.find(instance), old.url == instance.url else {
        return UpstreamState(BreakerBounds(instance.breaker))
      }
      guard InstanceIdentity(old) == InstanceIdentity(instance) else {
        return UpstreamState(BreakerBounds(instance.breaker), following: state)
      }
      return state
    }
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
    authorityFile = instance.tls.caFile
    certificateFile = instance.tls.certificateFile
    keyFile = instance.tls.keyFile
    connectTo = settings.connectTo
  }
}

/// What makes an instance another one for its breaker and its choice of key, beside its URL.
private struct InstanceIdentity: Equatable, Sendable {
  let keyCount: Int
  let breaker: BreakerSettings

  init(_ instance: Instance) {
    keyCount = instance.keys.count
    breaker = instance.breaker
  }
}
