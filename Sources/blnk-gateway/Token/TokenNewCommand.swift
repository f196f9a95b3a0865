import Policies

extension Command {
  static let tokenNew = Command(
    name: "token new", abstract: "makes an access token, and gives it to a client",
    lesson: """
      Prints a new token, once. With --client it puts the token's digest into that client's entry, in clients.json or a
      file of clients/, leaves every other byte of the file as it is, and waits until the running gateway has it in force
      (exit code 3 if it does not take it within 5 s). Without --client it changes no file, and tells the entry for
      "tokens" on standard error. The gateway knows tokens by their SHA-256 only, so that nobody can read them from its
      files; hand the token itself to its holder. With --instance the token is let into that instance alone, whatever else
      its client may use, and calls that name no instance go there.

        blnk-gateway token new
        blnk-gateway token new --client demo-app --note laptop --expires 90d
        blnk-gateway token new --client demo-app --instance inst_demo
      """,
    flags: [.policies, .client, .note, .expires, .instance] + InForce.flags,
    operandsRefused: "takes no arguments; what a token may do stands in clients.json"
  ) { arguments throws(CommandFault) in
    var generator = SystemRandomNumberGenerator()
    let token = Token.mint(using: &generator)
    let new = try NewToken(token, arguments, for: "token new")
    guard let id = arguments.value("--client") else {
      try Console.print(token.text)
      Console.note("This is the token, shown this once. Its entry for clients.json, under \"tokens\":\n\(new.entry)")
      return 0
    }
    let editing = try TokenEditing(arguments, for: "token new")
    let client = try editing.client(id)
    if let instance = arguments.value("--instance") { try client.requireInstance(instance, in: editing.folder) }
    let edit = client.adding(new)
    try editing.write(edit)
    try Console.print(token.text)
    let binding = arguments.value("--instance").map { " for \($0) alone" } ?? ""
    Console.note("This is \(id)'s new token\(binding), shown this once; \(edit.file) has its digest.")
    Console.note(try editing.settle(edit))
    return 0
  }
}

extension NewToken {
  /// As the flags --note, --expires and --instance say; without these, `note` and `expiry`.
  init(
    _ token: Token, _ arguments: Arguments, note: String? = nil, expiry: UnixSeconds? = nil, for command: String
  ) throws(CommandFault) {
    var expiry = expiry
    if let text = arguments.value("--expires") {
      expiry = UnixSeconds(rfc3339: text) ?? Lifetime(text).map { UnixSeconds(UnixSeconds.now.rawValue + $0.seconds) }
      guard let expiry, expiry > .now else {
        throw .usage(
          "\(command): --expires must be a time to come, such as 2030-01-01T00:00:00Z (RFC 3339), or how long: 12h, 90d"
        )
      }
    }
    let instance = try arguments.value("--instance").map { text throws(CommandFault) in
      guard let id = InstanceID(text) else {
        throw .usage("\(command): --instance \(text): no name of an instance; see instances.json")
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
  /// Fails where the client may not use the instance: its token would then be refused with its whole file.
  fileprivate func requireInstance(_ name: String, in folder: PolicyFolder) throws(CommandFault) {
    guard let instances else { return }
    let isOpen = instances.contains("*")
    let names = isOpen ? ClientEntries.instanceNames(in: folder) : instances
    guard let names, !names.contains(name) else { return }
    let hint = suggestion(for: name, among: names)
    throw .failed(
      isOpen
        ? "token new: there is no instance \"\(name)\" in \(folder.path)\(hint); nothing was written"
        : "token new: \(file): clients.\(id).instances does not name \"\(name)\"\(hint); add it there, or name another; "
          + "nothing was written")
  }
}

extension Command.Flag {
  static let client = Command.Flag(name: "--client", value: "ID", about: "the client, by its name in clients.json")
  static let digest = Command.Flag(
    name: "--digest", value: "PREFIX", about: "the token, by the first digits of its digest, as \"token list\" shows it"
  )
  static let note = Command.Flag(name: "--note", value: "TEXT", about: "what to call the token, for people and logs")
  static let instance = Command.Flag(
    name: "--instance", value: "ID", about: "the one instance that it is for; else all that its client may use")
  static let expires = Command.Flag(
    name: "--expires", value: "WHEN", about: "when it ends: 2030-01-01T00:00:00Z, or 12h or 90d from now; else never")
}
