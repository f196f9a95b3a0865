import Digests
import Policies

extension Command {
  static let tokenList = Command(
    name: "token list", abstract: "shows the clients' tokens by their digests",
    lesson: """
      One line a token: its client, the first digits of its digest, its state, its end, the instances that it is bound to and
      its own default among them (- where it has those of its client), and its note; a client without tokens has none. Active tokens are let in, expired ones are not, and neither are those that revoked.json names or whose client
      is revoked. No token is ever shown: the gateway does not know them. It reads clients.json, clients/ and revoked.json.

        blnk-gateway token list --client demo-app
        blnk-gateway token list --json | python3 -m json.tool
      """,
    flags: [.policies, .client, Flag(name: "--json", value: nil, about: "one JSON object instead of lines")]
  ) { arguments throws(CommandFault) in
    let folder = try PolicyFolder(arguments)
    let entries = try ClientEntries(valid: folder, for: "token list")
    let revoked = RevokedFile(folder)
    for line in revoked.findings.lines { Console.note(line) }
    let asked = arguments.value("--client")
    let clients = entries.clients.filter { client in asked == nil || client.id == asked }
    if let asked, clients.isEmpty {
      let hint = suggestion(for: asked, among: entries.clients.map(\.id))
      throw .failed("token list: there is no client \"\(asked)\" in \(folder.path)\(hint)")
    }
    let rows = clients.flatMap { client in client.tokens.map { token in TokenRow(client, token, revoked.revocations) } }
    try arguments.isSet("--json") ? Console.print(Console.json(TokenReport(tokens: rows))) : print(rows)
    return 0
  }

  private static func print(_ rows: [TokenRow]) throws(CommandFault) {
    let lines =
      [["CLIENT", "DIGEST", "STATE", "EXPIRES", "INSTANCES", "DEFAULT", "NOTE"]]
      + rows.map { row in
        [
          row.client, row.digest, row.state, row.expires ?? "never", row.instances?.joined(separator: ",") ?? "-",
          row.defaultInstance ?? "-", row.note ?? "",
        ]
      }
    let widths = (0..<6).map { column in lines.map { $0[column].count }.max() ?? 0 }
    for line in lines {
      let cells = zip(line, widths).map { cell, width in cell.padded(to: width) } + line.suffix(1)
      try Console.print(cells.joined(separator: "  ").replacing(#/ +$/#, with: ""))
    }
  }
}

private struct TokenReport: Encodable {
  let tokens: [TokenRow]
}

private struct TokenRow: Encodable {
  let client: String
  /// The first 12 digits: enough to tell tokens apart, and to name one to "revoke".
  let digest: String
  let state: String
  let expires: String?
  /// What it is bound to in its entry; nil: what its client has.
  let instances: [String]?
  let defaultInstance: String?
  let note: String?
  let file: String

  init(_ client: ClientEntry, _ token: ListedToken, _ revocations: Revocations) {
    self.client = client.id
    digest = String(token.digest.hex.prefix(12))
    state = client.state(of: token, at: .now, revocations).rawValue
    expires = token.expiry.map(\.description)
    instances = token.instances
    defaultInstance = token.defaultInstance
    note = token.note
    file = client.file
  }
}
