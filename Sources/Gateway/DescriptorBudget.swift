import Policies

/// Whether the bounds on connections fit the descriptors that the process may open.
struct DescriptorBudget {
  /// Logs, listeners, key files, name resolution, and connections that are refused with an answer.
  static let reserve = 128
  /// Connections that are refused with an answer and not closed yet: a part of the reserve.
  static let refusalsMax = 64
  /// A CURLM owns a socketpair beside the connection.
  static let perUpstreamConnection = 3
  /// Its epoll and its wake-up.
  static let perLoop = 2

  let limits: GatewayLimits
  let loops: Int

  var needed: Int {
    limits.connectionsMax + Self.perUpstreamConnection * limits.upstreamConnectionsMax + Self.perLoop * loops
      + Self.reserve
  }

  /// The bounds with those that are defaults made to fit; nil where that cannot be.
  ///
  /// A bound that a file states is never touched: who states it counts on it.
  func fitted(to available: Int) -> GatewayLimits? {
    guard needed > available else { return limits }
    var fitted = limits
    let room = available - Self.reserve - Self.perLoop * loops
    switch (limits.statesConnections, limits.statesUpstreamConnections) {
    case (true, true): return nil
    case (true, false):
      fitted.upstreamConnectionsMax = (room - limits.connectionsMax) / Self.perUpstreamConnection
    case (false, true):
      fitted.connectionsMax = room - Self.perUpstreamConnection * limits.upstreamConnectionsMax
    case (false, false):
      fitted.connectionsMax = room * 2 / 3
      fitted.upstreamConnectionsMax = (room - fitted.connectionsMax) / Self.perUpstreamConnection
    }
    return fitted.connectionsMax > 0 && fitted.upstreamConnectionsMax > 0 ? fitted : nil
  }

  /// The sum in words.
  fileprivate var sum: String {
    "\(limits.connectionsMax) connections + \(Self.perUpstreamConnection) x \(limits.upstreamConnectionsMax) "
      + "upstream_connections + \(Self.perLoop) x \(loops) loops + \(Self.reserve) = \(needed) descriptors"
  }
}

extension Policy {
  /// The policy with default bounds made to fit; bounds that a file states are refused if they do not.
  func fitted(toDescriptors available: Int, loops: Int, report: (String) -> Void) throws(StartFault) -> Policy {
    let budget = DescriptorBudget(limits: settings.limits, loops: loops)
    guard let limits = budget.fitted(to: available) else {
      throw StartFault(
        description: "gateway.json: limits: \(budget.sum), and the process may open \(available); lower them, "
          + "or raise the hard limit (ulimit -Hn, LimitNOFILE)")
    }
    guard limits != settings.limits else { return self }
    report(
      "limits: \(budget.sum), and the process may open \(available); the defaults become \(limits.connectionsMax) "
        + "connections and \(limits.upstreamConnectionsMax) upstream_connections")
    var fitted = self
    fitted.settings.limits = limits
    return fitted
  }
}
