import Digests
import Policies

extension Command {
  static let tokenRevoke = Command(
    name: "token revoke", abstract: "ends one token now, and keeps it listed",
    lesson: """
      Sets "expires" of the token to now and leaves every other byte of the file as it is, so that "token list" and logs
      still say whose it was; delete the entry once nobody asks any more. Name the token by the first digits of its digest
      (at least 4), or show it on standard input. To take everything from a client set "revoked": true in its entry.

        blnk-gateway token revoke --digest 7fa1f13e
        blnk-gateway token revoke --token-stdin < leaked.txt
      """,
    flags: [
      .policies, .client, .digest,
      Flag(name: "--token-stdin", value: nil, about: "the token itself, from standard input"),
    ],
    operandsRefused: "takes no arguments, which process lists and shell histories show; see --help"
  ) { arguments throws(CommandFault) in
    let prefix: DigestPrefix
    switch (arguments.value("--digest"), arguments.isSet("--token-stdin")) {
    case (let text?, false): prefix = try DigestPrefix(text, for: "token revoke")
    case (nil, true): prefix = DigestPrefix(Token.digest(of: try readToken(for: "token revoke")))
    case (nil, false), (.some, true):
      throw .usage("token revoke: needs either --digest PREFIX or --token-stdin; see --help")
    }
    let editing = try TokenEditing(arguments, for: "token revoke")
    let clients = try arguments.value("--client").map { id throws(CommandFault) in [try editing.client(id)] }
    let (client, token) = try prefix.one(in: clients ?? editing.entries.clients, for: "token revoke")
    let now = UnixSeconds.now
    guard client.state(of: token, at: now) != .expired else {
      Console.note("\(client.id)'s token \(token.digest.hex.prefix(12)) has ended before; nothing was written.")
      return 0
    }
    let edit = client.ending(token, at: now)
    try editing.write(edit)
    Console.note(
      "\(client.id)'s token \(token.digest.hex.prefix(12)) ends now, in \(edit.file). \(TokenEditing.effect)")
    return 0
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

  init(_ digest: Digest) { text = digest.hex }

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
