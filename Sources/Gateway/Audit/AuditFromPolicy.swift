import Audit
import OAuth
import Policies
import Telemetry

extension AuditLog {
  /// Opens the audit log that the settings configure; nil if they configure none.
  convenience init?(_ settings: GatewaySettings, _ report: @escaping @Sendable (String) -> Void) throws(StartFault) {
    guard case .file(let path) = settings.auditLog else { return nil }
    do throws(AuditFault) {
      try self.init(path: path, key: settings.auditKey?.reveal(), report: report)
    } catch {
      throw StartFault(description: "audit_log: \(error)")
    }
  }
}

extension AuditIntent {
  /// Fills in the client, the operation and the instance, as the access log does.
  @_optimize(speed)
  init(_ id: RequestID, _ trace: AdmissionTrace, _ policy: Policy) {
    self.init(requestIDHigh: id.high, requestIDLow: id.low)
    let route = policy.routes.routes[Int(trace.routeIndex)]
    operation = route.operation
    routePattern = route.pattern
    client = Array(policy.clients.id(of: Int(trace.clientIndex)))
    if trace.tokenIndex >= 0 { tokenNote = Array(policy.tokens.note(of: trace.tokenIndex)) }
    tokenDigestPrefix = trace.tokenDigestPrefix
    tokenIDPrefix = trace.tokenID?.prefix
    instance = Array(policy.instances[Int(trace.instanceIndex)].id.bytes)
  }
}
