import Policies
import Upstream

/// One loop's own box of one policy generation, with what stands ready of each instance.
///
/// Each loop has its own, so that holding it costs no shared counter.
final class Snapshot {
  let policy: Policy
  private var accesses: [InstanceAccess?]
  private let makePool: (Instance) -> Pool

  init(policy: Policy, makePool: @escaping (Instance) -> Pool) {
    self.policy = policy
    self.makePool = makePool
    accesses = Array(repeating: nil, count: policy.instances.count)
  }

  /// How to reach an instance; made at its first request.
  func access(to index: Int32) -> InstanceAccess {
    if let access = accesses[Int(index)] { return access }
    let instance = policy.instances[Int(index)]
    let access = InstanceAccess(instance, pool: makePool(instance))
    accesses[Int(index)] = access
    return access
  }
}

/// A loop's way to one instance.
final class InstanceAccess {
  let route: UpstreamRoute
  let timeouts: InstanceTimeouts
  let pool: Pool

  init(_ instance: Instance, pool: Pool) {
    route = UpstreamRoute(instance)
    timeouts = instance.timeouts
    self.pool = pool
  }
}

extension UpstreamRoute {
  init(_ instance: Instance) {
    pathPrefix = Array(instance.url.pathPrefix.utf8)
    hostAndKeyLines =
      Array("Host: \(instance.url.authority)\r\nX-Blnk-Key: ".utf8) + instance.keys[0].reveal() + Array("\r\n".utf8)
  }
}

extension UpstreamSettings {
  /// A loop's share of an instance's bounds.
  init(_ instance: Instance, loops: Int) {
    self.init(isSecure: instance.url.isTLS, host: instance.url.host, port: instance.url.port)
    tls = TLS(
      authorityFile: instance.tls.caFile, certificateFile: instance.tls.certificateFile, keyFile: instance.tls.keyFile,
      serverName: instance.tls.serverName)
    connectionsMax = (instance.limits.connectionsMax + loops - 1) / loops
    waitersMax = (instance.limits.queueMax + loops - 1) / loops
    connectMilliseconds = Int64(instance.timeouts.connectMilliseconds)
    idleMilliseconds = Int64(instance.timeouts.poolIdleMilliseconds)
    ageMilliseconds = Int64(instance.timeouts.poolAgeMilliseconds)
  }
}
