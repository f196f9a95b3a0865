import Audit
import Digests
import OAuth
import Policies
import System

/// The page of the admin endpoint by which commands record what they have changed in the policy folder, `/audit`: POST only.
final class AdminChanges {
  private let audit: CommandAudit
  /// The `audit_key` in force.
  private let key: @Sendable () -> Secret?
  /// By a clock that no one sets. An earlier process may have taken older proofs.
  private let startMilliseconds = SystemClock.milliseconds
  /// The nonces of the last forms that had a proof, with the time from which such a form is too old.
  private var nonces: [String: Int64] = [:]

  /// More such forms are refused for a while: no operator runs as many commands.
  private static let noncesMax = 1_000

  init(audit: CommandAudit, key: @escaping @Sendable () -> Secret?) {
    self.audit = audit
    self.key = key
  }

  /// - Parameters:
  ///   - body: the form of a `RecordedChange`.
  ///   - isGuarded: whether the endpoint itself decides who may make changes.
  ///   - now: seconds since 1970.
  func answer(_ body: [UInt8], isGuarded: Bool, at now: Int64) -> AdminAnswer {
    let key = key()
    guard isGuarded || key.map({ RecordedChange.hasProof(body, $0) }) == true else {
      return .line(403, "This needs an admin token, an \"admin\" on a Unix socket, or the audit_key.")
    }
    do throws(FormFault) {
      let form = try FormBody(body.span)
      if !isGuarded, let refusal = refusal(of: form, at: now) { return refusal }
      return record(form, key)
    } catch {
      return .line(400, "The form is malformed.")
    }
  }

  /// A form with a proof counts once, and not for long: another process may have seen it.
  private func refusal(of form: FormBody, at now: Int64) -> AdminAnswer? {
    guard let nonce = form["nonce"], let time = form["time"].flatMap({ Int64($0) }) else {
      return .line(403, "The proof has no time, or no nonce.")
    }
    // Both times are whole seconds.
    let age = min(RecordedChange.secondsMax, (SystemClock.milliseconds - startMilliseconds) / 1_000 + 1)
    guard (now - age...now + RecordedChange.secondsMax).contains(time) else {
      return .line(403, "The proof is not of this minute, or from before the gateway's start: compare the clocks.")
    }
    nonces = nonces.filter { $0.value >= now }
    guard nonces[nonce] == nil else { return .line(403, "The proof was used before.") }
    guard nonces.count < Self.noncesMax else { return .line(503, "Too many changes at once. Retry in two minutes.") }
    nonces[nonce] = now + 2 * RecordedChange.secondsMax
    return nil
  }

  private func record(_ form: FormBody, _ key: Secret?) -> AdminAnswer {
    guard let command = form["command"], RecordedChange.commands.contains(command) else {
      return .line(400, "command is missing, or records nothing here.")
    }
    let members = RecordedChange.names.compactMap { name in form[name].map { (name: name, value: $0) } }
    guard members.allSatisfy({ $0.value.utf8.count <= RecordedChange.valueBytesMax }) else {
      return .line(400, "A value has more than \(RecordedChange.valueBytesMax) bytes.")
    }
    var entry = AuditCommand(command)
    entry.members = members
    guard audit.record(entry) else { return .line(503, "The audit log cannot be written; see the gateway's log.") }
    guard let key, let nonce = form["nonce"] else { return .line(200, "recorded") }
    return .line(200, RecordedChange.receipt(of: nonce, key.reveal()))
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

  /// How far the time of a form may be from the gateway's.
  static let secondsMax: Int64 = 60

  private static let proofName = "&proof="

  /// The form with a proof that its sender has the key of the audit log, and so could write to it anyway.
  ///
  /// - Parameters:
  ///   - nonce: of this form only.
  ///   - time: seconds since 1970.
  package static func proven(_ form: String, nonce: String, at time: Int64, _ key: [UInt8]) -> String {
    let form = "\(form)&time=\(time)&nonce=\(nonce)"
    return "\(form)\(proofName)\(proof(Array(form.utf8)[...], key).hex)"
  }

  /// What a gateway with this key answers: another process may listen at its address. No proof begins like it, and no message
  /// of the chain.
  package static func receipt(of nonce: String, _ key: [UInt8]) -> String {
    "recorded \(HMAC(key: key.span).code(of: Array("receipt\n\(nonce)".utf8).span).hex)"
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
