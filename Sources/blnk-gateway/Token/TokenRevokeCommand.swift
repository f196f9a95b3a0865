import Digests
import Policies

extension Command {
  static let tokenRevoke = Command(
    name: "token revoke", abstract: "revokes a token, or all of a client, at once",
    lesson: """
      Writes the token's digest into revoked.json, which the gateway reads before all other files and whatever their state,
      and waits until the running gateway has it in force (exit code 3 if it does not take it within 5 s). Name the token
      by the first digits of its digest (at least 4; all 64 where the clients' files cannot be read), or show it on standard
      input. With --client and --all, all that the client has or will have is revoked. "token list" and logs still say whose
      a token was. To take a revocation back, take its entry out of revoked.json.

        blnk-gateway token revoke --digest 7fa1f13e
        blnk-gateway token revoke --token-stdin < leaked.txt
        blnk-gateway token revoke --client demo-app --all
      """,
    flags: [
      .policies, .client, .digest,
      Flag(name: "--token-stdin", value: nil, about: "the token itself, from standard input"),
      Flag(name: "--all", value: nil, about: "all of --client, tokens to come included"),
    ] + InForce.flags,
    operandsRefused: "takes no arguments, which process lists and shell histories show; see --help"
  ) { arguments throws(CommandFault) in
    let named = try named(arguments)
    let editing = try TokenEditing(arguments, for: "token revoke")
    let (entry, what) = try find(named, arguments.value("--client"), editing)
    let file = RevokedFile(editing.folder)
    guard file.findings.isEmpty else {
      for line in file.findings.lines { Console.note(line) }
      throw .failed("token revoke: \(editing.folder.path)/\(RevokedFile.name) cannot be read; nothing was done")
    }
    if file.revocations.contains(entry) {
      Console.note("\(what) was revoked before; nothing was written.")
      return 0
    }
    let edit = file.adding(entry)
    try editing.write(edit)
    Console.note("\(what) is revoked, in \(edit.file).")
    Console.note(try editing.settle(edit))
    return 0
  }

  private enum Named {
    case prefix(DigestPrefix)
    case token(Digest)
    case client
  }

  private static func named(_ arguments: Arguments) throws(CommandFault) -> Named {
    switch (arguments.value("--digest"), arguments.isSet("--token-stdin"), arguments.isSet("--all")) {
    case (let text?, false, false):
      let prefix = try DigestPrefix(text, for: "token revoke")
      return prefix.whole.map { .token($0) } ?? .prefix(prefix)
    case (nil, true, false): return .token(Token.digest(of: try readToken(for: "token revoke")))
    case (nil, false, true) where arguments.value("--client") != nil: return .client
    default:
      throw .usage(
        "token revoke: needs one of --digest PREFIX, --token-stdin, or --all with --client ID; see --help")
    }
  }

  /// What to write, and what to call it. Where clients' files cannot be read, a whole digest and a client's name do.
  private static func find(
    _ named: Named, _ id: String?, _ editing: borrowing TokenEditing
  ) throws(CommandFault) -> (entry: RevokedEntry, what: String) {
    switch named {
    case .prefix(let prefix):
      let clients = if let id { [try editing.client(id)] } else { try editing.entries().clients }
      let (client, token) = try prefix.one(in: clients, for: "token revoke")
      return (.token(token.digest), "\(client.id)'s token \(token.digest.hex.prefix(12))")
    case .token(let digest):
      let entries = ClientEntries(editing.folder)
      let owner = entries.clients.first { client in client.tokens.contains { $0.digest == digest } }
      // Where all can be read, a token that nobody has is a mistake.
      guard owner != nil || !entries.findings.isEmpty else {
        throw .failed("token revoke: no client has such a token; see \"token list\"")
      }
      guard id == nil || owner == nil || owner?.id == id else {
        throw .failed("token revoke: the token is not \(id ?? "")'s but \(owner?.id ?? "")'s; nothing was done")
      }
      return (.token(digest), "\(owner.map { "\($0.id)'s token" } ?? "the token") \(digest.hex.prefix(12))")
    case .client:
      let entries = ClientEntries(editing.folder)
      let id = id ?? ""
      if entries.findings.isEmpty, !entries.clients.contains(where: { $0.id == id }) { _ = try editing.client(id) }
      return (.client(id), "client \(id)")
    }
  }
}

extension Revocations {
  fileprivate func contains(_ entry: RevokedEntry) -> Bool {
    switch entry {
    case .token(let digest): tokens.contains(digest)
    case .client(let id): clients.contains(id)
    }
  }
}

/// The first digits of a token's digest, by which people name it.
struct DigestPrefix {
  private let text: String

  init(_ text: String, for command: String) throws(CommandFault) {
    let isPrefix = (4...64).contains(text.utf8.count) && text.allSatisfy { $0.isASCII && $0.isHexDigit }
    // Not repeated: it may be a token.
    guard isPrefix else {
      throw .usage("\(command): --digest must be 4 to 64 hex digits, as \"token list\" shows them")
    }
    self.text = text.lowercased()
  }

  /// The digest itself where all digits are given.
  var whole: Digest? { Digest(hex: text) }

  /// The one token that it names.
  func one(
    in clients: [ClientEntry], for command: String
  ) throws(CommandFault) -> (client: ClientEntry, token: ListedToken) {
    let named = clients.flatMap { client in
      client.tokens.filter { $0.digest.hex.hasPrefix(text) }.map { token in (client: client, token: token) }
    }
    guard let first = named.first else { throw .failed("\(command): no client has such a token; see \"token list\"") }
    guard named.count == 1 else {
      let names = named.map { found in "\(found.token.digest.hex.prefix(12)) of \(found.client.id)" }
      throw .failed("\(command): \(named.count) tokens begin so: \(names.joined(separator: ", ")); give more digits")
    }
    return first
  }
}
