package import Counters

/// Counts of one upstream's pools on one loop; written by the loop, read by any thread.
///
/// Adjusted by increments and decrements, never set: after a reload, the old pool still closes its connections.
package final class PoolCounters: Sendable {
  /// All connections: connecting, idle and leased.
  package let open = Counter()
  package let connecting = Counter()
  package let idle = Counter()
  /// Exchanges that wait for a connection.
  package let waiting = Counter()
  package let connects = Counter()
  /// Leases of a pooled connection.
  package let reuses = Counter()
  private let failures = InlineArray<6, Counter> { _ in Counter() }

  package init() {}

  func connectFailed(_ kind: ConnectFault.Kind) { failures[kind.index].add() }

  package func failures(_ kind: ConnectFault.Kind) -> Int { failures[kind.index].current }
}

extension ConnectFault.Kind {
  fileprivate var index: Int {
    switch self {
    case .refused: 0
    case .unresolved: 1
    case .tlsFailed: 2
    case .timedOut: 3
    case .spokeFirst: 4
    case .closedEarly: 5
    }
  }
}
