package import Counters

/// What a loop's pools of one upstream have done and hold; written by the loop, read by any thread.
///
/// Changes are counted, not levels: a pool that a reload has replaced still gives its connections back.
package final class PoolCounters: Sendable {
  /// All of them: connecting, idle and leased.
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

  func connectFailed(_ kind: ConnectFault.Kind) { failures[kind.place].add() }

  package func failures(_ kind: ConnectFault.Kind) -> Int { failures[kind.place].now }
}

extension ConnectFault.Kind {
  fileprivate var place: Int {
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
