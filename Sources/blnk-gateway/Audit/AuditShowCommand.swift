import Audit

extension Command {
  static let auditShow = Command(
    name: "audit show", summary: "list the writes to a balance or an identity",
    usage: "(--balance ID | --identity ID) [--json] FILE...",
    description: """
      Finds the writes that name the balance in their path, or the identity in their
      path or in "identity_id" of the body.

      Prints, in the order of the log: when, which operation, Core's response, and by
      which client and token. If a write has no outcome in the files, it prints why.
      The files may be given in any order; - is standard input. This command trusts
      the log: use "audit verify" to check it.
      """,
    options: [
      Option(name: "--balance", value: "ID", help: "list the writes to this balance"),
      Option(name: "--identity", value: "ID", help: "list the writes to this identity"),
      .auditJSON,
    ],
    exitCodes: [0: "success, even if there are no such writes", 1: "a file cannot be read"],
    example: """
      blnk-gateway audit show --balance bln_0b6fb4fe-8acc-4a53-8cee-985deec6792b audit.log.1 audit.log
      blnk-gateway audit show --identity idt_758170e5-3f3a-458f-abaf-4272e2488b94 --json audit.log | jq .outcome.status
      """,
    takesOperands: true
  ) { arguments throws(CommandFault) in
    let resource = try AuditedResource(arguments)
    let files = try AuditFiles(arguments, of: "audit show")
    var writes: [LoggedWrite] = []
    var indices: [AuditRequestID: Int] = [:]
    var writers = AuditWriters()
    try files.forEachLine { line, _ in
      guard let entry = AuditEntry(line) else { return }
      writers.read(entry)
      guard let request = entry.request else { return }
      if entry.kind == .intent, resource.isNamed(in: line) {
        indices[request] = writes.count
        writes.append(LoggedWrite(intent: line, request, index: writes.count, writer: entry.writer))
      } else if entry.kind == .outcome, let index = indices[request] {
        writes[index].outcomeLine = line.bytes
      } else if entry.kind == .command, let index = indices[request] {
        writes[index].settlementLine = line.bytes
      }
    }
    for write in writes { try Console.print(arguments.isSet("--json") ? write.json(writers) : write.text(writers)) }
    if writes.isEmpty { Console.log("no write in \(files.names.joined(separator: ", ")) names \(resource.id)") }
    return 0
  }
}

/// The balance or identity to look for.
private struct AuditedResource {
  let id: String
  private let isBalance: Bool
  /// The id as it appears in a line; nil if JSON would escape it, which requires decoding every intent.
  private let plain: [UInt8]?

  init(_ arguments: Arguments) throws(CommandFault) {
    switch (arguments.value("--balance"), arguments.value("--identity")) {
    case (let id?, nil): (self.id, isBalance) = (id, true)
    case (nil, let id?): (self.id, isBalance) = (id, false)
    case (nil, nil), (_?, _?): throw .usage("audit show: needs either --balance ID or --identity ID; see --help")
    }
    let isPlain = id.utf8.allSatisfy { (0x20..<0x7f).contains($0) && !#""\"#.utf8.contains($0) }
    plain = isPlain ? Array(#""\#(id)""#.utf8) : nil
  }

  func isNamed(in line: Span<UInt8>) -> Bool {
    if let plain, !line.contains(plain) { return false }
    guard let intent = LoggedWrite.Intent(line: line.bytes) else { return false }
    // A route such as /proxy/:id/metadata does not tell what kind of id it has.
    let path = [intent.target?[isBalance ? "balance_id" : "identity_id"], intent.target?["id"]]
    return path.contains(id) || !isBalance && intent.named?["identity_id"] == id
  }
}
