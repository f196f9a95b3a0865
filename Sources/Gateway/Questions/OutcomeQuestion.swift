import Background
import Bytes
import OAuth
import Policies

/// A write whose outcome is asked for, and what Core's records say about it.
///
/// Core finds a single transaction by its reference and an identity by its id. That something is missing proves nothing,
/// because a write may still be executed; only a deletion is done when its object is missing.
struct OutcomeQuestion: Sendable {
  enum Subject: String, Sendable {
    /// The creation of a transaction, by its reference.
    case transaction
    /// The creation of an identity whose id the client has chosen.
    case identity
    /// The deletion of an identity.
    case deletion
  }

  enum Answer: Sendable {
    case settled(AskedOutcome)
    /// A queued transaction with this id is stored; its execution has a separate record.
    case queued(id: String, status: String)
  }

  let subject: Subject
  /// The reference, or the id.
  let name: String
  /// When it was sent.
  let since: UnixSeconds
  /// The id in Core's response, if it has accepted a transaction.
  let acceptedID: String?
  /// Ids of other accepted transactions with this reference.
  let otherIDs: [String]
  /// How many other writes have this name, and no known outcome.
  let otherWrites: Int

  /// By how much Core's clock may be behind the gateway's.
  private static let clockToleranceSeconds: Int64 = 1
  static let nameBytesMax = 255

  /// nil: Core cannot be asked for this name.
  init?(_ subject: Subject, _ name: String, since: UnixSeconds) {
    guard Self.canAsk(name, of: subject) else { return nil }
    (self.subject, self.name, self.since) = (subject, name, since)
    (acceptedID, otherIDs, otherWrites) = (nil, [], 0)
  }

  /// nil: a parameter is missing or malformed.
  init?(_ form: FormBody) {
    guard let subject = form["subject"].flatMap(Subject.init), let name = form["name"], Self.canAsk(name, of: subject),
      let since = form["since"].flatMap({ UnixSeconds(rfc3339: $0) })
    else { return nil }
    self.subject = subject
    self.name = name
    self.since = since
    acceptedID = form["transaction_id"]
    otherIDs = (form["other_ids"] ?? "").split(separator: ",").map(String.init)
    otherWrites = form["other_writes"].flatMap(Int.init) ?? 0
  }

  /// Whether a record that is missing shows what has happened.
  var isProvedByAbsence: Bool { subject == .deletion }

  /// Whether Core has a path for this name. It takes an escaped slash for a slash.
  static func canAsk(_ name: String, of subject: Subject) -> Bool {
    guard (1...nameBytesMax).contains(name.utf8.count) else { return false }
    switch subject {
    case .transaction:
      return ![".", ".."].contains(name) && !name.utf8.contains { $0 < 0x20 || $0 == 0x7f || $0 == 0x2f }
    case .identity, .deletion: return name.utf8.allSatisfy(\.isPlainInPath)
    }
  }

  // MARK: Asking

  /// The path of the record.
  var path: String {
    switch subject {
    case .transaction: "/transactions/reference/\(Self.escaped(name))"
    case .identity, .deletion: "/identities/\(name)"
    }
  }

  /// The path of the record of a queued transaction's execution.
  var executionPath: String { "/transactions/reference/\(Self.escaped(executionReference))" }

  /// Core executes a queued transaction as a copy with this reference.
  private var executionReference: String { name + "_q" }

  /// A segment of a path.
  static func escaped(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF")
    let escaped = text.utf8.map { byte in
      byte.isPlainInPath ? String(UnicodeScalar(byte)) : "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
    }
    return escaped.joined()
  }

  // MARK: Judging

  func answer(_ reply: RecordReply) -> Answer {
    switch RecordFinding(reply) {
    case .unclear(let reason): return .settled(.unknown(reason))
    case .missing(let code): return .settled(missing(code))
    case .found(let record):
      switch subject {
      case .transaction: return transaction(record)
      case .identity: return .settled(identity(record))
      case .deletion:
        return .settled(.unknown("Core has this identity: it was not deleted so far, or was created again"))
      }
    }
  }

  private func missing(_ code: String) -> AskedOutcome {
    switch (subject, code) {
    case (.deletion, "IDT_NOT_FOUND"): AskedOutcome(outcome: .done, id: name)
    case (.transaction, "TXN_NOT_FOUND"), (.identity, "IDT_NOT_FOUND"):
      .unknown("Core has nothing under this name, which proves nothing: the write may still be executed")
    default: .unknown("Core answered 404 \(code)")
    }
  }

  private func identity(_ record: JSONRecord) -> AskedOutcome {
    guard record.has("identity_id", name) else { return Self.notUnderstood }
    if let reason = ambiguity(record, id: name) { return .unknown(reason) }
    return AskedOutcome(outcome: .done, id: name)
  }

  private func transaction(_ record: JSONRecord) -> Answer {
    guard record.has("reference", name),
      let id = record.text("transaction_id"), Self.isID(id), let status = record.text("status")
    else { return .settled(Self.notUnderstood) }
    if let acceptedID {
      guard ByteText(acceptedID) == ByteText(id) else {
        return .settled(.unknown("Core has executed another request with this reference, as \(id)", id: id))
      }
    } else if let reason = ambiguity(record, id: id) {
      return .settled(.unknown(reason, id: id))
    }
    switch TransactionStatus(status) {
    case .executed: return .settled(AskedOutcome(outcome: .done, id: id, status: status))
    case .rejected: return .settled(AskedOutcome(outcome: .refused, id: id, status: status))
    case .waiting: return .queued(id: id, status: status)
    case nil: return .settled(.unknown("Core has it with a status that is not known here", id: id))
    }
  }

  /// What the record of its execution says about a queued transaction.
  func answer(_ reply: RecordReply, ofQueued id: String, status: String) -> AskedOutcome {
    let accepted = { (reason: String) in AskedOutcome(outcome: .accepted, id: id, status: status, reason: reason) }
    switch RecordFinding(reply) {
    case .missing: return accepted("Core has stored it, and has no record that it has executed it")
    case .unclear(let reason): return accepted("Core has stored it; whether it has executed it: \(reason)")
    case .found(let record):
      guard record.has("reference", executionReference),
        record.has("parent_transaction", id),
        let execution = record.text("transaction_id"), Self.isID(execution), let word = record.text("status")
      else { return accepted("Core has stored it; its record of the execution is not understood") }
      switch TransactionStatus(word) {
      case .executed: return AskedOutcome(outcome: .done, id: id, status: word, executionId: execution)
      case .rejected: return AskedOutcome(outcome: .refused, id: id, status: word, executionId: execution)
      case .waiting, nil: return accepted("Core has stored it, and has not executed it so far")
      }
    }
  }

  /// Why the record may belong to another write; nil: it belongs to this one.
  private func ambiguity(_ record: JSONRecord, id: String) -> String? {
    guard let created = Self.created(record) else { return "Core's record has no time" }
    if isOlder(created) { return "Core has had \(id) since \(created), before this write" }
    if otherIDs.contains(id) { return "Core has executed another request with this reference, as \(id)" }
    if otherWrites > 0 {
      return "Core has \(id), but \(otherWrites + 1) writes in these files may have created it"
    }
    return nil
  }

  private static func created(_ record: JSONRecord) -> UnixSeconds? {
    record.text("created_at").flatMap { UnixSeconds(rfc3339: $0) }
  }

  private func isOlder(_ created: UnixSeconds) -> Bool {
    created.rawValue < since.rawValue - Self.clockToleranceSeconds
  }

  /// Whether a record was created after this write was sent, as far as its time shows.
  func mayHaveCreated(_ record: JSONRecord) -> Bool { Self.created(record).map { !isOlder($0) } ?? false }

  private static var notUnderstood: AskedOutcome { .unknown("Core's answer is not a record with this name") }

  /// Ids go into the log and to terminals.
  private static func isID(_ id: String) -> Bool {
    (1...64).contains(id.utf8.count) && id.utf8.allSatisfy(\.isPlainInPath)
  }
}

/// What a reply says about one record.
enum RecordFinding {
  case found(JSONRecord)
  /// Core has no such record: a 404 with its own error code.
  case missing(code: String)
  case unclear(String)

  init(_ reply: RecordReply) {
    switch reply {
    case .failed(let message): self = .unclear("Core did not answer: \(message)")
    case .unreadable(let message): self = .unclear("Core's answer cannot be read: \(message)")
    case .notAsked(let message): self = .unclear("Core was not asked: \(message)")
    case .answered(status: 200, let body):
      self = JSONRecord(body).map(Self.found) ?? .unclear("Core's answer is not a record")
    case .answered(status: 404, let body):
      guard case .object(let detail) = JSONRecord(body)?["error_detail"], let code = detail.value("code")?.text?.text,
        ["IDT_NOT_FOUND", "TXN_NOT_FOUND"].contains(code)
      else {
        self = .unclear("Core has no such page")
        return
      }
      self = .missing(code: code)
    case .answered(status: 401, _), .answered(status: 403, _): self = .unclear("Core refuses the gateway's key")
    case .answered(let status, _): self = .unclear("Core answered with status \(status)")
    }
  }
}

/// Core's words for the state of a transaction.
private enum TransactionStatus {
  case executed, waiting, rejected

  init?(_ word: String) {
    switch word {
    case "APPLIED", "INFLIGHT", "COMMIT", "VOID": self = .executed
    case "QUEUED", "SCHEDULED": self = .waiting
    case "REJECTED": self = .rejected
    default: return nil
    }
  }
}

extension UInt8 {
  /// RFC 3986 §2.3: unreserved.
  fileprivate var isPlainInPath: Bool {
    switch self {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
      true
    default: false
    }
  }
}
