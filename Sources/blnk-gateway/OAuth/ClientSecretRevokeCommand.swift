import Digests
import Policies

extension Command {
  static let clientSecretRevoke = Command(
    name: "client secret revoke", summary: "remove a client secret, so that no one gets tokens with it",
    usage: "--client ID (--digest PREFIX | --note TEXT) [OPTIONS]",
    description: """
      Removes the secret from "oauth" of the client's entry and changes nothing else
      in the file. Then it waits up to 5 s for the running gateway to apply the change.

      Tokens that were issued with the secret stay valid until they expire. To end
      those, too, set "tokens_not_before" of the client's entry to the current time.

      Prints nothing on standard output. What was removed, and whether the change is
      in force, goes to standard error.
      """,
    options: [
      Option(name: "--client", value: "ID", help: "the client"),
      Option(
        name: "--digest", value: "PREFIX",
        help: "remove the secret whose digest begins with these 4 to 64 digits, as in \"token list\""),
      Option(name: "--note", value: "TEXT", help: "remove the secret with exactly this note"), .policies,
    ] + InForceCheck.options,
    exitCodes: InForceCheck.exitCodes,
    example: "blnk-gateway client secret revoke --client shop --digest 7fa1f13e",
    noOperandsReason: "takes no arguments; see --help"
  ) { arguments throws(CommandFault) in
    let id = try arguments.clientID(of: command)
    let selection = try selection(arguments)
    let session = try PolicyEditSession(arguments, for: command)
    let client = try session.client(id)
    let secret = try selection.onlyMatch(in: client)
    let edit = client.removing(secret: secret)
    try session.write(edit)
    Console.log("\(id)'s client secret \(secret.digest.hex.prefix(12)) is removed from \(edit.file).")
    Console.log(
      "Tokens that were issued with it stay valid until they expire; to end them, add to clients.\(id): "
        + "\"tokens_not_before\": \"\(UnixSeconds.now)\"")
    Console.log(
      try session.waitUntilInForce(edit, recording: [("client", id), ("secret_sha256", secret.digest.logged)]))
    return 0
  }

  private static let command = "client secret revoke"

  private enum Selection {
    case digest(DigestPrefix)
    case note(String)

    func onlyMatch(in client: ClientEntry) throws(CommandFault) -> ListedToken {
      let matches = client.secrets.filter { secret in
        switch self {
        case .digest(let prefix): prefix.matches(secret.digest)
        case .note(let text): secret.note == text
        }
      }
      let listed = "see \"token list --client \(client.id)\""
      guard let first = matches.first else {
        throw .failed("\(command): \(client.id) has no such client secret; \(listed)")
      }
      guard matches.count == 1 else {
        let names = matches.map { secret in secret.digest.hex.prefix(12) }.joined(separator: ", ")
        throw .failed(
          "\(command): \(matches.count) client secrets match: \(names); choose one with --digest; \(listed)")
      }
      return first
    }
  }

  private static func selection(_ arguments: Arguments) throws(CommandFault) -> Selection {
    switch (arguments.value("--digest"), arguments.value("--note")) {
    case (let text?, nil): .digest(try DigestPrefix(text, for: command))
    case (nil, let text?): .note(text)
    case (nil, nil), (_?, _?): throw .usage("\(command): needs either --digest PREFIX or --note TEXT; see --help")
    }
  }
}
