import Background
import Policies
import Upstream

/// What all loops share of the instances of a policy, and the checks of their health.
final class InstanceStates: Sendable {
  /// In the order of `Policy.instances`.
  let states: [UpstreamState]
  private let targets: [HealthTarget]
  private let byID: [String: (identity: InstanceIdentity, state: UpstreamState)]
  private let probe = HealthProbe()

  /// - Parameter previous: the states until now; that of an instance which is reached as before goes on.
  init(_ policy: Policy, following previous: InstanceStates?) {
    let before = previous?.byID ?? [:]
    let identities = policy.instances.map(InstanceIdentity.init)
    states = zip(policy.instances, identities).map { instance, identity in
      before[instance.id.text].flatMap { $0.identity == identity ? $0.state : nil }
        ?? UpstreamState(BreakerBounds(instance.breaker))
    }
    byID = Dictionary(
      uniqueKeysWithValues: zip(zip(policy.instances, identities), states).map { ($0.0.id.text, ($0.1, $1)) })
    targets = policy.instances.map { HealthTarget($0) }
  }

  /// Asks one instance for its health, in place of a read that would do so: a write is never a probe.
  func probe(_ index: Int32, report: @escaping @Sendable (Bool) -> Void) {
    probe.ask(targets[Int(index)], tell: report)
  }

  /// Begins the checks that the policy asks for; they end when the result is let go of.
  ///
  /// - Parameter report: told in one line when an instance is taken out or put back.
  func beginChecks(_ policy: Policy, report: @escaping @Sendable (String) -> Void) -> [HealthSchedule] {
    policy.instances.enumerated().compactMap { index, instance in
      let interval = instance.health.intervalMilliseconds
      guard interval > 0 else { return nil }
      var target = targets[index]
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

/// What makes an instance another one for its breaker and its choice of key.
private struct InstanceIdentity: Equatable, Sendable {
  let url: InstanceURL
  let keyCount: Int
  let breaker: BreakerSettings

  init(_ instance: Instance) {
    url = instance.url
    keyCount = instance.keys.count
    breaker = instance.breaker
  }
}
