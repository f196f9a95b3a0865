import Audit
import FoundationEssentials
import Gateway
import System

/// Asks Core, through the running gateway, about writes of a log.
struct OutcomeAsker {
  /// What Core finds a write by, at one instance.
  private struct Name: Hashable {
    let subject: String
    let instance: String
    /// Compared byte by byte.
    let bytes: [UInt8]
  }

  /// A write with a name, and what is known about it.
  private struct Named {
    let request: AuditRequestID
    var outcome: AuditOutcome.Kind?
    var transactionID: String?

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
  private var names: [AuditRequestID: Name] = [:]
  /// All writes of the log with a name: Core executes one of those that have the same.
  private var writes: [Name: [Named]] = [:]

  init(_ arguments: Arguments, for command: String) throws(CommandFault) {
    admin = try AdminClient(arguments, for: command)
  }

  // MARK: Reading the log

  mutating func read(intent line: Span<UInt8>, _ request: AuditRequestID) {
    guard let intent = LoggedWrite.Intent(line: line.bytes), let name = Self.name(intent) else { return }
    names[request] = name
    writes[name, default: []].append(Named(request: request))
  }

  /// The outcome of a write, or what has settled it.
  mutating func read(_ outcome: AuditOutcome.Kind, of request: AuditRequestID, _ line: Span<UInt8>) {
    guard let name = names[request], let index = writes[name]?.firstIndex(where: { $0.request == request }) else {
      return
    }
    writes[name]?[index].outcome = outcome
    if outcome == .accepted { writes[name]?[index].transactionID = LoggedWrite.outcome(line)?.transactionId }
  }

  private static func name(_ intent: LoggedWrite.Intent) -> Name? {
    let path = corePath(intent.path ?? "")
    let found: (subject: String, name: String)? =
      switch (intent.method, path.count, path.first) {
      case ("POST", 1, "transactions"): intent.named?["reference"].map { ("transaction", $0) }
      case ("POST", 1, "identities"): intent.named?["identity_id"].map { ("identity", $0) }
      case ("DELETE", 2, "identities"): ("deletion", path[1])
      default: nil
      }
    // The log masks what looks like a token.
    guard let found, !found.name.isEmpty, !found.name.contains("***") else { return nil }
    return Name(subject: found.subject, instance: intent.instance, bytes: Array(found.name.utf8))
  }

  /// The segments of the path as Core gets it.
  private static func corePath(_ path: String) -> [String] {
    let segments = path.split(separator: "/").map(String.init)
    switch segments.first {
    case "proxy": return Array(segments.dropFirst())
    case "instances": return Array(segments.dropFirst(2))
    default: return segments
    }
  }

  // MARK: Asking

  /// What Core says about a write.
  func ask(_ request: AuditRequestID, _ intent: LoggedWrite.Intent) throws(CommandFault) -> AskedOutcome {
    guard let name = names[request] else { return .unknown(Self.reasonNotToAsk(intent)) }
    let all = writes[name] ?? []
    let others = name.subject == "deletion" ? [] : all.filter { $0.request != request && $0.mayBeExecuted }
    if others.contains(where: { $0.outcome == .done }) {
      return .unknown("another write with this name was executed, and Core executes only one")
    }
    let ids = others.compactMap(\.transactionID)
    let form: [(String, String?)] = [
      ("request_id", intent.requestId), ("subject", name.subject), ("instance", name.instance),
      ("name", String(decoding: name.bytes, as: UTF8.self)), ("since", intent.time),
      ("transaction_id", all.first { $0.request == request }?.transactionID),
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
    switch (intent.method, corePath(intent.path ?? "")) {
    case ("POST", ["transactions"]): "the log has no reference to ask for, as of split payments and older versions"
    case ("POST", ["identities"]): "the client has not chosen the identity's id, so Core cannot be asked for it"
    default: "Core cannot be asked about this kind of write"
    }
  }
}
