import Audit

extension Command {
  static let auditOutcomes = Command(
    name: "audit outcomes", summary: "list the writes whose outcome at Core is unknown", usage: "[--json] FILE...",
    description: """
      A write is listed if its outcome is "unknown" (Core closed the connection,
      answered 5xx or timed out), or if the log has no outcome: the write is in
      progress, or the outcome was not on disk when the gateway was killed. In both
      cases, Core may have done it and the client may have got a response: check at
      Core before you send the write again.

      Prints each write as "audit show" does. With --json, "outcome_missing" is
      "still_open" (the gateway has not stopped, as far as the files show), "killed"
      (it was killed) or "ended" (it stopped without writing the outcome). The number of writes goes to standard error.
      The files may be given in any order; - is standard input.
      """,
    options: [.auditJSON],
    exitCodes: [0: "no such writes", 1: "there are such writes, or a file cannot be read"],
    example: """
      blnk-gateway audit outcomes audit.log.1 audit.log
      blnk-gateway audit outcomes --json audit.log | jq -r .intent.path
      """,
    takesOperands: true
  ) { arguments throws(CommandFault) in
    let files = try AuditFiles(arguments, of: "audit outcomes")
    /// The writes to list so far, with their position in the log.
    var pending: [AuditRequestID: (index: Int, write: LoggedWrite)] = [:]
    var writes = 0
    var writers = AuditWriters()
    try files.forEachLine { line, _ in
      guard let entry = AuditEntry(line) else { return }
      writers.read(entry)
      guard let request = entry.request else { return }
      switch entry.kind {
      case .intent:
        pending[request] = (writes, LoggedWrite(intent: line, writer: entry.writer))
        writes += 1
      case .outcome:
        if entry.outcome == .unknown {
          pending[request]?.write.outcomeLine = line.bytes
        } else {
          pending[request] = nil
        }
      case .start, .grant, .command, .end: break
      }
    }
    let listed = pending.values.sorted { $0.index < $1.index }.map(\.write)
    for write in listed { try Console.print(arguments.isSet("--json") ? write.json(writers) : write.text(writers)) }
    Console.log("\(counted(writes, "write")), \(listed.count) with an unknown outcome")
    return listed.isEmpty ? 0 : 1
  }
}
