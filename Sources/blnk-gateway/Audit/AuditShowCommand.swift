import Audit

extension Command {
  static let auditShow = Command(
    name: auditShowName, summary: "list the writes in an audit log that match all of the options",
    usage: "--balance ID | --request ID | ... [--json] [FILE...]",
    description: """
      Prints, in the order of the log: when, which operation, Core's response, and by
      which client and token. If a write has no outcome in the files, it prints why.
      Without FILE, it reads the "audit_log" of gateway.json. The files may be given in
      any order; - is standard input. This command trusts the log: use "audit verify"
      to check it.

      An id matches in the path, in the body, and in Core's response, so that a write
      is found by what it has created. If writes are logged without what an option
      asks for, so that they may match, their number goes to standard error: parts of
      a bulk have no id in the response, and older logs lack some members.
      """,
    options: [
      Option(name: "--request", value: "ID", help: "the request's id, or the client's own X-Request-Id"),
      Option(name: "--balance", value: "ID", help: "the balance in the path, or in Core's response"),
      Option(name: "--identity", value: "ID", help: "the identity in the path, the body or Core's response"),
      Option(name: "--ledger", value: "ID", help: "the ledger in the path, the body or Core's response"),
      Option(name: "--transaction", value: "ID", help: "the transaction in the path, or in Core's response"),
      Option(name: "--reference", value: "TEXT", help: "\"reference\" of a transaction's body"),
      Option(name: "--source", value: "ID", help: "\"source\" of a transaction's body, or one of its \"sources\""),
      Option(
        name: "--destination", value: "ID",
        help: "\"destination\" of a transaction's body, or one of its \"destinations\""),
      Option(name: "--client", value: "ID", help: "the client that sent it"),
      Option(
        name: "--token", value: "TEXT",
        help: "the token's note, or 8 or more hex digits of its digest or its id"),
      .auditJSON, .policies, .state,
    ],
    exitCodes: [
      0: "success, even if there are no such writes",
      1: "a file cannot be read, or none is found among writes that may match",
    ],
    example: """
      blnk-gateway audit show --balance bln_0b6fb4fe-8acc-4a53-8cee-985deec6792b audit.log.1 audit.log
      blnk-gateway audit show --identity idt_758170e5-3f3a-458f-abaf-4272e2488b94 --json audit.log | jq .outcome.status
      blnk-gateway audit show --request e994e223007a8577a6c1df14cf6b9e8e audit.log
      """,
    takesOperands: true
  ) { arguments throws(CommandFault) in
    var writes = FoundWrites(try AuditedWriteFilter(arguments))
    let files = try AuditFiles(arguments, of: auditShowName)
    try files.forEachLine { line, _ in writes.read(line) }
    let found = writes.found.values.sorted { $0.index < $1.index }
    for write in found {
      try Console.print(arguments.isSet("--json") ? write.json(writes.writers) : write.text(writes.writers))
    }
    let names = files.names.joined(separator: ", ")
    let open = writes.undecidedCount
    if open > 0 {
      let are = open == 1 ? "is" : "are"
      Console.log(
        "\(counted(open, writes.filter.noun)) in \(names) \(are) logged without \(writes.filter.missing): whether "
          + "\(open == 1 ? "it matches" : "they match") is not known")
    } else if found.isEmpty {
      Console.log("no write in \(names) has \(writes.filter.description)")
    }
    return found.isEmpty && open > 0 ? 1 : 0
  }
}

let auditShowName = "audit show"

/// The writes of a log that match a filter.
private struct FoundWrites {
  let filter: AuditedWriteFilter
  private(set) var writers = AuditWriters()
  private(set) var found: [AuditRequestID: LoggedWrite] = [:]
  /// Writes that a later entry may show to match.
  private var candidates: [AuditRequestID: LoggedWrite] = [:]
  private var intents = 0
  private var undecided = 0

  init(_ filter: AuditedWriteFilter) { self.filter = filter }

  /// The writes for which the log does not tell whether they match.
  var undecidedCount: Int { undecided + candidates.values.count { decide($0) == .isUndecided } }

  mutating func read(_ line: Span<UInt8>) {
    guard let entry = AuditEntry(line) else { return }
    writers.read(entry)
    guard let request = entry.request else { return }
    switch entry.kind {
    case .intent:
      intents += 1
      let write = LoggedWrite(intent: line, request, index: intents, writer: entry.writer)
      guard filter.mayMatch(intent: write.intentLine) else { return }
      if filter.dependsOnOutcome(of: write.intentLine) {
        candidates[request] = write
      } else {
        settle(write, isOpen: true)
      }
    case .outcome:
      if let write = found[request] { write.outcomeLine = line.bytes }
      guard let write = candidates.removeValue(forKey: request) else { return }
      let outcome: [UInt8] = line.bytes
      write.outcomeLine = outcome
      guard filter.mayMatch(intent: write.intentLine, outcome: outcome, entry.outcome) else { return }
      // Another entry may settle it.
      settle(write, isOpen: entry.outcome == .accepted || entry.outcome == .unknown)
    case .command:
      if let write = found[request] { write.settlementLine = line.bytes }
      guard let write = candidates.removeValue(forKey: request) else { return }
      write.settlementLine = line.bytes
      settle(write)
    case .start, .grant, .reload, .end: break
    }
  }

  private mutating func settle(_ write: LoggedWrite, isOpen: Bool = false) {
    switch decide(write) {
    case .matches: found[write.request] = write
    case .mayBeSettled: candidates[write.request] = write
    case .isUndecided where isOpen && filter.asksForIDs: candidates[write.request] = write
    case .isUndecided: undecided += 1
    case .differs: break
    }
  }

  private func decide(_ write: LoggedWrite) -> AuditedWriteFilter.Decision {
    write.intent.map { filter.decide($0, write.outcome, settled: write.settlementIDs) } ?? .differs
  }
}
