import Audit
import Digests
import Policies
import System

extension Command {
  static let auditVerify = Command(
    name: "audit verify", summary: "check an audit log for changed, missing or reordered entries",
    usage: "[OPTIONS] [FILE...]",
    description: """
      Follows the hash chain of each writer through the files, which may be given in
      any order. Without FILE, it reads the "audit_log" of gateway.json, with its
      "audit_key".

      Prints file, line and entry of every violation, then the number of entries and
      "intact" or "NOT INTACT", and last the head: the newest entry. Keep heads
      elsewhere: only --expect with an earlier head detects that the end was cut off.

      Compressed files must come through a pipe. All files must then be given in the
      order in which they were written; - is standard input.
      """,
    options: [
      Option(
        name: "--key-file", value: "FILE",
        help: "the file with the \"audit_key\" of gateway.json; without it, the chain of a FILE must be unkeyed"),
      Option(
        name: "--expect", value: "HEAD",
        help: "an entry that the log must contain, as WRITER:SEQ:HASH or only HASH; give all files since that entry"),
      Option(name: "--json", value: nil, help: "print a JSON object instead of lines"),
      .policies, .state,
    ],
    exitCodes: [0: "the log is intact", 1: "the log is not intact, has no entries or cannot be read"],
    example: """
      blnk-gateway audit verify --key-file audit.key audit.log.1 audit.log
      blnk-gateway audit verify --key-file audit.key --expect 6b0e4f2a90c1d7e3:42:9f86d081884c7d65... audit.log
      blnk-gateway audit verify --key-file <(printenv BLNK_AUDIT_KEY) audit.log
      zcat audit.log.3.gz audit.log.2.gz | blnk-gateway audit verify --key-file audit.key - audit.log.1 audit.log
      """,
    takesOperands: true
  ) { arguments throws(CommandFault) in
    let expected = try arguments.expectedHead()
    let key = try arguments.auditKey()
    let files = try AuditFiles(arguments, of: "audit verify")
    guard key != nil || !files.isKeyed else {
      throw .usage(
        "audit verify: the chain is keyed; give the file with the \"audit_key\" of gateway.json as --key-file")
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
    // Every log has at least a start entry.
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
    let count = counted(findings.count + furtherFindings, "violation")
    let state = ok ? "intact" : entries == 0 ? "not an audit log, or all entries are gone" : "NOT INTACT, \(count)"
    try Console.print("\(files.joined(separator: ", ")): \(counted(entries, "entry", "entries")), \(state)")
    if let head { try Console.print("head \(head)") }
  }
}

/// The gateway's limit for a key, plus a line ending.
private let keyFileBytesMax = 4096 + 2

extension Arguments {
  fileprivate func expectedHead() throws(CommandFault) -> Digest? {
    guard let text = value("--expect") else { return nil }
    guard let hash = AuditHead(text)?.hash ?? Digest(hex: text) else {
      throw .usage(
        "audit verify: --expect \(text): must be WRITER:SEQ:HASH, as this command prints it, or 64 hex digits"
      )
    }
    return hash
  }

  /// Without one trailing newline, as the gateway reads it. Without operands, the log's own key is in the policy.
  fileprivate func auditKey() throws(CommandFault) -> [UInt8]? {
    guard let path = value("--key-file") else {
      return operands.isEmpty ? try GatewaySettings(in: PolicyFolder(self)).auditKey?.reveal() : nil
    }
    var key: [UInt8] = []
    do throws(Errno) {
      key = try InputFile(path: path).read(keyFileBytesMax + 1)
    } catch {
      throw .failed("audit verify: --key-file \(path): \(error)")
    }
    guard key.count <= keyFileBytesMax else {
      throw .failed("audit verify: --key-file \(path): exceeds \(keyFileBytesMax) bytes")
    }
    if key.last == UInt8(ascii: "\n") { key.removeLast(key.dropLast().last == UInt8(ascii: "\r") ? 2 : 1) }
    guard !key.isEmpty else { throw .failed("audit verify: --key-file \(path): is empty or not a file") }
    return key
  }
}
