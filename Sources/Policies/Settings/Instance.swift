/// One Blnk Core and how it is reached: an entry of `instances.json`.
package struct Instance: Sendable {
  package let id: InstanceID
  package let url: InstanceURL
  /// 1 to 8; the one to try first at the front.
  package let keys: [Secret]
  /// false: maintenance.
  package let acceptsWrites: Bool
  /// What few instances have; one reference, since there can be very many instances.
  private var rare: RareTraits?
  /// Whether it is asked nothing, or no writes: a misconfigured one takes none, either.
  var isRestricted: Bool { !acceptsWrites }
  /// Shared by instances for which it is the same, as it is for most: a large part of what an instance takes.
  let conduct: SharedConduct

  init(
    id: InstanceID, url: InstanceURL, keys: [Secret], acceptsWrites: Bool, fault: String? = nil,
    isMisconfigured: Bool = false, conduct: SharedConduct, hosts: [HostName] = []
  ) {
    self.id = id
    self.url = url
    self.keys = keys
    self.acceptsWrites = acceptsWrites
    self.conduct = conduct
    rare = RareTraits(fault: fault, isMisconfigured: isMisconfigured, hosts: hosts)
  }

  /// Why it is not as its files say: they were faulty when they were read last; nil: it is.
  package var fault: String? {
    get { rare?.fault }
    set { rare = RareTraits(fault: newValue, isMisconfigured: isMisconfigured, hosts: hosts) }
  }

  /// Nothing is known of it that would do: each request is refused.
  package var isMisconfigured: Bool { rare?.isMisconfigured ?? false }

  /// What callers may name it by instead of its id, each the name of this instance only.
  var hosts: [HostName] { rare?.hosts ?? [] }

  package var tls: TLSSettings { conduct.value.tls }
  package var limits: InstanceLimits { conduct.value.limits }
  package var timeouts: InstanceTimeouts { conduct.value.timeouts }
  package var health: HealthSettings { conduct.value.health }
  package var breaker: BreakerSettings { conduct.value.breaker }
}

private final class RareTraits: Sendable {
  let fault: String?
  let isMisconfigured: Bool
  let hosts: [HostName]

  /// nil where there is nothing to tell.
  init?(fault: String?, isMisconfigured: Bool, hosts: [HostName]) {
    guard fault != nil || isMisconfigured || !hosts.isEmpty else { return nil }
    self.fault = fault
    self.isMisconfigured = isMisconfigured
    self.hosts = hosts
  }
}

/// How an instance is reached and spared.
struct InstanceConduct: Hashable, Sendable {
  var tls = TLSSettings()
  var limits = InstanceLimits()
  var timeouts = InstanceTimeouts()
  var health = HealthSettings()
  var breaker = BreakerSettings()
}

extension Instance {
  /// An instance of which no good definition has been read.
  init(misconfigured id: InstanceID, _ fault: String) {
    self.init(
      id: id, url: .unknown, keys: [], acceptsWrites: false, fault: fault, isMisconfigured: true,
      conduct: SharedConduct(InstanceConduct()))
  }
}

final class SharedConduct: Sendable {
  let value: InstanceConduct

  init(_ value: InstanceConduct) { self.value = value }
}

/// Paths of PEM files, and the name to ask for and to verify; nil: the system's trust, no certificate, the URL's host.
package struct TLSSettings: Hashable, Sendable {
  package var authority: PEMFile?
  package var certificate: PEMFile?
  package var key: PEMFile?
  package var serverName: String?
}

/// Greatest numbers for all loops together.
package struct InstanceLimits: Hashable, Sendable {
  package var connectionsMax = 64
  /// The part of the connections that one client may hold while others wait, and at any time for uploads: 0 < share ≤ 1.
  package var share = 0.25
  /// Exchanges that wait for a connection.
  package var queueMax = 256
  /// Exchanges under way; 0: no bound beyond connections and queue.
  package var concurrentMax = 0
}

/// Deadlines of exchanges and ages of connections, in milliseconds.
package struct InstanceTimeouts: Hashable, Sendable {
  package var connectMilliseconds = 5000
  /// How long a resolved name is used for new connections; 0: for one.
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
  /// Faults in a row that open it; 0: never.
  package var failuresMax = 5
  package var openMilliseconds = 1000
  package var openMillisecondsMax = 60_000
}
