import Digests
import Policies

extension Command {
  static let clientNew = Command(
    name: "client new", summary: "add a client, optionally with its first token",
    usage: "ID --instances LIST [OPTIONS]",
    description: """
      Adds the client to clients.json and changes nothing else in the file; if the
      folder clients/ has files, it writes clients/ID.json instead. Then it waits up
      to 5 s for the running gateway to apply the change.

      With --token, prints the client's first token on standard output, once: the
      files contain only its SHA-256. Everything else goes to standard error: what was
      written, and whether it is in force.
      """,
    options: [
      Option(name: "--instances", value: "LIST", help: "the instances that it may use, such as A,B; or '*': all"),
      Option(
        name: "--scopes", value: "LIST", help: "what it may do; '*': everything (default: proxy:read,proxy:write)"),
      Option(name: "--default-instance", value: "ID", help: "where its calls go that name no instance"),
      Option(name: "--token", value: nil, help: "create and print a token"), .policies,
    ] + InForceCheck.options,
    exitCodes: InForceCheck.exitCodes,
    example: "blnk-gateway client new shop --instances inst_main --default-instance inst_main --token",
    takesOperands: true
  ) { arguments throws(CommandFault) in
    let text = try arguments.onlyOperand("ID", of: command)
    guard let id = ClientID(text) else { throw .usage("\(command): ID \(text): \(nameRule)") }
    guard let instances = try list("--instances", arguments) else {
      throw .usage("\(command): needs --instances LIST, such as inst_main or '*'; see --help")
    }
    let scopes = try list("--scopes", arguments) ?? ["proxy:read", "proxy:write"]
    let session = try PolicyEditSession(arguments, for: command)
    let policy = try session.policy()
    guard !policy.clients.contains(where: { $0.id == id }) else {
      throw .failed(
        "\(command): \(session.folder.path) already has a client \"\(id.text)\"; nothing was written; for another token: "
          + "token new --client \(id.text)")
    }
    guard !RevokedFile(session.folder).revocations.clients.contains(id.text) else {
      throw .failed(
        "\(command): \(session.folder.path)/\(RevokedFile.name) revokes the client \"\(id.text)\"; nothing was written; "
          + "choose another name, or remove it there")
    }
    try require(instances, among: policy.instances.map(\.id.text), "instance", in: session.folder)
    try require(scopes, among: policy.routes.scopes.map(\.text), "scope", in: session.folder)
    let byDefault = try defaultInstance(arguments, of: instances, policy, session.folder)
    let token = arguments.isSet("--token") ? Token.mint() : nil
    let first = token.flatMap { NewToken($0.digest, expiry: nil, note: nil) }
    let entry = NewEntry.client(id, scopes: scopes, instances: instances, defaultInstance: byDefault, token: first)
    let edit = try session.write(entry)
    if let token { try Console.print(token.text) }
    Console.log(
      token == nil
        ? "Client \(id.text) is in \(edit.file), without a token yet: blnk-gateway token new --client \(id.text)"
        : "Client \(id.text) is in \(edit.file). Its token is shown only this once.")
    Console.log(
      try session.waitUntilInForce(
        edit, keyPath: entry.keyPath,
        recording: [("client", id.text)] + (token.map { [("token_sha256", $0.digest.logged)] } ?? [])))
    return 0
  }

  private static let command = "client new"

  /// The value of an option that takes names, separated by commas, or `*` alone.
  private static func list(_ option: String, _ arguments: Arguments) throws(CommandFault) -> [String]? {
    guard let text = arguments.value(option) else { return nil }
    let names = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    guard !names.contains("") else { throw .usage("\(command): \(option) has an empty name; separate names by commas") }
    guard Set(names).count == names.count else { throw .usage("\(command): \(option) names something twice") }
    guard names == ["*"] || !names.contains("*") else {
      throw .usage("\(command): \(option): '*' includes all others; give it alone")
    }
    return names
  }

  private static func require(
    _ names: [String], among known: [String], _ noun: String, in folder: PolicyFolder
  ) throws(CommandFault) {
    for name in names where name != "*" && !known.contains(name) {
      throw .failed(
        "\(command): unknown \(noun) \"\(name)\" in \(folder.path)\(suggestion(for: name, among: known)); nothing was "
          + "written; known: \(known.prefix(20).joined(separator: ", "))\(known.count > 20 ? ", …" : "")")
    }
  }

  private static func defaultInstance(
    _ arguments: Arguments, of instances: [String], _ policy: Policy, _ folder: PolicyFolder
  ) throws(CommandFault) -> InstanceID? {
    guard let name = arguments.value("--default-instance") else { return nil }
    let known = instances == ["*"] ? policy.instances.map(\.id.text) : instances
    guard let id = InstanceID(name), known.contains(name) else {
      let whose = instances == ["*"] ? "an instance in \(folder.path)" : "one of --instances"
      throw .failed(
        "\(command): --default-instance \(name) is not \(whose)\(suggestion(for: name, among: known)); nothing was "
          + "written")
    }
    return id
  }
}
