import Background
import Policies
import Upstream

/// The state of a policy's instances that all loops share, and their health checks.
final class InstanceStates: Sendable {
  /// In the order of `Policy.instances`.
  let states: [UpstreamState]
  private let policy: Policy
  /// Kept across reloads, so that its bound holds for the whole process.
  private let prober: HealthProber

  /// - Parameters:
  ///   - previous: the states until now. An instance with the same URL keeps its health; if its keys and breaker
  ///     settings are also the same, it keeps its whole state.
  ///   - accepted: the keys in use before the start.
  init(
    _ policy: Policy, following previous: InstanceStates?, _ accepted: AcceptedKeys?, _ transfers: BackgroundTransfers
  ) {
    self.policy = policy
    prober = previous?.prober ?? HealthProber(transfers)
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

  /// The fingerprints of the keys in use, of instances that do not use their first key.
  func keysInUse(_ fingerprint: (Secret, Instance) -> String) -> [String: String] {
    var fingerprints: [String: String] = [:]
    for (instance, state) in zip(policy.instances, states)
    where state.keyIndex > 0 && state.keyIndex < instance.keys.count {
      fingerprints[instance.id.text] = fingerprint(instance.keys[state.keyIndex], instance)
    }
    return fingerprints
  }

  /// The instance with the same id, and its state.
  private func find(_ instance: Instance) -> (instance: Instance, state: UpstreamState)? {
    let id = instance.id.bytes
    return policy.directory.index(of: id.span).map { (policy.instances[Int($0)], states[Int($0)]) }
  }

  /// Starts a health check in place of a breaker probe, when a probe is due but the request is a write.
  func checkHealth(of index: Int32, report: @escaping @Sendable (Bool) -> Void) {
    prober.probe(HealthEndpoint(policy.instances[Int(index)]), completion: report)
  }

  /// Starts the health checks that the policy configures. An instance without one is healthy from now on; earlier
  /// checks must have ended.
  ///
  /// - Parameter report: receives one line when an instance becomes healthy or unhealthy.
  func beginChecks(report: @escaping @Sendable (String) -> Void) -> [HealthSchedule] {
    policy.instances.enumerated().compactMap { index, instance in
      let interval = instance.health.intervalMilliseconds
      guard interval > 0 else {
        if states[index].setDown(false) {
          report("instance \(instance.id.text): health checks are off; it receives requests again")
        }
        return nil
      }
      var endpoint = HealthEndpoint(instance)
      endpoint.timeoutMilliseconds = min(endpoint.timeoutMilliseconds, interval)
      let (state, name) = (states[index], instance.id.text)
      return prober.schedule(endpoint, everyMilliseconds: interval) { isHealthy in
        guard state.setDown(!isHealthy) else { return }
        report(
          isHealthy
            ? "instance \(name): health check succeeds again; it receives requests"
            : "instance \(name): health check fails; it receives no requests until the check succeeds"
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

extension HealthEndpoint {
  init(_ instance: Instance) {
    let settings = UpstreamSettings(instance, loops: 1)
    self.init(
      url: settings.url + instance.url.pathPrefix.dropFirst() + (instance.url.pathPrefix.isEmpty ? "health" : "/health")
    )
    caBundle = instance.tls.caBundle?.bytes
    certificate = instance.tls.certificate?.bytes
    key = instance.tls.key?.bytes
    connectTo = settings.connectTo
  }
}

/// What must be unchanged, besides the URL, for an instance to keep its breaker and its key index.
private struct InstanceIdentity: Equatable, Sendable {
  /// The list that the key index refers to.
  let keys: [Secret]
  let breaker: BreakerSettings

  init(_ instance: Instance) {
    keys = instance.keys
    breaker = instance.breaker
  }
}
