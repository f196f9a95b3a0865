import Upstream

extension ConnectFault.Kind {
  var label: String {
    switch self {
    case .refused: "refused"
    case .unresolved: "unresolved"
    case .tlsFailed: "tls_failed"
    case .timedOut: "timed_out"
    case .spokeFirst: "spoke_first"
    case .closedEarly: "closed_early"
    }
  }
}

extension BreakerPhase {
  /// The value of the gauge: higher is worse.
  var level: Int {
    switch self {
    case .closed: 0
    case .halfOpen: 1
    case .open: 2
    }
  }

  /// The value in `/status`. It calls half-open "probing"; dashboards and scripts compare the value, so it stays.
  var label: String {
    switch self {
    case .closed: "closed"
    case .halfOpen: "probing"
    case .open: "open"
    }
  }
}
