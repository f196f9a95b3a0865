import Digests
import OAuth
import Policies

extension Command {
  static let tokenRevoke = Command(
    name: "token revoke", summary: "revoke a token, or all tokens of a client",
    usage: "(--digest PREFIX | --token-stdin | --client ID --all) [OPTIONS]",
    description: """
      Adds the token or the client to revoked.json, which takes effect even if other
      policy files are invalid. (If the clients' files are invalid, --digest needs all
      64 digits.) Then it waits up to 5 s for the running gateway to apply the change.
      The token stays listed in the client's entry, so that logs can be understood
      later. To undo a revocation, remove it from revoked.json.

      --token-stdin also takes a token of the token endpoint: an access token is
      revoked alone, a refresh token or a code with all tokens that it gives. The
      command then reads the keys of the policy, as "serve" does; without them, it
      revokes the token alone, by its digest.

      Prints nothing on standard output. What was revoked, and whether it is in force,
      goes to standard error.
      """,
    options: [
      Option(
        name: "--digest", value: "PREFIX",
        help: "revoke the token whose digest begins with these 4 to 64 digits, as in \"token list\""),
      Option(name: "--token-stdin", value: nil, help: "revoke the token on standard input"),
      Option(
        name: "--client", value: "ID", help: "the client: with --all, revoke it; else the token must belong to it"),
      Option(name: "--all", value: nil, help: "revoke all current and future tokens of --client"),
      .policies,
    ] + InForceCheck.options,
    exitCodes: [
      0: "revoked, or already revoked before", 1: "nothing was written",
      3: "the change is written, but the running gateway has not applied it",
    ],
    example: """
      blnk-gateway token revoke --digest 7fa1f13e
      blnk-gateway token revoke --token-stdin < leaked.txt
      """,
    noOperandsReason: "takes no arguments, because process lists and shell histories show them; see --help"
  ) { arguments throws(CommandFault) in
    let selection = try selection(arguments)
    let session = try PolicyEditSession(arguments, for: "token revoke")
    let (entry, description, owner) = try find(selection, arguments.value("--client"), session)
    let file = RevokedFile(session.folder)
    guard file.findings.isEmpty else {
      for line in file.findings.lines { Console.log(line) }
      throw .failed("token revoke: \(session.folder.path)/\(RevokedFile.name) is invalid; nothing was written")
    }
    if file.revocations.contains(entry) {
      Console.log("\(description) is already revoked; nothing was written.")
      return 0
    }
    let edit = file.adding(entry)
    try session.write(edit)
    Console.log("\(description) is revoked in \(edit.file).")
    let change = (owner.map { [("client", $0)] } ?? []) + entry.logged
    Console.log(try session.waitUntilInForce(edit, recording: change))
    return 0
  }

  private enum Selection {
    case prefix(DigestPrefix)
    case token(Digest)
    /// A token of the token endpoint.
    case signed(String)
    case client
  }

  private static func selection(_ arguments: Arguments) throws(CommandFault) -> Selection {
    switch (arguments.value("--digest"), arguments.isSet("--token-stdin"), arguments.isSet("--all")) {
    case (let text?, false, false):
      let prefix = try DigestPrefix(text, for: "token revoke")
      return prefix.digest.map { .token($0) } ?? .prefix(prefix)
    case (nil, true, false):
      let text = try readToken(for: "token revoke")
      guard !text.contains(where: \.isWhitespace) else {
        throw .failed(
          "token revoke: standard input has other text besides a token; \"token scan -\" finds the tokens in it, and their "
            + "digests for --digest")
      }
      return SignedTokenReport.hasForm(text) ? .signed(text) : .token(Token.digest(of: text))
    case (nil, false, true) where arguments.value("--client") != nil: return .client
    default:
      throw .usage(
        "token revoke: needs one of --digest PREFIX, --token-stdin, or --all with --client ID; see --help")
    }
  }

  /// The entry for revoked.json, and a description of it.
  ///
  /// If the clients' files are invalid, a whole digest or a client's id is accepted without finding it there.
  private static func find(
    _ selection: Selection, _ id: String?, _ session: borrowing PolicyEditSession
  ) throws(CommandFault) -> (entry: RevokedEntry, description: String, client: String?) {
    switch selection {
    case .prefix(let prefix):
      let clients = if let id { [try session.client(id)] } else { try session.entries().clients }
      let (client, token) = try prefix.onlyMatch(in: clients, for: "token revoke")
      return (.token(token.digest), "\(client.id)'s token \(token.digest.hex.prefix(12))", client.id)
    case .token(let digest):
      let entries = ClientEntries(session.folder)
      let owner = entries.clients.first { client in client.tokens.contains { $0.digest == digest } }
      // If all files are valid, a token of no client is a mistake, unless there are tokens without entries.
      guard owner != nil || !entries.findings.isEmpty || acceptsTokensWithoutEntry(session) else {
        throw .failed("token revoke: no client has this token; see \"token list\"")
      }
      guard id == nil || owner == nil || owner?.id == id else {
        throw .failed("token revoke: the token belongs to \(owner?.id ?? ""), not \(id ?? ""); nothing was written")
      }
      return (
        .token(digest),
        "\(owner.map { "\($0.id)'s token" } ?? "the token, which no client has,") \(digest.hex.prefix(12))", owner?.id
      )
    case .signed(let text): return try findSigned(text, id, session)
    case .client:
      let entries = ClientEntries(session.folder)
      let id = id ?? ""
      if entries.findings.isEmpty, !entries.clients.contains(where: { $0.id == id }) { _ = try session.client(id) }
      return (.client(id), "client \(id)", id)
    }
  }
}

extension Command {
  /// Whether there are tokens of other servers, or of the token endpoint.
  private static func acceptsTokensWithoutEntry(_ session: borrowing PolicyEditSession) -> Bool {
    session.folderWithoutKeys.load().policy.map { $0.introspection != nil || $0.settings.oauth != nil } ?? true
  }

  private static func findSigned(
    _ text: String, _ client: String?, _ session: borrowing PolicyEditSession
  ) throws(CommandFault) -> (entry: RevokedEntry, description: String, client: String?) {
    let result = session.folder.load()
    guard let policy = result.policy else {
      for line in result.findings.lines { Console.log(line) }
      let digest = Token.digest(of: text)
      if !text.hasPrefix(SignedTokenKind.access.prefix) {
        Console.log(
          "token revoke: the policy or its keys cannot be read, so access tokens that this token gave are not known; they "
            + "stay valid until they expire, unless you revoke all of the client with --client ID --all")
      }
      if let client { Console.log("token revoke: that the token belongs to \(client) was not checked") }
      return (.token(digest), "the token \(digest.hex.prefix(12)), whose client is not known,", nil)
    }
    guard let token = policy.report(onSigned: text, revoked: [], at: .now)?.content else {
      throw .failed(
        "token revoke: the token was not signed with a key of this policy, so no gateway accepts it; see explain "
          + "--token-stdin")
    }
    guard client == nil || client == token.client else {
      throw .failed(
        "token revoke: the token belongs to \(token.client), not \(client ?? ""); nothing was written")
    }
    guard token.isAccess else {
      return (.signed(token.grant), "\(token.client)'s grant \(token.grant.hex)", token.client)
    }
    return (.signed(token.id), "\(token.client)'s token \(token.id.hex)", token.client)
  }
}

extension RevokedEntry {
  /// What the audit log has besides the client.
  fileprivate var logged: [(String, String)] {
    switch self {
    case .token(let digest): [("token_sha256", digest.logged)]
    case .signed(let id): [("token_id", id.hex)]
    case .client: []
    }
  }
}

extension Revocations {
  fileprivate func contains(_ entry: RevokedEntry) -> Bool {
    switch entry {
    case .token(let digest): tokens.contains(digest)
    case .signed(let id): tokenIDs.contains(id)
    case .client(let id): clients.contains(id)
    }
  }
}

/// The first digits of a token's digest.
struct DigestPrefix {
  private let text: String

  init(_ text: String, for command: String) throws(CommandFault) {
    let isPrefix = (4...64).contains(text.utf8.count) && text.allSatisfy { $0.isASCII && $0.isHexDigit }
    // The message does not repeat the text, which may be a token by mistake.
    guard isPrefix else {
      throw .usage("\(command): --digest must be 4 to 64 hex digits, as in \"token list\"")
    }
    self.text = text.lowercased()
  }

  /// The digest, if all digits are given.
  var digest: Digest? { Digest(hex: text) }

  func matches(_ digest: Digest) -> Bool { digest.hex.hasPrefix(text) }

  /// The token with this digest. Fails if there is none or more than one.
  func onlyMatch(
    in clients: [ClientEntry], for command: String
  ) throws(CommandFault) -> (client: ClientEntry, token: ListedToken) {
    let matches = clients.flatMap { client in
      client.tokens.filter { self.matches($0.digest) }.map { token in (client: client, token: token) }
    }
    guard let first = matches.first else {
      throw .failed("\(command): no client has a token with this digest; see \"token list\"")
    }
    guard matches.count == 1 else {
      let names = matches.map { match in "\(match.token.digest.hex.prefix(12)) of \(match.client.id)" }
      throw .failed(
        "\(command): \(matches.count) digests begin like this: \(names.joined(separator: ", ")); give more digits"
      )
    }
    return first
  }
}
