import Audit
import Policies

/// Which writes `audit show` is asked for.
struct AuditedWriteFilter {
  enum Decision {
    case matches, differs
    /// It matches if its transaction, which Core names later, is the one.
    case dependsOnTransaction
    /// The log lacks what it takes.
    case isUndecided
  }

  /// An option whose value is a member of intents.
  private struct Wanted {
    let option: String
    let value: String
    /// The value as it is in a line; nil if JSON would escape it, which requires decoding every intent.
    let plain: [UInt8]?

    init(_ option: String, _ value: String) {
      (self.option, self.value) = (option, value)
      let isPlain = value.utf8.allSatisfy { (0x20..<0x7f).contains($0) && !#""\"#.utf8.contains($0) }
      plain = isPlain ? Array(#""\#(value)""#.utf8) : nil
    }
  }

  private var wanted: [Wanted] = []
  private let request: AuditRequestID?
  private let transaction: String?
  private let token: String?
  /// The values asked for.
  let description: String

  private static let inIntents = ["--balance", "--identity", "--reference", "--source", "--destination", "--client"]
  /// Members that the log has of transactions only, and not of each one.
  private static let ofTransactions = ["--reference", "--source", "--destination"]

  init(_ arguments: Arguments) throws(CommandFault) {
    let options = ["--request", "--transaction", "--token"] + Self.inIntents
    let given = options.filter(arguments.isSet)
    guard !given.isEmpty else {
      throw .usage("\(auditShowName): needs one of \(options.sorted().joined(separator: ", ")); see --help")
    }
    for option in Self.inIntents {
      if let value = arguments.value(option) { wanted.append(Wanted(option, value)) }
    }
    description = given.map { "\($0) \(printable(arguments.value($0) ?? ""))" }.joined(separator: " ")
    transaction = arguments.value("--transaction")
    token = arguments.value("--token")
    if let token, token.hasPrefix("blnk_at_") {
      throw .usage(
        "\(auditShowName): --token takes a token's note or digest, not the token, which others could see here")
    }
    request = arguments.value("--request").flatMap(AuditRequestID.init)
    guard request != nil || !arguments.isSet("--request") else {
      throw .usage(
        "\(auditShowName): --request must be 32 hex digits: the audit log does not have the clients' own request ids; find "
          + "the id with \"blnk-gateway requests --id\"")
    }
  }

  /// What the log lacks of some writes.
  var missing: String {
    let members = (transaction == nil ? [] : ["transaction"]) + wanted.map { String($0.option.dropFirst(2)) }
    return members.filter { $0 == "transaction" || Self.ofTransactions.contains("--\($0)") }
      .map { $0 == "transaction" ? "Core's id" : "a \($0)" }.joined(separator: " or ")
  }

  func isTransaction(_ id: String) -> Bool { id == transaction }

  func decide(_ line: Span<UInt8>, _ request: AuditRequestID) -> Decision {
    if let wantedRequest = self.request, wantedRequest != request { return .differs }
    for wanted in wanted {
      guard let plain = wanted.plain, !line.contains(plain) else { continue }
      let isInAll = !Self.ofTransactions.contains(wanted.option)
      if isInAll || line.contains(Array(#""\#(wanted.option.dropFirst(2))":""#.utf8)) { return .differs }
    }
    guard let intent = LoggedWrite.Intent(auditLine: line.bytes) else { return .differs }
    var decision = Decision.matches
    for wanted in wanted {
      switch Self.has(intent, wanted) {
      case true?: break
      case false?: return .differs
      case nil: decision = .isUndecided
      }
    }
    if let token, !Self.hasToken(intent, token) { return .differs }
    guard let transaction else { return decision }
    if [intent.target?["transaction_id"], intent.target?["id"]].contains(transaction) { return decision }
    guard intent.method == "POST", intent.corePath.first == "transactions" else { return .differs }
    if case .matches = decision { return .dependsOnTransaction }
    return decision
  }

  /// Nil: the log does not tell.
  private static func has(_ intent: LoggedWrite.Intent, _ wanted: Wanted) -> Bool? {
    // A route such as /proxy/:id/metadata does not tell what kind of id it has.
    let id = intent.target?["id"]
    switch wanted.option {
    case "--balance": return [intent.target?["balance_id"], id].contains(wanted.value)
    case "--identity":
      return [intent.target?["identity_id"], id, intent.named?["identity_id"]].contains(wanted.value)
    case "--client": return intent.client == wanted.value
    default:
      if let value = intent.named?[String(wanted.option.dropFirst(2))] { return value == wanted.value }
      let path = intent.corePath
      let isTransaction = intent.method == "POST" && (path == ["transactions"] || path == ["transactions", "bulk"])
      return isTransaction ? nil : false
    }
  }

  /// The log has the first 8 digits of digests and ids.
  private static func hasToken(_ intent: LoggedWrite.Intent, _ text: String) -> Bool {
    if intent.token == text { return true }
    guard (8...64).contains(text.utf8.count), text.utf8.allSatisfy({ hexDigits.contains($0) }) else { return false }
    return [intent.tokenSha256, intent.tokenId].contains(text.prefix(8).lowercased())
  }

  private static let hexDigits = Array("0123456789abcdefABCDEF".utf8)
}
