import Policies

extension Command {
  static let clientSecretNew = Command(
    name: "client secret new", summary: "create a client secret for the token endpoint",
    usage: "--client ID [OPTIONS]",
    description: """
      Adds the secret's digest to "oauth" of the client's entry in clients.json or
      clients/, creates "oauth" if the client has none, and changes nothing else in
      the file. Then it waits up to 5 s for the running gateway to apply the change.

      Prints the new secret on standard output, once: the files contain only its
      SHA-256. Give it to the app, which sends it with the client's name as client_id
      to POST /oauth/token. Everything else goes to standard error.
      """,
    options: [
      Option(name: "--client", value: "ID", help: "the client; its name is the client_id"), .policies, .note, .expires,
    ] + InForceCheck.options,
    exitCodes: InForceCheck.exitCodes,
    example: "blnk-gateway client secret new --client shop --note app-server --expires 365d",
    noOperandsReason: "takes no arguments; name the client with --client ID"
  ) { arguments throws(CommandFault) in
    let command = "client secret new"
    let id = try arguments.clientID(of: command)
    let secret = Token.mint(.clientSecret)
    let new = try NewToken(secret, arguments, for: command)
    let session = try PolicyEditSession(arguments, for: command)
    let client = try session.client(id)
    try client.requireRoomForSecret(command)
    let hasEndpoint = ClientEntries.hasTokenEndpoint(in: session.folder)
    let path = session.folder.path
    let edit = client.adding(secret: new)
    try session.write(edit)
    try Console.print(secret.text)
    Console.log(
      "A new client secret for \(id), shown only this once; it \(new.expiryText). Its digest is in \(edit.file).")
    if !hasEndpoint {
      Console.log("warning: \(path)/gateway.json has no \"oauth\", so the gateway has no token endpoint yet")
    }
    Console.log(
      try session.waitUntilInForce(edit, recording: [("client", id), ("secret_sha256", secret.digest.logged)]))
    return 0
  }
}

extension Arguments {
  /// The value of `--client`, which is required.
  func clientID(of command: String) throws(CommandFault) -> String {
    guard let id = value("--client") else { throw .usage("\(command): needs --client ID; see --help") }
    return id
  }
}

extension ClientEntry {
  /// Fails if the file would become invalid with one more client secret.
  func requireRoomForSecret(_ command: String) throws(CommandFault) {
    guard secrets.count >= Self.secretsMax else { return }
    throw .failed(
      "\(command): \(file): clients.\(id).oauth has \(secrets.count) secrets, the most that are allowed; nothing was "
        + "written; remove one with \"client secret revoke\"")
  }
}
