package import Policies
import System

/// Whether the connection limits fit into the descriptors that the process may open.
struct DescriptorBudget {
  /// Logs, listeners, key files, name resolution, the 26 connections of the admin endpoint, and up to 64 connections that are
  /// refused with a reply.
  static let reserve = 128
  /// Connections that are being refused with a reply and are not closed yet: part of the reserve.
  static let refusalsMax = 64
  /// A CURLM owns a socketpair besides the connection's socket.
  static let perUpstreamConnection = 3
  /// Its epoll and its eventfd.
  static let perLoop = 2

  let limits: GatewayLimits
  let loops: Int

  var needed: Int {
    limits.connectionsMax + Self.perUpstreamConnection * limits.upstreamConnectionsMax + Self.perLoop * loops
      + Self.reserve
  }

  /// The limits, with the defaults among them lowered until all fit; nil if that is impossible.
  ///
  /// A limit that a file states is never changed: its author relies on it.
  func fitted(to available: Int) -> GatewayLimits? {
    guard needed > available else { return limits }
    var fitted = limits
    let remaining = available - Self.reserve - Self.perLoop * loops
    switch (limits.statesConnections, limits.statesUpstreamConnections) {
    case (true, true): return nil
    case (true, false):
      fitted.upstreamConnectionsMax = (remaining - limits.connectionsMax) / Self.perUpstreamConnection
    case (false, true):
      fitted.connectionsMax = remaining - Self.perUpstreamConnection * limits.upstreamConnectionsMax
    case (false, false):
      fitted.connectionsMax = remaining * 2 / 3
      fitted.upstreamConnectionsMax = (remaining - fitted.connectionsMax) / Self.perUpstreamConnection
    }
    return fitted.connectionsMax > 0 && fitted.upstreamConnectionsMax > 0 ? fitted : nil
  }

  /// The sum as text.
  fileprivate var sum: String {
    "\(limits.connectionsMax) connections + \(Self.perUpstreamConnection) x \(limits.upstreamConnectionsMax) "
      + "upstream_connections + \(Self.perLoop) x \(loops) loops + \(Self.reserve) = \(needed) descriptors"
  }
}

extension Policy {
  /// Lowers default limits until all fit; throws if limits that a file states do not fit.
  func fitted(toDescriptors available: Int, loops: Int, report: (String) -> Void) throws(StartFault) -> Policy {
    let budget = DescriptorBudget(limits: settings.limits, loops: loops)
    guard let limits = budget.fitted(to: available) else {
      throw StartFault(
        description: "gateway.json: limits: \(budget.sum), but the process may open only \(available); "
          + "lower the limits, or raise the hard limit of descriptors (ulimit -Hn, LimitNOFILE)")
    }
    guard limits != settings.limits else { return self }
    report(
      "limits: \(budget.sum), but the process may open only \(available); using \(limits.connectionsMax) connections "
        + "and \(limits.upstreamConnectionsMax) upstream_connections instead of the defaults")
    var fitted = self
    fitted.settings.limits = limits
    return fitted
  }

  /// The policy with limits that fit into the descriptors of this process, and what `check` reports about that.
  ///
  /// The result has no policy if limits that the file states do not fit. Raises the soft limit of descriptors to the
  /// hard limit, as the server does at start.
  package func fittedToDescriptors(in reading: FolderReading) -> LoadResult {
    fitted(toDescriptors: DescriptorLimit.raise(), in: reading)
  }

  func fitted(toDescriptors available: Int, in reading: FolderReading) -> LoadResult {
    let loops = settings.loops > 0 ? settings.loops : processorCount
    var findings: [Finding] = []
    do throws(StartFault) {
      let policy = try fitted(toDescriptors: available, loops: loops) { line in
        // A note: the limits are defaults, so no file is wrong.
        findings.append(reading.finding(.note, "gateway.json", "limits", line.withoutPrefix("limits: ")))
      }
      return LoadResult(policy: policy, findings: findings)
    } catch {
      let message = error.description.withoutPrefix("gateway.json: limits: ")
      return LoadResult(policy: nil, findings: [reading.finding(.error, "gateway.json", "limits", message)])
    }
  }
}

extension String {
  fileprivate func withoutPrefix(_ prefix: String) -> String {
    hasPrefix(prefix) ? String(dropFirst(prefix.count)) : self
  }
}
