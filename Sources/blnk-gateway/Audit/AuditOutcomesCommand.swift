import Telemetry

extension Command {
  static let auditOutcomes = Command(
    name: "audit outcomes", abstract: "lists the writes of an audit log of which nobody knows whether Core did them",
    lesson: """
      A write is listed when its outcome is "unknown" (Core broke off, answered 5xx or did not answer in time), or is missing:
      it is under way, or its outcome was not on the disk when the gateway was killed, and the client may have been answered.
      Its line says which, as far as the log tells; with --json "outcome_missing" says "still_open", "killed" or "ended". Ask the Core what became of it before it is sent again.
      Exit code 0 when there is none, 1 when there are some, 2 when the command line is not understood.

        blnk-gateway audit outcomes audit.log.1 audit.log
        blnk-gateway audit outcomes --json audit.log | jq -r .intent.path
      """,
    flags: [
      Flag(name: "--json", value: nil, about: "one JSON object a line, with the entries \"intent\" and \"outcome\"")
    ],
    operands: "FILE…"
  ) { arguments throws(CommandFault) in
    let files = try AuditFiles(arguments, of: "audit outcomes")
    /// Writes that may be listed, by their place in the log; most leave it at once.
    var open: [AuditRequestID: (place: Int, call: AuditedCall)] = [:]
    var writes = 0
    var writers = AuditWriters()
    try files.forEachLine { line, _ in
      guard let entry = AuditEntry(line) else { return }
      writers.read(entry)
      guard let request = entry.request else { return }
      switch entry.kind {
      case .intent:
        open[request] = (writes, AuditedCall(intent: line, writer: entry.writer))
        writes += 1
      case .outcome: entry.outcome == .unknown ? open[request]?.call.outcomeLine = line.bytes : (open[request] = nil)
      case .start, .end: break
      }
    }
    let calls = open.values.sorted { $0.place < $1.place }.map(\.call)
    for call in calls { try Console.print(arguments.isSet("--json") ? call.json(writers) : call.text(writers)) }
    Console.note("\(counted(writes, "write")), \(calls.count) of them with an outcome that is not known")
    return calls.isEmpty ? 0 : 1
  }
}
