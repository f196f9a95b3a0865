import Counters
import Policies
import Synchronization

/// One loop's counts, written by the loop alone. Any thread reads them: counters without synchronizing, the rest under locks
/// that are held for a moment.
///
/// Bound: one entry for each `GatewayCode`; and for each instance that the loop has used since the start, one for each
/// route, method and code seen. They outlive reloads, because counters must not decrease. And one for each client of the
/// policy, if it counts them.
final class LoopMetrics: Sendable {
  let accepted = Counter()
  /// Connections refused because a limit was reached.
  let refusedConnections = Counter()
  /// Connections closed because they have no valid PROXY header.
  let proxyHeaderFaults = Counter()
  /// The time that the gateway itself spent on each exchange.
  let ownTime = Histogram()
  /// Exchanges that ended before an instance was resolved.
  let withoutInstance = InstanceMetrics()
  private let byProvider = Mutex<[String: IntrospectionMetrics]>([:])
  private let byInstance = Mutex<[String: InstanceMetrics]>([:])
  /// Only of clients of the policy in force, because names of clients may come and go without end.
  private let byClient = Mutex<[[UInt8]: ClientMetrics]>([:])
  /// Events that were illegal in an exchange's state: bugs.
  let internalFaults = Counter()
  /// Exchanges that ended with a code, and connections that were refused with it.
  let codes = CodeCounters()
  let recentEnds = RecentEnds()

  /// The loop's metrics of an instance, made at the first call.
  func instance(_ id: String) -> InstanceMetrics { byInstance.withLock { $0.value(id, orElse: InstanceMetrics()) } }

  /// The loop's metrics of an introspection provider, made at the first call.
  func introspection(_ name: String) -> IntrospectionMetrics {
    byProvider.withLock { $0.value(name, orElse: IntrospectionMetrics()) }
  }

  var introspections: [String: IntrospectionMetrics] { byProvider.withLock(\.self) }

  var instances: [String: InstanceMetrics] { byInstance.withLock(\.self) }

  /// The counts of a policy's clients, by client index; empty if it does not count them. A client keeps its counts as
  /// long as each policy has its name.
  func clients(of policy: Policy) -> [ClientMetrics] {
    byClient.withLock { known in
      var kept: [[UInt8]: ClientMetrics] = [:]
      let clients = policy.countsClients ? policy.clients.indices.map { Array(policy.clients.id(of: $0)) } : []
      let metrics = clients.map { name in kept.value(name, orElse: known[name] ?? ClientMetrics()) }
      known = kept
      return metrics
    }
  }

  var clients: [[UInt8]: ClientMetrics] { byClient.withLock(\.self) }
}

extension Dictionary {
  /// The value of a key; inserts `other` if there is none.
  mutating func value(_ key: Key, orElse other: @autoclosure () -> Value) -> Value {
    if let value = self[key] { return value }
    let value = other()
    self[key] = value
    return value
  }
}
