import Policies

/// Whether the bounds on connections fit the descriptors that the process may open.
enum DescriptorBudget {
  /// Epoll, logs, listeners, key files, and connections that are refused with an answer.
  static let reserve = 128
  /// A CURLM owns a socketpair beside the connection.
  static let perUpstreamConnection = 3

  static func needed(_ limits: GatewayLimits) -> Int {
    limits.connectionsMax + perUpstreamConnection * limits.upstreamConnectionsMax + reserve
  }
}

extension Policy {
  /// The policy with default bounds made to fit; bounds that a file states are not touched, and refused if too large.
  func fitted(toDescriptors available: Int, report: (String) -> Void) throws(StartFault) -> Policy {
    let limits = settings.limits
    let needed = DescriptorBudget.needed(limits)
    guard needed > available else { return self }
    let sum =
      "\(limits.connectionsMax) connections + \(DescriptorBudget.perUpstreamConnection) x "
      + "\(limits.upstreamConnectionsMax) upstream_connections + \(DescriptorBudget.reserve) = \(needed) descriptors, "
      + "and the process may open \(available)"
    guard !limits.statesConnections, !limits.statesUpstreamConnections else {
      throw StartFault(
        description: "gateway.json: limits: \(sum); lower them, or raise the hard limit (ulimit -Hn, LimitNOFILE)")
    }
    var fitted = self
    let room = max(available - DescriptorBudget.reserve, 8)
    fitted.settings.limits.connectionsMax = max(1, room * 2 / 3)
    fitted.settings.limits.upstreamConnectionsMax = max(1, room / 3 / DescriptorBudget.perUpstreamConnection)
    report(
      "limits: \(sum); the defaults become \(fitted.settings.limits.connectionsMax) connections and "
        + "\(fitted.settings.limits.upstreamConnectionsMax) upstream_connections")
    return fitted
  }
}
