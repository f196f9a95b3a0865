/// One Blnk Core and how it is reached: an entry of `instances.json`.
package struct Instance: Sendable {
  package let id: InstanceID
  package let url: InstanceURL
  /// 1 to 8; the one to try first at the front.
  package let keys: [Secret]
  /// false: maintenance.
  package let acceptsWrites: Bool
  /// Properties that few instances have; one reference, because there can be very many instances.
  private var uncommon: UncommonProperties?
  /// Read-only or misconfigured; misconfigured instances have `acceptsWrites == false`.
  var isRestricted: Bool { !acceptsWrites }
  /// Shared by instances with equal options, as most have: a large part of an instance's memory.
  let options: SharedInstanceOptions

  init(
    id: InstanceID, url: InstanceURL, keys: [Secret], acceptsWrites: Bool, fault: String? = nil,
    isMisconfigured: Bool = false, options: SharedInstanceOptions, hosts: [HostName] = []
  ) {
    self.id = id
    self.url = url
    self.keys = keys
    self.acceptsWrites = acceptsWrites
    self.options = options
    uncommon = UncommonProperties(fault: fault, isMisconfigured: isMisconfigured, hosts: hosts)
  }

  /// The error in its current definition, which is therefore not in force; nil: none.
  package var fault: String? {
    get { uncommon?.fault }
    set { uncommon = UncommonProperties(fault: newValue, isMisconfigured: isMisconfigured, hosts: hosts) }
  }

  /// Whether it never had a valid definition: the gateway rejects each request to it.
  package var isMisconfigured: Bool { uncommon?.isMisconfigured ?? false }

  /// Hosts that name it instead of its id; each belongs to one instance only.
  var hosts: [HostName] { uncommon?.hosts ?? [] }

  /// Whether Core is asked about keyed writes of unknown outcome.
  package var reconciles: Bool { options.value.reconciles }
  package var tls: TLSSettings { options.value.tls }
  package var limits: InstanceLimits { options.value.limits }
  package var timeouts: InstanceTimeouts { options.value.timeouts }
  package var health: HealthSettings { options.value.health }
  package var breaker: BreakerSettings { options.value.breaker }
}

private final class UncommonProperties: Sendable {
  let fault: String?
  let isMisconfigured: Bool
  let hosts: [HostName]

  /// nil if all of them have their usual values.
  init?(fault: String?, isMisconfigured: Bool, hosts: [HostName]) {
    guard fault != nil || isMisconfigured || !hosts.isEmpty else { return nil }
    self.fault = fault
    self.isMisconfigured = isMisconfigured
    self.hosts = hosts
  }
}

/// The options of an instance's entry.
struct InstanceOptions: Hashable, Sendable {
  var tls = TLSSettings()
  var limits = InstanceLimits()
  var timeouts = InstanceTimeouts()
  var health = HealthSettings()
  var breaker = BreakerSettings()
  var reconciles = false
}

extension Instance {
  /// An instance without a valid definition so far.
  init(misconfigured id: InstanceID, _ fault: String) {
    self.init(
      id: id, url: .unknown, keys: [], acceptsWrites: false, fault: fault, isMisconfigured: true,
      options: SharedInstanceOptions(InstanceOptions()))
  }
}

final class SharedInstanceOptions: Sendable {
  let value: InstanceOptions

  init(_ value: InstanceOptions) { self.value = value }
}

/// PEM files, and the server name to send and to verify. nil: the system's authorities, no certificate, the URL's host.
package struct TLSSettings: Hashable, Sendable {
  package var caBundle: PEMFile?
  package var certificate: PEMFile?
  package var key: PEMFile?
  package var serverName: String?
}

/// Limits for all loops together.
package struct InstanceLimits: Hashable, Sendable {
  package var connectionsMax = 64
  /// The fraction of the connections that one client may hold while others wait, and at any time for uploads:
  /// 0 < share ≤ 1.
  package var share = 0.25
  /// Exchanges that wait for a connection.
  package var queueMax = 256
  /// Concurrent exchanges; 0: limited only by connections and queue.
  package var concurrentMax = 0
}

/// Deadlines of exchanges and maximum ages of connections, in milliseconds.
package struct InstanceTimeouts: Hashable, Sendable {
  package var connectMilliseconds = 5000
  /// How long a resolved name is used for new connections; 0: resolve again for every connection.
  package var nameCacheMilliseconds = 5000
  package var queueMilliseconds = 5000
  package var firstByteMilliseconds = 30_000
  package var betweenBytesMilliseconds = 30_000
  package var totalMilliseconds = 60_000
  package var poolIdleMilliseconds = 60_000
  package var poolAgeMilliseconds = 300_000
}

package struct HealthSettings: Hashable, Sendable {
  /// 0: no probes.
  package var intervalMilliseconds = 0
}

package struct BreakerSettings: Hashable, Sendable {
  /// Consecutive faults that open it; 0: never.
  package var failuresMax = 5
  package var openMilliseconds = 1000
  package var openMillisecondsMax = 60_000
}
