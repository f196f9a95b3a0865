import Audit
import FoundationEssentials

extension Command {
  static let auditGrants = Command(
    name: "audit grants", summary: "list what was granted, refused and revoked through OAuth",
    usage: "[--client ID] [--json] [FILE...]",
    description: """
      Prints a line for each request to the token endpoint and the revocation
      endpoint, and for each code that "oauth code" has issued, in the order of the
      log: when, which client, what it got or why not, and from where. The start of a
      token's id is "token_id" in the access log and in the intents of writes;
      "token_ids" of revoked.json takes either id.

      Without FILE, it reads the "audit_log" of gateway.json. The files may be given in
      any order; - is standard input. This command trusts the log: use "audit verify"
      to check it.
      """,
    options: [
      Option(name: "--client", value: "ID", help: "list only this client's entries"),
      Option(name: "--json", value: nil, help: "print the entries as they are in the log, one JSON object per line"),
      .policies, .state,
    ],
    exitCodes: [0: "success, even if there are no such entries", 1: "a file cannot be read"],
    example: """
      blnk-gateway audit grants --client shop audit.log.1 audit.log
      blnk-gateway audit grants --json audit.log | jq -r 'select(.event == "refused") | .peer'
      """,
    takesOperands: true
  ) { arguments throws(CommandFault) in
    let files = try AuditFiles(arguments, of: "audit grants")
    let client = arguments.value("--client")
    var lines: [String] = []
    try files.forEachLine { line, _ in
      guard let entry = AuditEntry(line), entry.kind == .grant else { return }
      let bytes: [UInt8] = line.bytes
      let grant = LoggedGrant(auditLine: bytes)
      guard client == nil || grant?.client == client else { return }
      let verbatim = String(decoding: bytes, as: UTF8.self)
      lines.append(arguments.isSet("--json") ? verbatim : grant?.text ?? verbatim)
    }
    for line in lines { try Console.print(line) }
    if lines.isEmpty {
      let whose = client.map { " of the client \($0)" } ?? ""
      Console.log("no grant\(whose) in \(files.names.joined(separator: ", "))")
    }
    return 0
  }
}

/// An entry of the token endpoint in the audit log.
private struct LoggedGrant: Decodable {
  let time: String
  let requestId: String
  let event: String
  let client: String?
  let grantType: String?
  let scope: String?
  let tokenId: String?
  let grantId: String?
  let error: String?
  let user: String?
  let peer: String?
  let via: String?

  var text: String {
    let origin =
      user.map { "from the user \($0)" } ?? "from \(peer ?? "an unknown address")\(via.map { " via \($0)" } ?? "")"
    return "\(time)  \(what), \(origin), request \(requestId)"
  }

  private var what: String {
    let client = client ?? "an unknown client"
    switch event {
    case "granted":
      return "\(client) got the token \(tokenId ?? "") of the grant \(grantId ?? "") by \(grantType ?? ""), "
        + "scope \(scope ?? "")"
    case "issued": return "\(client) was issued a code for the grant \(grantId ?? ""), scope \(scope ?? "")"
    case "revoked": return "\(client) revoked \(grantId ?? "")"
    default: return "\(client) was refused: \(error ?? event)"
    }
  }
}
