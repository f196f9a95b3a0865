import Audit
import Digests
import FoundationEssentials
import Gateway
import Policies
import System

/// Records a command's change of the policy folder in the audit log, if there is one: through the running gateway or, if
/// none answers, at the end of the log.
struct ChangeRecord {
  let command: String
  let folder: PolicyFolder
  /// The admin endpoint; nil: it is off.
  let admin: AdminSettings?

  /// - Parameters:
  ///   - change: what was changed, by the names of `RecordedChange`.
  ///   - edit: the file, already written.
  /// - Returns: why it is not recorded; nil: it is, or there is no audit log.
  func write(_ change: [(String, String)], _ edit: FileEdit) -> String? {
    let settings = GatewaySettings(in: folder)
    var members: [(name: String, value: String)] = change.map { (name: $0.0, value: $0.1) }
    members.append(("file", edit.name(in: folder)))
    members.append(("sha256", SHA256.digest(of: edit.after.span).hex))
    members.append(("user", currentUserName))
    members.append(("uid", "\(currentUserNumber)"))
    // As whom sudo(8) was called.
    if let user = folder.environment["SUDO_USER"] { members.append(("sudo_user", String(user.prefix(64)))) }
    switch send(members, settings.auditKey) {
    case .recorded: return nil
    case .refused(let reason): return settings.auditLog == nil ? nil : reason
    case .unreachable: return append(members, settings)
    }
  }

  private enum Answer {
    case recorded
    /// No process listens.
    case unreachable
    case refused(String)
  }

  private func send(_ members: [(name: String, value: String)], _ key: Secret?) -> Answer {
    guard let client = admin.flatMap({ AdminClient($0, for: command) }) else { return .unreachable }
    var form = AdminClient.form([("command", command)] + members.map { ($0.name, $0.value) })
    let nonce = String(UInt64.random(in: 0...UInt64.max), radix: 16)
    if let key { form = RecordedChange.proven(form, nonce: nonce, at: UnixSeconds.now.rawValue, key.reveal()) }
    do throws(Errno) {
      let response = try client.request("POST", "/audit", body: form)
      let line = AdminClient.line(response)
      guard response.status == 200 else { return .refused("\(response.status): \(line)") }
      guard let key, line != RecordedChange.receipt(of: nonce, key.reveal()) else { return .recorded }
      return .refused("what answers at the admin address does not have the audit_key")
    } catch {
      // Otherwise the gateway may have written the entry.
      guard error == .connectionRefused || error == .noSuchFile else { return .refused("no answer: \(error)") }
      return .unreachable
    }
  }

  /// As a separate chain, which may be in one file with that of a gateway without an admin endpoint: each entry is one write.
  private func append(_ members: [(name: String, value: String)], _ settings: GatewaySettings) -> String? {
    guard case .file(let path) = settings.auditLog else { return nil }
    guard path.hasPrefix("/") else {
      return "no gateway answers, and \"audit_log\" is relative to its folder: set $STATE_DIRECTORY as for the gateway"
    }
    // A missing key must not begin a chain that anyone could forge.
    if settings.auditKey == nil, (try? AuditFileEnds(InputFile(path: path)))?.first?.isKeyed != false {
      return "no gateway answers, and audit_key cannot be read"
    }
    var entry = AuditCommand(command)
    entry.members = members
    do throws(AuditFault) {
      try AuditLog.append(entry, to: path, key: settings.auditKey?.reveal())
      return nil
    } catch {
      return "no gateway answers, and \(error)"
    }
  }
}

extension FileEdit {
  /// The file relative to the folder, such as `clients/acme.json`.
  func name(in folder: PolicyFolder) -> String { String(file.dropFirst(folder.path.count + 1)) }
}
