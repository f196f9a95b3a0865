extension Command {
  static let idempotencyResolve = Command(
    name: "idempotency resolve", summary: "state the outcome of a write that is unknown to the gateway",
    usage: "--client ID --instance ID --key KEY --as done|not-done --reason TEXT",
    description: """
      For a key whose repeats get 409 GATEWAY_OUTCOME_UNKNOWN. Find out from Core
      whether the write was executed, then:

      --as done      it was: repeats get 409 with the status, and it is never sent again
      --as not-done  it was not, and will not be: the key is free, and the next repeat
                     is sent. Refused while the request may still be executed. If Core
                     has executed it after all, that repeat executes it twice.

      The audit log, if there is one, gets an entry with the reason and your user name.
      """,
    options: JournalClient.options + keyOptions + [
      Option(name: "--as", value: "OUTCOME", help: "done or not-done"),
      Option(name: "--status", value: "N", help: "with done: the status that Core would have sent (default: 200)"),
      Option(name: "--reason", value: "TEXT", help: "how you know"),
    ],
    exitCodes: [0: "success", 1: "nothing was changed"],
    example: """
      blnk-gateway idempotency resolve --client shop --instance inst_main --key order-17 \\
        --as done --status 201 --reason 'GET /transactions/reference/order-17 has it'
      """
  ) { arguments throws(CommandFault) in
    let command = "idempotency resolve"
    let names = try keyNames(arguments, command)
    guard let outcome = arguments.value("--as"), ["done", "not-done"].contains(outcome) else {
      throw .usage("\(command): needs --as done or --as not-done; see --help")
    }
    guard let reason = arguments.value("--reason") else { throw .usage("\(command): needs --reason TEXT; see --help") }
    guard outcome == "done" || arguments.value("--status") == nil else {
      throw .usage("\(command): --status goes with --as done; see --help")
    }
    let result = try JournalClient(arguments, for: command).change(
      [("action", "resolve"), ("as", outcome), ("status", arguments.value("--status")), ("reason", reason)] + names)
    Console.log(result)
    return 0
  }

  static let idempotencyForget = Command(
    name: "idempotency forget", summary: "forget keys, so that their repeats are executed again",
    usage: "--instance ID [--client ID --key KEY] --reason TEXT",
    description: """
      After a Core was restored from a backup, its journal of keys is ahead of it:
      repeats would get responses to writes that Core no longer has. Forgets all keys
      of the instance, or one of them; never one in flight.

      The audit log, if there is one, gets an entry with the reason and your user name.
      """,
    options: JournalClient.options + keyOptions + [
      Option(name: "--reason", value: "TEXT", help: "why")
    ],
    exitCodes: [0: "success", 1: "nothing was changed"],
    example: "blnk-gateway idempotency forget --instance inst_main --reason 'restored from the backup of 02:00'"
  ) { arguments throws(CommandFault) in
    let command = "idempotency forget"
    guard let instance = arguments.value("--instance"), let reason = arguments.value("--reason") else {
      throw .usage("\(command): needs --instance ID and --reason TEXT; see --help")
    }
    let (client, key) = (arguments.value("--client"), arguments.value("--key"))
    guard (client == nil) == (key == nil) else {
      throw .usage("\(command): give both --client and --key, or neither; see --help")
    }
    let result = try JournalClient(arguments, for: command).change(
      [("action", "forget"), ("instance", instance), ("client", client), ("key", key), ("reason", reason)])
    Console.log(result)
    return 0
  }
}
