import Audit
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
