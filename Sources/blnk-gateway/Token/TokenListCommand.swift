import Digests
import Policies

extension Command {
  static let tokenList = Command(
    name: "token list", summary: "list the clients' tokens and client secrets by their digests", usage: "[OPTIONS]",
    description: """
      Reads clients.json, clients/ and revoked.json.

      Prints one line per token: its client, the first digits of its digest, its
      state, its expiry, the instances it is bound to and its default instance (- if
      it has those of its client), and its note. The state is "active", "expired" or
      "revoked"; only active tokens are accepted. Tokens themselves are never shown:
      the files contain only their digests.

      If clients have client secrets for the token endpoint, a second table lists
      those. Tokens that the endpoint has issued are in no file.
      """,
    options: [
      .policies, Option(name: "--client", value: "ID", help: "list only this client's tokens"),
      Option(name: "--json", value: nil, help: "print a JSON object instead of lines"),
    ],
    exitCodes: [0: "success", 1: "the client is unknown, or a file is invalid"],
    example: "blnk-gateway token list --client demo-app"
  ) { arguments throws(CommandFault) in
    let folder = try PolicyFolder(arguments)
    let entries = try ClientEntries(valid: folder, for: "token list")
    let revoked = RevokedFile(folder)
    for line in revoked.findings.lines { Console.log(line) }
    let id = arguments.value("--client")
    let clients = entries.clients.filter { client in id == nil || client.id == id }
    if let id, clients.isEmpty {
      let hint = suggestion(for: id, among: entries.clients.map(\.id))
      throw .failed("token list: unknown client \"\(id)\" in \(folder.path)\(hint)")
    }
    let rows = clients.flatMap { client in client.tokens.map { token in TokenRow(client, token, revoked.revocations) } }
    let secrets = clients.flatMap { client in
      client.secrets.map { secret in TokenRow(client, secret, revoked.revocations) }
    }
    guard !arguments.isSet("--json") else {
      try Console.print(Console.json(TokenReport(tokens: rows, secrets: secrets)))
      return 0
    }
    try Console.print(
      table: [["CLIENT", "DIGEST", "STATE", "EXPIRES", "INSTANCES", "DEFAULT", "NOTE"]]
        + rows.map { row in
          [
            row.client, row.digest, row.state, row.expires ?? "never", row.instances?.joined(separator: ",") ?? "-",
            row.defaultInstance ?? "-", row.note ?? "",
          ]
        })
    guard !secrets.isEmpty else { return 0 }
    try Console.print("")
    try Console.print(
      table: [["CLIENT", "SECRET", "STATE", "EXPIRES", "NOTE"]]
        + secrets.map { row in [row.client, row.digest, row.state, row.expires ?? "never", row.note ?? ""] })
    return 0
  }
}

private struct TokenReport: Encodable {
  let tokens: [TokenRow]
  /// Client secrets for the token endpoint.
  let secrets: [TokenRow]
}

private struct TokenRow: Encodable {
  let client: String
  /// The first 12 digits: enough to tell tokens apart, and for `token revoke --digest`.
  let digest: String
  let state: String
  let expires: String?
  /// The instances it is bound to; nil: those of its client.
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
