import Audit

extension Command {
  static let auditShow = Command(
    name: auditShowName, summary: "list the writes in an audit log that match all of the options",
    usage: "--balance ID | --request ID | ... [--json] FILE...",
    description: """
      Prints, in the order of the log: when, which operation, Core's response, and by
      which client and token. If a write has no outcome in the files, it prints why.
      The files may be given in any order; - is standard input. This command trusts
      the log: use "audit verify" to check it.

      The log has the id of a transaction only if a path names it, if Core has only
      queued the transaction, or if "audit outcomes --ask" has found it. If writes
      are logged without what an option asks for, so that they may match, their
      number goes to standard error.
      """,
    options: [
      Option(name: "--request", value: "ID", help: "the request's id, 32 hex digits"),
      Option(name: "--balance", value: "ID", help: "the balance in the path"),
      Option(name: "--identity", value: "ID", help: "the identity in the path, or \"identity_id\" of the body"),
      Option(name: "--transaction", value: "ID", help: "the transaction in the path, or in Core's response"),
      Option(name: "--reference", value: "TEXT", help: "\"reference\" of a transaction's body"),
      Option(name: "--source", value: "ID", help: "\"source\" of a transaction's body"),
      Option(name: "--destination", value: "ID", help: "\"destination\" of a transaction's body"),
      Option(name: "--client", value: "ID", help: "the client that sent it"),
      Option(
        name: "--token", value: "TEXT",
        help: "the token's note, or 8 or more hex digits of its digest or its id"),
      .auditJSON,
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
        "\(counted(open, "transaction")) in \(names) \(are) logged without \(writes.filter.missing): whether "
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
  /// Writes that match if a later entry has the id of their transaction.
  private var candidates: [AuditRequestID: LoggedWrite] = [:]
  private var intents = 0
  private var undecided = 0

  init(_ filter: AuditedWriteFilter) { self.filter = filter }

  /// The writes for which the log does not tell whether they match.
  var undecidedCount: Int { undecided + candidates.values.count { $0.outcome?.transactionId == nil } }

  mutating func read(_ line: Span<UInt8>) {
    guard let entry = AuditEntry(line) else { return }
    writers.read(entry)
    guard let request = entry.request else { return }
    switch entry.kind {
    case .intent:
      intents += 1
      switch filter.decide(line, request) {
      case .matches: found[request] = LoggedWrite(intent: line, request, index: intents, writer: entry.writer)
      case .dependsOnTransaction:
        candidates[request] = LoggedWrite(intent: line, request, index: intents, writer: entry.writer)
      case .isUndecided: undecided += 1
      case .differs: break
      }
    case .outcome:
      if let write = found[request] { write.outcomeLine = line.bytes }
      guard let write = candidates.removeValue(forKey: request) else { return }
      write.outcomeLine = line.bytes
      decide(write, entry.outcome, write.outcome?.transactionId)
    case .command:
      if let write = found[request] { write.settlementLine = line.bytes }
      guard let write = candidates.removeValue(forKey: request) else { return }
      write.settlementLine = line.bytes
      let ids = write.settlementIDs
      if ids.contains(where: filter.isTransaction) { found[request] = write }
    case .start, .grant, .reload, .end: break
    }
  }

  private mutating func decide(_ write: LoggedWrite, _ outcome: AuditOutcome.Kind?, _ id: String?) {
    switch outcome {
    case _ where id.map(filter.isTransaction) == true: found[write.request] = write
    // A later entry may settle it.
    case .accepted, .unknown: candidates[write.request] = write
    case .done where id == nil: undecided += 1
    case .done, .refused, .notSent, nil: break
    }
  }
}
