import Audit
import Digests
import OAuth
import Policies

/// The page of the admin endpoint by which commands record what they have changed in the policy folder, `/audit`: POST only.
struct AdminChanges {
  let audit: CommandAudit
  /// The `audit_key` in force.
  let key: @Sendable () -> Secret?

  /// - Parameters:
  ///   - body: the form of a `RecordedChange`.
  ///   - isGuarded: whether the endpoint itself decides who may make changes.
  func answer(_ body: [UInt8], isGuarded: Bool) -> AdminAnswer {
    guard isGuarded || key().map({ RecordedChange.hasProof(body, $0) }) == true else {
      return .line(403, "This needs an admin token, an \"admin\" on a Unix socket, or the audit_key.")
    }
    do throws(FormFault) {
      return record(try FormBody(body.span))
    } catch {
      return .line(400, "The form is malformed.")
    }
  }

  private func record(_ form: FormBody) -> AdminAnswer {
    guard let command = form["command"], RecordedChange.commands.contains(command) else {
      return .line(400, "command is missing, or records nothing here.")
    }
    let members = RecordedChange.names.compactMap { name in form[name].map { (name: name, value: $0) } }
    guard members.allSatisfy({ $0.value.utf8.count <= RecordedChange.valueBytesMax }) else {
      return .line(400, "A value has more than \(RecordedChange.valueBytesMax) bytes.")
    }
    var entry = AuditCommand(command)
    entry.members = members
    return audit.record(entry)
      ? .line(200, "recorded") : .line(503, "The audit log cannot be written; see the gateway's log.")
  }
}

/// A command's change of the policy folder, as the audit log has it.
package enum RecordedChange {
  /// Those that change files.
  package static let commands: Set<String> = [
    "token new", "token revoke", "token rotate", "client new", "client secret new", "client secret revoke",
    "client secret rotate", "instance new",
  ]
  /// What was changed, the file with its SHA-256, and who has changed it; in this order.
  package static let names = [
    "client", "instance", "token_sha256", "secret_sha256", "token_id", "replaces", "file", "sha256", "user", "uid",
    "sudo_user",
  ]
  static let valueBytesMax = 512

  private static let proofName = "&proof="

  /// The form with a proof that its sender has the key of the audit log, and so could write to it anyway.
  package static func proven(_ form: String, _ key: [UInt8]) -> String {
    "\(form)\(proofName)\(proof(Array(form.utf8)[...], key).hex)"
  }

  static func hasProof(_ body: [UInt8], _ key: Secret) -> Bool {
    let tail = body.suffix(proofName.utf8.count + 64)
    guard tail.starts(with: proofName.utf8), let code = Digest(hex: String(decoding: tail.suffix(64), as: UTF8.self))
    else { return false }
    return code == proof(body.dropLast(tail.count), key.reveal())
  }

  /// No message of the chain begins with a letter above f.
  private static func proof(_ form: ArraySlice<UInt8>, _ key: [UInt8]) -> Digest {
    let message = Array("recorded change\n".utf8) + form
    return HMAC(key: key.span).code(of: message.span)
  }
}
