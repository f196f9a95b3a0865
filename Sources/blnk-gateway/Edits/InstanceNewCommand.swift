import Policies

extension Command {
  static let instanceNew = Command(
    name: "instance new", summary: "add an instance: a Core, and where its key is",
    usage: "ID --core URL \(Option.keysUsage) [OPTIONS]",
    description: """
      Adds the instance to instances.json and changes nothing else in the file; if the
      folder instances/ has files, it writes instances/ID.json instead. Then it waits
      up to 5 s for the running gateway to apply the change.

      The key stays where it is: the policy only names the variable, file or
      credential, and only the gateway reads it. A running gateway gets no new
      variables and no new credentials: restart it for those.

      Prints nothing on standard output. What was written, and whether it is in force,
      goes to standard error.
      """,
    options: [.core] + Option.keys + [.policies] + InForceCheck.options,
    exitCodes: [
      0: "success", 1: "nothing was written",
      3: "the change is written, but the running gateway has not applied it, or cannot read the key",
    ],
    example: "blnk-gateway instance new inst_two --core https://core-two.internal:5001 --key-file /etc/blnk/two.key",
    takesOperands: true
  ) { arguments throws(CommandFault) in
    let command = "instance new"
    let text = try arguments.onlyOperand("ID", of: command)
    guard let id = InstanceID(text) else { throw .usage("\(command): ID \(text): \(nameRule)") }
    guard let core = try arguments.core(of: command), let key = try arguments.key(of: command) else {
      throw .usage("\(command): needs --core URL and one of --key-env, --key-file and --key-credential; see --help")
    }
    let session = try PolicyEditSession(arguments, for: command)
    guard try !session.policy().instances.contains(where: { $0.id == id }) else {
      throw .failed("\(command): \(session.folder.path) already has an instance \"\(id.text)\"; nothing was written")
    }
    var folder = session.folder
    folder.readsKeys = false
    if let fault = key.fault(in: folder) { throw .failed("\(command): the key \(fault); nothing was written") }
    let entry = NewEntry.instance(id, url: core, key: key)
    let edit = try session.write(entry)
    Console.log("Instance \(id.text) is in \(edit.file). Clients may use it if their \"instances\" name it.")
    Console.log(try session.waitUntilInForce(edit, keyPath: entry.keyPath, recording: [("instance", id.text)]))
    return 0
  }
}

extension Arguments {
  /// The only operand, such as a name.
  func onlyOperand(_ placeholder: String, of command: String) throws(CommandFault) -> String {
    guard let operand = operands.first else { throw .usage("\(command): missing \(placeholder); see --help") }
    guard operands.count == 1 else {
      throw .usage("\(command): unexpected argument \"\(operands[1])\"; it takes one \(placeholder); see --help")
    }
    return operand
  }
}
