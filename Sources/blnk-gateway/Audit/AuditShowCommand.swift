import Telemetry

extension Command {
  static let auditShow = Command(
    name: "audit show", abstract: "tells the story of a balance or an identity from an audit log",
    lesson: """
      Every write that named it, in the order of the log: when, what, by which client and token, and what Core answered. A
      balance is named by the path; an identity by the path, or by "identity_id" of the body. A write whose outcome is not in
      the files is still open, or says why it has none. It reads the log as it is;
      "audit verify" says whether it can be believed. Exit code 0, also when there is nothing to tell.

        blnk-gateway audit show --balance bln_0b6fb4fe-8acc-4a53-8cee-985deec6792b audit.log.1 audit.log
        blnk-gateway audit show --identity idt_758170e5-3f3a-458f-abaf-4272e2488b94 --json audit.log | jq .outcome.status
      """,
    flags: [
      Flag(name: "--balance", value: "ID", about: "the balance"),
      Flag(name: "--identity", value: "ID", about: "the identity"),
      Flag(name: "--json", value: nil, about: "one JSON object a line, with the entries \"intent\" and \"outcome\""),
    ], operands: "FILE…"
  ) { arguments throws(CommandFault) in
    let subject = try AuditSubject(arguments)
    let files = try AuditFiles(arguments, of: "audit show")
    var calls: [AuditedCall] = []
    var places: [AuditRequestID: Int] = [:]
    var writers = AuditWriters()
    try files.forEachLine { line, _ in
      guard let entry = AuditEntry(line) else { return }
      writers.read(entry)
      guard let request = entry.request else { return }
      if entry.kind == .intent, subject.isNamed(by: line) {
        places[request] = calls.count
        calls.append(AuditedCall(intent: line, writer: entry.writer))
      } else if entry.kind == .outcome, let place = places[request] {
        calls[place].outcomeLine = line.bytes
      }
    }
    for call in calls { try Console.print(arguments.isSet("--json") ? call.json(writers) : call.text(writers)) }
    if calls.isEmpty { Console.note("no write in \(files.names.joined(separator: ", ")) names \(subject.id)") }
    return 0
  }
}

/// Whose story is told.
private struct AuditSubject {
  let id: String
  private let isBalance: Bool
  /// What the id is in a line; nil where it has escapes there, and every intent is decoded.
  private let plain: [UInt8]?

  init(_ arguments: Arguments) throws(CommandFault) {
    switch (arguments.value("--balance"), arguments.value("--identity")) {
    case (let id?, nil): (self.id, isBalance) = (id, true)
    case (nil, let id?): (self.id, isBalance) = (id, false)
    case (nil, nil), (_?, _?): throw .usage("audit show: name either --balance ID or --identity ID; see --help")
    }
    let isPlain = id.utf8.allSatisfy { (0x20..<0x7f).contains($0) && !#""\"#.utf8.contains($0) }
    plain = isPlain ? Array(#""\#(id)""#.utf8) : nil
  }

  func isNamed(by line: Span<UInt8>) -> Bool {
    if let plain, !line.contains(plain) { return false }
    guard let intent = AuditedCall.Intent(line: line.bytes) else { return false }
    // A route such as /proxy/:id/metadata does not say what its id is.
    let path = [intent.target?[isBalance ? "balance_id" : "identity_id"], intent.target?["id"]]
    return path.contains(id) || !isBalance && intent.named?["identity_id"] == id
  }
}
