import Audit
import Policies

/// Which writes `audit show` is asked for.
struct AuditedWriteFilter {
  enum Decision: Int {
    case matches
    /// It matches if a later entry has the id that is asked for.
    case mayBeSettled
    /// The log lacks what it takes.
    case isUndecided
    case differs
  }

  /// An option whose value is a member of entries.
  private struct Wanted {
    let option: String
    let value: String
    /// The value as it is in a line; nil if JSON would escape it, which requires decoding every entry.
    let plain: [UInt8]?

    init(_ option: String, _ value: String) {
      (self.option, self.value) = (option, value)
      let isPlain = value.utf8.allSatisfy { (0x20..<0x7f).contains($0) && !#""\"#.utf8.contains($0) }
      plain = isPlain ? Array(#""\#(value)""#.utf8) : nil
    }

    /// Whether lines may have the value.
    func mayBe(in lines: [UInt8]...) -> Bool {
      plain.map { plain in lines.contains { $0.span.contains(plain) } } ?? true
    }
  }

  /// Of ids, which Core may have chosen.
  private var ids: [Wanted] = []
  private var others: [Wanted] = []
  private let token: String?
  /// The values asked for.
  let description: String

  private static let ofIDs = ["--transaction", "--balance", "--identity", "--ledger"]
  /// Members that the log has of transactions only, and not of each one.
  private static let ofTransactions = ["--reference", "--source", "--destination"]

  init(_ arguments: Arguments) throws(CommandFault) {
    let options = ["--request", "--token"] + Self.ofIDs + Self.ofTransactions + ["--client"]
    let given = options.filter(arguments.isSet)
    guard !given.isEmpty else {
      throw .usage("\(auditShowName): needs one of \(options.sorted().joined(separator: ", ")); see --help")
    }
    for option in given where option != "--token" {
      let wanted = Wanted(option, arguments.value(option) ?? "")
      if Self.ofIDs.contains(option) { ids.append(wanted) } else { others.append(wanted) }
    }
    description = given.map { "\($0) \(printable(arguments.value($0) ?? ""))" }.joined(separator: " ")
    token = arguments.value("--token")
    if let token, token.hasPrefix("blnk_at_") {
      throw .usage(
        "\(auditShowName): --token takes a token's note or digest, not the token, which others could see here")
    }
  }

  /// What the log lacks of some writes.
  var missing: String {
    let members = others.filter { Self.ofTransactions.contains($0.option) }.map { "a \($0.option.dropFirst(2))" }
    return ((ids.isEmpty ? [] : ["Core's id"]) + members).joined(separator: " or ")
  }

  /// What the writes are that may match.
  var noun: String { others.isEmpty && !ids.contains { $0.option == "--transaction" } ? "write" : "transaction" }

  var asksForIDs: Bool { !ids.isEmpty }

  /// Whether only the outcome, or a later entry, can have what is asked for.
  func dependsOnOutcome(of intent: [UInt8]) -> Bool { !ids.allSatisfy { $0.mayBe(in: intent) } }

  /// Whether a write can match, as far as its intent shows without being decoded.
  func mayMatch(intent line: [UInt8]) -> Bool {
    others.allSatisfy { wanted in
      guard !wanted.mayBe(in: line) else { return true }
      // The log has these members of some writes only, or has not all elements of a list.
      let isOpen = [#""more_"#, #""transactions":["#].contains { line.span.contains(Array($0.utf8)) }
      let name = Array(#""\#(wanted.option.dropFirst(2))":""#.utf8)
      return Self.ofTransactions.contains(wanted.option) && (isOpen || !line.span.contains(name))
    }
  }

  /// The same of a write that is over.
  func mayMatch(intent: [UInt8], outcome: [UInt8], _ kind: AuditOutcome.Kind?) -> Bool {
    ids.allSatisfy { wanted in
      if wanted.mayBe(in: intent, outcome) { return true }
      let isNamed = outcome.span.contains(Array(#""\#(Self.key(wanted.option))":""#.utf8))
      switch kind {
      case .refused, .notSent: return false
      case .done: return !isNamed && intent.span.contains(Array(#""method":"POST""#.utf8))
      case .accepted, .unknown, nil: return true
      }
    }
  }

  /// - Parameter settled: the ids in a later entry that has settled the write.
  func decide(_ intent: LoggedWrite.Intent, _ outcome: LoggedWrite.Outcome?, settled: [String]) -> Decision {
    if let token, !Self.hasToken(intent, token) { return .differs }
    let decisions =
      others.map { Self.decide($0, intent) } + ids.map { Self.decide($0, intent, outcome, settled) }
    return decisions.max { $0.rawValue < $1.rawValue } ?? .matches
  }

  private static func decide(_ wanted: Wanted, _ intent: LoggedWrite.Intent) -> Decision {
    let value = wanted.value
    let name = String(wanted.option.dropFirst(2))
    switch wanted.option {
    case "--client": return intent.client == value ? .matches : .differs
    case "--request": return [intent.requestId, intent.clientRequestId].contains(value) ? .matches : .differs
    default: break
    }
    if intent.named?[name] == value { return .matches }
    guard intent.method == "POST" else { return .differs }
    switch intent.corePath {
    case ["transactions", "bulk"]:
      guard let elements = intent.transactions else { return .isUndecided }
      if elements.contains(where: { $0[name] == value }) { return .matches }
      let isWhole = intent.moreTransactions == nil && elements.allSatisfy { $0[name] != nil }
      return isWhole ? .differs : .isUndecided
    case ["transactions"]:
      let (elements, more) =
        switch name {
        case "source": (intent.sources, intent.moreSources)
        case "destination": (intent.destinations, intent.moreDestinations)
        default: ([], nil) as ([[String: String]]?, Int?)
        }
      if elements?.contains(where: { $0["identifier"] == value }) == true { return .matches }
      return more == nil && (intent.named?[name] != nil || intent.hasReadTransaction) ? .differs : .isUndecided
    default: return .differs
    }
  }

  private static func decide(
    _ wanted: Wanted, _ intent: LoggedWrite.Intent, _ outcome: LoggedWrite.Outcome?, _ settled: [String]
  ) -> Decision {
    let key = key(wanted.option)
    // A route such as /proxy/:id/metadata does not tell what kind of id it has.
    if [intent.target?[key], intent.target?["id"], intent.named?[key], outcome?.ids[key]].contains(wanted.value) {
      return .matches
    }
    let isTransaction = wanted.option == "--transaction"
    guard !isTransaction || settled.isEmpty else { return settled.contains(wanted.value) ? .matches : .differs }
    // Any response may name it, but only some always do.
    guard intent.mayCreate(key) else { return outcome == nil ? .mayBeSettled : .differs }
    switch outcome?.outcome {
    case "refused", "not_sent": return .differs
    case "accepted" where isTransaction && outcome?.ids[key] != nil: return .mayBeSettled
    default: return outcome?.ids[key] == nil ? .isUndecided : .differs
    }
  }

  /// The name of an id in entries.
  private static func key(_ option: String) -> String { "\(option.dropFirst(2))_id" }

  /// The log has the first 8 digits of digests and ids.
  private static func hasToken(_ intent: LoggedWrite.Intent, _ text: String) -> Bool {
    if intent.token == text { return true }
    guard (8...64).contains(text.utf8.count), text.utf8.allSatisfy({ hexDigits.contains($0) }) else { return false }
    return [intent.tokenSha256, intent.tokenId].contains(text.prefix(8).lowercased())
  }

  private static let hexDigits = Array("0123456789abcdefABCDEF".utf8)
}

extension LoggedWrite.Intent {
  /// Whether the log has what the body of a single transaction names; older logs have only its reference.
  fileprivate var hasReadTransaction: Bool {
    sources != nil || destinations != nil
      || ["source", "destination", "amount", "precise_amount", "currency"].contains { named?[$0] != nil }
  }

  /// Whether Core's response may have the id of something new.
  fileprivate func mayCreate(_ key: String) -> Bool {
    guard method == "POST" else { return false }
    let path = corePath
    return switch key {
    case "balance_id": path == ["balances"]
    case "identity_id": path == ["identities"]
    case "ledger_id": path == ["ledgers"]
    default: ["transactions", "refund-transaction"].contains(path.first)
    }
  }
}
