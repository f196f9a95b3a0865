import Digests
import Policies

extension Command {
  static let tokenNew = Command(
    name: "token new", summary: "create a token, optionally for a client", usage: "[OPTIONS]",
    description: """
      With --client, adds the token's digest to the client's entry in clients.json or
      clients/ and changes nothing else in the file. Then it waits up to 5 s for the
      running gateway to apply the change. Without --client, it changes no file.

      Prints the new token on standard output, once: the files contain only its
      SHA-256. Give it to its holder. Everything else goes to standard error: whether
      the change is in force or, without --client, the entry to add to "tokens".
      """,
    options: [
      .policies, Option(name: "--client", value: "ID", help: "add the token to this client"), .note, .expires,
      Option(
        name: "--instance", value: "ID",
        help:
          "bind the token to this instance, also as its default instance; without this option: as its client"
      ),
    ] + InForceCheck.options,
    exitCodes: InForceCheck.exitCodes,
    example: "blnk-gateway token new --client demo-app --note laptop --expires 90d",
    noOperandsReason: "takes no arguments; see --help"
  ) { arguments throws(CommandFault) in
    let token = Token.mint()
    let new = try NewToken(token, arguments, for: "token new")
    guard let id = arguments.value("--client") else {
      try Console.print(token.text)
      Console.log(
        "The token is shown only this once. To use it, add this entry to \"tokens\" of a client:\n\(new.entry)")
      return 0
    }
    let session = try PolicyEditSession(arguments, for: "token new")
    let client = try session.client(id)
    if let instance = arguments.value("--instance") { try client.requireInstance(instance, in: session.folder) }
    let edit = client.adding(new)
    try session.write(edit)
    try Console.print(token.text)
    let binding = arguments.value("--instance").map { ", bound to \($0)" } ?? ""
    Console.log("A new token for \(id)\(binding), shown only this once. Its digest is in \(edit.file).")
    Console.log(try session.waitUntilInForce(edit, recording: [("client", id), ("token_sha256", token.digest.logged)]))
    return 0
  }
}

extension Digest {
  /// Its first digits, as in the logs.
  var logged: String { String(hex.prefix(8)) }
}

extension NewToken {
  /// A token with the values of --note, --expires and --instance; `note` and `expiry` are the defaults.
  init(
    _ token: Token, _ arguments: Arguments, note: String? = nil, expiry: UnixSeconds? = nil, for command: String
  ) throws(CommandFault) {
    var expiry = expiry
    if let text = arguments.value("--expires") {
      expiry = UnixSeconds(rfc3339: text) ?? Lifetime(text).map { UnixSeconds(UnixSeconds.now.rawValue + $0.seconds) }
      guard let expiry, expiry > .now else {
        throw .usage(
          "\(command): --expires must be a future time, such as 2030-01-01T00:00:00Z (RFC 3339), or a duration, such as "
            + "12h or 90d"
        )
      }
    }
    let instance = try arguments.value("--instance").map { text throws(CommandFault) in
      guard let id = InstanceID(text) else {
        throw .usage("\(command): --instance \(text): not a valid instance name; see instances.json")
      }
      return id
    }
    let text = arguments.value("--note") ?? note
    guard let new = NewToken(token.digest, expiry: expiry, note: text, instance: instance) else {
      throw .usage("\(command): --note must be 1 to 256 bytes without control characters")
    }
    self = new
  }
}

extension ClientEntry {
  /// Fails if the client may not use the instance: the entry would make its whole file invalid.
  fileprivate func requireInstance(_ name: String, in folder: PolicyFolder) throws(CommandFault) {
    guard let instances else { return }
    let isWildcard = instances.contains("*")
    let names = isWildcard ? ClientEntries.instanceNames(in: folder) : instances
    guard let names, !names.contains(name) else { return }
    let hint = suggestion(for: name, among: names)
    throw .failed(
      isWildcard
        ? "token new: unknown instance \"\(name)\" in \(folder.path)\(hint); nothing was written"
        : "token new: \(file): clients.\(id).instances does not contain \"\(name)\"\(hint); add it or name "
          + "another; nothing was written")
  }
}

extension Command.Option {
  static let note = Command.Option(name: "--note", value: "TEXT", help: "a description for people and logs")
  static let expires = Command.Option(
    name: "--expires", value: "WHEN",
    help: "when it expires: 2030-01-01T00:00:00Z, or 12h or 90d from now (default: never)"
  )
}
