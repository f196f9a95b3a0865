import Audit
import Gateway

extension Command {
  static let auditOutcomes = Command(
    name: "audit outcomes", summary: "list the writes whose outcome at Core is unknown",
    usage: "[--ask [OPTIONS]] [--json] [FILE...]",
    description: """
      A write is listed if its outcome is "unknown" (Core closed the connection,
      answered 5xx or timed out), or if the log has no outcome: the write is in
      progress, or the outcome was not on disk when the gateway was killed. In both
      cases, Core may have done it and the client may have got a response: check at
      Core before you send the write again.

      With --ask, the running gateway asks Core about these writes, and about those
      that Core has only accepted: single transactions by their reference,
      identities by the id that the client has chosen, and deletions of identities.
      What settles a write is written to the audit log, and the write is not listed
      again: "done", or "refused" (Core has rejected a queued transaction). A write
      that Core does not have may still be executed: it stays unknown. Give all
      files since the writes: others may have the same reference.

      Prints each write as "audit show" does. With --json, "outcome_missing" is
      "still_open" (the gateway has not stopped, as far as the files show), "killed"
      (it was killed) or "ended" (it stopped without writing the outcome), and
      "asked" is what Core says. The number of writes goes to standard error.
      Without FILE, it reads the "audit_log" of gateway.json. The files may be given in
      any order; - is standard input.
      """,
    options: [.auditJSON, Option(name: "--ask", value: nil, help: "ask Core, through the running gateway")]
      + AdminClient.options + [.state],
    exitCodes: [
      0: "no such writes, or Core has settled all of them",
      1: "there are such writes, a file cannot be read, or no gateway answers",
    ],
    example: """
      blnk-gateway audit outcomes audit.log.1 audit.log
      blnk-gateway audit outcomes --json audit.log | jq -r .intent.path
      blnk-gateway audit outcomes --ask audit.log.1 audit.log
      """,
    takesOperands: true
  ) { arguments throws(CommandFault) in
    let asker = arguments.isSet("--ask") ? try OutcomeAsker(arguments, for: "audit outcomes") : nil
    let log = try UnsettledWrites(AuditFiles(arguments, of: "audit outcomes"), asker)
    let printed = { (write: LoggedWrite) in
      arguments.isSet("--json") ? write.json(log.writers) : write.text(log.writers)
    }
    guard let asker else {
      for write in log.unsettled { try Console.print(printed(write)) }
      Console.log("\(counted(log.count, "write")), \(log.unsettled.count) with an unknown outcome")
      return log.unsettled.isEmpty ? 0 : 1
    }
    var settled = 0
    for write in log.unsettled {
      guard let intent = write.intent else { continue }
      let outcome = try asker.ask(write.request, intent)
      if outcome.isSettled { settled += 1 }
      write.asked = outcome
      try Console.print(printed(write))
    }
    let open = log.unsettled.count - settled
    Console.log("\(counted(log.count, "write")), \(settled) settled by asking Core, \(open) not settled")
    return open == 0 ? 0 : 1
  }
}

/// The writes of a log whose outcome is not known.
private struct UnsettledWrites {
  private(set) var count = 0
  private(set) var writers = AuditWriters()
  /// In the order of the log.
  let unsettled: [LoggedWrite]

  /// - Parameter asker: reads the names of all writes; then writes that were only accepted count, too.
  init(_ files: AuditFiles, _ asker: OutcomeAsker?) throws(CommandFault) {
    var pending: [AuditRequestID: LoggedWrite] = [:]
    var (count, writers) = (0, AuditWriters())
    try files.forEachLine { line, _ in
      guard let entry = AuditEntry(line) else { return }
      writers.read(entry)
      guard let request = entry.request else { return }
      switch (entry.kind, entry.outcome) {
      case (.intent, _):
        pending[request] = LoggedWrite(intent: line, request, index: count, writer: entry.writer)
        count += 1
        asker?.read(intent: line, request)
      case (.outcome, let outcome?):
        if outcome == .unknown || outcome == .accepted && asker != nil {
          pending[request]?.outcomeLine = line.bytes
        } else {
          pending[request] = nil
        }
        asker?.read(outcome, of: request, line)
      case (.command, let outcome?):
        pending[request] = nil
        asker?.read(outcome, of: request, line)
      case (.outcome, nil), (.command, nil), (.start, _), (.grant, _), (.reload, _), (.end, _): break
      }
    }
    (self.count, self.writers) = (count, writers)
    unsettled = pending.values.sorted { $0.index < $1.index }
  }
}
