import Digests
import System
import Telemetry

extension Command {
  static let auditVerify = Command(
    name: "audit verify", abstract: "says whether an audit log is whole, or what was changed in it",
    lesson: """
      Follows the chains of an audit log through its files, given in any order, and names file, line and entry of what was
      changed, dropped, repeated, reordered or cut. What was cut off at the very end shows only against a head that was kept
      elsewhere: the last line that this prints, given back with --expect some other day, with the files since then.
      Compressed files come through a pipe, and then all files in the order in which they were written; - is standard input.
      Exit code 0 when all is whole, 1 when it is not, 2 when the command line is not understood.

        blnk-gateway audit verify --key-file audit.key audit.log audit.log.1
        blnk-gateway audit verify --expect 6b0e4f2a90c1d7e3:42:9f86d081884c7d65… audit.log
        blnk-gateway audit verify --key-file <(printenv BLNK_AUDIT_KEY) audit.log
        zcat audit.log.3.gz audit.log.2.gz | blnk-gateway audit verify --key-file audit.key - audit.log.1 audit.log
      """,
    flags: [
      Flag(
        name: "--key-file", value: "FILE",
        about: "the file that \"audit_key\" names; without it the chain has to be plain"),
      Flag(
        name: "--expect", value: "HEAD", about: "an entry that has to be there, as WRITER:SEQ:HASH or its HASH alone"),
      Flag(name: "--json", value: nil, about: "one JSON object instead of lines"),
    ], operands: "FILE…"
  ) { arguments throws(CommandFault) in
    let expected = try arguments.expectedHead()
    let key = try arguments.auditKey()
    let files = try AuditFiles(arguments, of: "audit verify")
    guard key != nil || !files.isKeyed else {
      throw .usage("audit verify: the chain is under a key; name the file that \"audit_key\" names with --key-file")
    }
    var verifier = AuditVerifier(AuditChain(key: key), expecting: expected)
    try files.forEachLine(begin: { verifier.begin(file: $0) }) { verifier.read($0, isWhole: $1) }
    verifier.end()
    let report = AuditReport(verifier, files: files.names)
    try arguments.isSet("--json") ? Console.print(Console.json(report)) : report.print()
    return report.ok ? 0 : 1
  }
}

private struct AuditReport: Encodable {
  struct Line: Encodable {
    let file: String
    let line: Int
    let message: String

    init(_ finding: AuditFinding) {
      (file, line, message) = (finding.file, finding.line, finding.message)
    }
  }

  let ok: Bool
  let files: [String]
  let entries: Int
  let findings: [Line]
  let furtherFindings: Int
  let notes: [Line]
  let head: String?

  init(_ verifier: AuditVerifier, files: [String]) {
    // A log has a start at least; what has none is no log, or all of it is gone.
    ok = verifier.findings.isEmpty && verifier.entries > 0
    self.files = files
    entries = verifier.entries
    findings = verifier.findings.map(Line.init)
    furtherFindings = verifier.furtherFindings
    notes = verifier.notes.map(Line.init)
    head = verifier.head?.description
  }

  func print() throws(CommandFault) {
    for line in notes { try Console.print("\(line.file):\(line.line): note: \(line.message)") }
    for line in findings { try Console.print("\(line.file):\(line.line): \(line.message)") }
    if furtherFindings > 0 { try Console.print("and \(furtherFindings) more") }
    let count = findings.count + furtherFindings
    let state =
      ok ? "whole" : entries == 0 ? "no entries: no audit log, or all of it is gone" : "NOT WHOLE, \(count) found"
    try Console.print("\(files.joined(separator: ", ")): \(counted(entries, "entry", "entries")), \(state)")
    if let head { try Console.print("head \(head)") }
  }
}

/// The longest key that the gateway takes, and its end of line.
private let keyFileBytesMax = 4096 + 2

extension Arguments {
  fileprivate func expectedHead() throws(CommandFault) -> Digest? {
    guard let text = value("--expect") else { return nil }
    guard let hash = AuditHead(text)?.hash ?? Digest(hex: text) else {
      throw .usage(
        "audit verify: --expect \(text): must be WRITER:SEQ:HASH, as the last line of this command, or 64 hex digits")
    }
    return hash
  }

  /// As the gateway reads it: without one newline at the end.
  fileprivate func auditKey() throws(CommandFault) -> [UInt8]? {
    guard let path = value("--key-file") else { return nil }
    var key: [UInt8] = []
    do throws(Errno) {
      key = try InputFile(path: path).read(keyFileBytesMax + 1)
    } catch {
      throw .failed("audit verify: --key-file \(path): \(error)")
    }
    guard key.count <= keyFileBytesMax else {
      throw .failed("audit verify: --key-file \(path): longer than \(keyFileBytesMax) bytes")
    }
    if key.last == UInt8(ascii: "\n") { key.removeLast(key.dropLast().last == UInt8(ascii: "\r") ? 2 : 1) }
    guard !key.isEmpty else { throw .failed("audit verify: --key-file \(path): it is empty, or no file") }
    return key
  }
}
