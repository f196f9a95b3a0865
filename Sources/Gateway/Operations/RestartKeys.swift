import Policies

extension GatewaySettings {
  /// The changed keys whose new values take effect only at a restart.
  func keysThatNeedRestart(since old: GatewaySettings) -> [String] {
    [
      ("listen", listeners == old.listeners), ("loops", loops == old.loops), ("access_log", accessLog == old.accessLog),
      ("admin", admin == old.admin),
      ("audit_log", auditLog == old.auditLog), ("audit_key", auditKey?.reveal() == old.auditKey?.reveal()),
      ("idempotency", (idempotency == nil) == (old.idempotency == nil)),
      ("idempotency.folder", isSame(\.folder, in: idempotency, old.idempotency)),
      ("idempotency.ttl_h", isSame(\.ttlHours, in: idempotency, old.idempotency)),
      ("limits.connections_per_address", limits.connectionsPerAddressMax == old.limits.connectionsPerAddressMax),
      ("limits.connections", !limits.statesConnections || limits.connectionsMax == old.limits.connectionsMax),
      (
        "limits.upstream_connections",
        !limits.statesUpstreamConnections || limits.upstreamConnectionsMax == old.limits.upstreamConnectionsMax
      ),
    ].filter { !$0.1 }.map(\.0)
  }

  /// Whether a value did not change; true if there is a journal before or after the change only.
  private func isSame<Value: Equatable>(
    _ key: KeyPath<IdempotencySettings, Value>, in new: IdempotencySettings?, _ old: IdempotencySettings?
  ) -> Bool {
    guard let new, let old else { return true }
    return new[keyPath: key] == old[keyPath: key]
  }
}
