import Audit
import Bytes
import FoundationEssentials
import Gateway
import System

/// Asks Core, through the running gateway, about writes of a log.
final class OutcomeAsker {
  /// A write that Core can be asked for, and what is known about it.
  private final class NamedWrite {
    let subject: String
    let instance: String
    /// What Core finds it by.
    let name: String
    var outcome: AuditOutcome.Kind?
    var transactionID: String?

    init(_ subject: String, _ instance: String, _ name: String) {
      (self.subject, self.instance, self.name) = (subject, instance, name)
    }

    /// Equal for writes of which Core executes only one.
    var key: ByteText { ByteText("\(subject) \(instance) \(name)") }

    /// As far as the log shows.
    var mayBeExecuted: Bool {
      switch outcome {
      case nil, .done, .accepted, .unknown: true
      case .refused, .notSent: false
      }
    }
  }

  private static let waitMilliseconds: Int64 = 15_000
  private static let pollMilliseconds = 20

  private let admin: AdminClient
  private var writes: [AuditRequestID: NamedWrite] = [:]
  private var writesByName: [ByteText: [NamedWrite]] = [:]

  init(_ arguments: Arguments, for command: String) throws(CommandFault) {
    admin = try AdminClient(arguments, for: command)
  }

  // MARK: Reading the log

  func read(intent line: Span<UInt8>, _ request: AuditRequestID) {
    guard let intent = LoggedWrite.Intent(auditLine: line.bytes), let write = Self.write(intent) else { return }
    writes[request] = write
    writesByName[write.key, default: []].append(write)
  }

  /// The outcome of a write, or what has settled it.
  func read(_ outcome: AuditOutcome.Kind, of request: AuditRequestID, _ line: Span<UInt8>) {
    guard let write = writes[request] else { return }
    write.outcome = outcome
    if outcome == .accepted { write.transactionID = LoggedWrite.outcome(line)?.transactionId }
  }

  private static func write(_ intent: LoggedWrite.Intent) -> NamedWrite? {
    let path = intent.corePath
    let (subject, name): (String, String?) =
      switch (intent.method, path.count, path.first) {
      // Core stores the parts of a split payment under other references.
      case ("POST", 1, "transactions") where intent.sources == nil && intent.destinations == nil:
        ("transaction", intent.named?["reference"])
      case ("POST", 1, "identities"): ("identity", intent.named?["identity_id"])
      case ("DELETE", 2, "identities"): ("deletion", path[1])
      default: ("", nil)
      }
    // The log masks what looks like a token.
    guard let name, !name.isEmpty, !name.contains("***") else { return nil }
    return NamedWrite(subject, intent.instance, name)
  }

  // MARK: Asking

  /// What Core says about a write.
  func ask(_ request: AuditRequestID, _ intent: LoggedWrite.Intent) throws(CommandFault) -> AskedOutcome {
    guard let write = writes[request] else { return .unknown(Self.reasonNotToAsk(intent)) }
    let all = writesByName[write.key] ?? []
    let others = write.subject == "deletion" ? [] : all.filter { $0 !== write && $0.mayBeExecuted }
    if others.contains(where: { $0.outcome == .done }) {
      return .unknown("another write with this name was executed, and Core executes only one")
    }
    let ids = others.compactMap(\.transactionID)
    let form: [(String, String?)] = [
      ("request_id", intent.requestId), ("subject", write.subject), ("instance", write.instance), ("name", write.name),
      ("since", intent.time), ("transaction_id", write.transactionID),
      // More would not fit: then the write is one of several.
      ("other_ids", ids.prefix(Self.otherIDsMax).joined(separator: ",")),
      ("other_writes", "\(others.count - min(ids.count, Self.otherIDsMax))"), ("user", currentUserName),
    ]
    return try ask(AdminClient.form(form))
  }

  private static let otherIDsMax = 32

  private func ask(_ form: String) throws(CommandFault) -> AskedOutcome {
    let end = SystemClock.milliseconds + Self.waitMilliseconds
    while true {
      let response = try admin.send("POST", "/outcome", body: form)
      switch response.status {
      case 200:
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        guard let outcome = try? decoder.decode(AskedOutcome.self, from: Data(response.body)) else {
          throw admin.notThisVersion
        }
        return outcome
      case 202 where SystemClock.milliseconds < end: sleep(milliseconds: Self.pollMilliseconds)
      case 202: return .unknown("the gateway has no answer from Core after \(Self.waitMilliseconds / 1_000) s")
      case 400: return .unknown("Core cannot be asked for this name")
      default: throw admin.fault(response)
      }
    }
  }

  private static func reasonNotToAsk(_ intent: LoggedWrite.Intent) -> String {
    switch (intent.method, intent.corePath) {
    case ("POST", ["transactions"]):
      "the log has no reference to ask for, or it is a split payment, whose parts have others"
    case ("POST", ["identities"]): "the client has not chosen the identity's id, so Core cannot be asked for it"
    default: "Core cannot be asked about this kind of write"
    }
  }
}
