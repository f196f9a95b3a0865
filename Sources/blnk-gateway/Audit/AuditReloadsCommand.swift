import Audit
import FoundationEssentials
import Policies

extension Command {
  static let auditReloads = Command(
    name: "audit reloads", summary: "list the changes of the policy: reloads, and the commands that edited its files",
    usage: "[--json] [FILE...]",
    description: """
      Prints a line for each reload of the policy that took effect, in the order of the
      log: when, the first digits of the digests before and after, what changed, and
      the files with their owner (a user id) and time of change. "diff" shows more of
      two folders. A line for each command that has changed a file says what it has
      changed, and who ran it.

      Without FILE, it reads the "audit_log" of gateway.json. The files may be given in
      any order; - is standard input. This command trusts the log: use "audit verify"
      to check it.
      """,
    options: [
      Option(name: "--json", value: nil, help: "print the entries as they are in the log, one JSON object per line"),
      .policies, .state,
    ],
    exitCodes: [0: "success, even if there are no such entries", 1: "a file cannot be read"],
    example: """
      blnk-gateway audit reloads audit.log.1 audit.log
      blnk-gateway audit reloads --json audit.log | jq 'select(.gives_access)'
      """,
    takesOperands: true
  ) { arguments throws(CommandFault) in
    let files = try AuditFiles(arguments, of: "audit reloads")
    var lines: [String] = []
    try files.forEachLine { line, _ in
      guard let entry = AuditEntry(line), [.reload, .command].contains(entry.kind) else { return }
      let bytes: [UInt8] = line.bytes
      let change = entry.kind == .command ? LoggedChange(auditLine: bytes) : nil
      // Other commands change no file.
      guard entry.kind == .reload || change != nil else { return }
      let verbatim = String(decoding: bytes, as: UTF8.self)
      lines.append(
        arguments.isSet("--json") ? verbatim : change?.text ?? LoggedReload(auditLine: bytes)?.text ?? verbatim)
    }
    for line in lines { try Console.print(line) }
    if lines.isEmpty { Console.log("no change of the policy in \(files.names.joined(separator: ", "))") }
    return 0
  }
}

/// An entry of a command that has changed a file of the policy.
private struct LoggedChange: Decodable {
  let time: String
  let command: String
  let client: String?
  let instance: String?
  let tokenSha256: String?
  let secretSha256: String?
  let tokenId: String?
  let replaces: String?
  let file: String
  let user: String
  let uid: String
  let sudoUser: String?

  var text: String {
    let subjects = [
      client.map { "client \($0)" }, instance.map { "instance \($0)" }, tokenSha256.map { "token \($0)" },
      secretSha256.map { "secret \($0)" }, tokenId.map { "token id \($0)" }, replaces.map { "in place of \($0)" },
    ]
    let what = "\(command): \(subjects.compactMap(\.self).joined(separator: ", ")); \(file)"
    let who = "\(user) (user \(uid)\(sudoUser.map { ", sudo by \($0)" } ?? ""))"
    return "\(time)  \(printable("\(what), by \(who)"))"
  }
}

/// An entry of a reload in the audit log.
private struct LoggedReload: Decodable {
  struct File: Decodable {
    let name: String
    let owner: UInt32?
    let modified: String?
  }

  let time: String
  let generation: Int
  let before: String
  let after: String
  let givesAccess: Bool?
  let clientsGaining: Int?
  let clientsLosing: Int?
  let wider: Int?
  let tokensAdded: Int?
  let tokensRemoved: Int?
  let tokensRevoked: Int?
  let tokensChanged: Int?
  let files: [File]
  let moreFiles: Int?
  let instancesWithNewKeys: Int?
  let gaining: [String]?
  let losing: [String]?
  let newKeys: [String]?

  var text: String {
    let files = files.map { file in
      let origin = file.owner.map { owner in " (user \(owner), \(file.modified ?? ""))" } ?? " (gone)"
      return file.name + origin
    }
    let rest = moreFiles.map { ["\($0) more"] } ?? []
    let names = files.isEmpty ? "" : "; " + (files + rest).joined(separator: ", ")
    return "\(time)  generation \(generation), \(before.prefix(12)) → \(after.prefix(12)): \(summary)\(keys)\(names)"
  }

  private var keys: String {
    newKeys.map { "; another key or certificate for \(Self.list($0, of: instancesWithNewKeys))" } ?? ""
  }

  /// The first names, and how many there are besides.
  private static func list(_ names: [String], of count: Int?) -> String {
    let shown = names.prefix(namesMax).map(printable)
    let rest = max(names.count, count ?? 0) - shown.count
    return (shown + (rest > 0 ? ["\(rest) more"] : [])).joined(separator: ", ")
  }

  private static let namesMax = 5

  private var summary: String {
    guard let givesAccess else { return "not compared" }
    let counts = [
      (clientsGaining, "client gains access", "clients gain access", gaining),
      (wider, "other gain", "other gains", nil),
      (clientsLosing, "client loses access", "clients lose access", losing),
      (tokensAdded, "token added", "tokens added", nil), (tokensRemoved, "token removed", "tokens removed", nil),
      (tokensRevoked, "token revoked", "tokens revoked", nil), (tokensChanged, "token changed", "tokens changed", nil),
    ]
    let parts = counts.compactMap { count, one, many, names -> String? in
      guard let count, count > 0 else { return nil }
      return counted(count, one, many) + (names.map { " (\(Self.list($0, of: count)))" } ?? "")
    }
    return parts.isEmpty
      ? "no access changes" : parts.joined(separator: ", ") + (givesAccess ? "" : "; no client gains access")
  }
}
