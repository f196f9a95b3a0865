import Gateway

extension Command {
  static let idempotencyList = Command(
    name: "idempotency list", summary: "list the idempotency keys of a running gateway", usage: "[OPTIONS]",
    description: """
      Prints a line for each key that needs attention: those in flight, and those
      whose outcome is unknown. With --only, others: "stored" (the response is
      kept for repeats), "not_kept" (it was too large), "unreadable".

      Asks the running gateway at its admin endpoint; responses are never shown.
      """,
    options: JournalClient.options + [
      Option(name: "--client", value: "ID", help: "only keys of this client"),
      Option(name: "--instance", value: "ID", help: "only keys of this instance"),
      Option(name: "--only", value: "STATE", help: "only keys in this state; all: every key"),
      Option(name: "--limit", value: "N", help: "at most this many, 1 to 10000 (default: 100)"),
      Option(name: "--json", value: nil, help: "print a JSON object instead of lines"),
    ],
    exitCodes: [0: "success", 1: "no gateway answers, or it refuses"],
    example: "blnk-gateway idempotency list --client shop --only all"
  ) { arguments throws(CommandFault) in
    let list = try JournalClient(arguments, for: "idempotency list").list(
      ["client", "instance", "limit"].map { ($0, arguments.value("--\($0)")) } + [("state", arguments.value("--only"))])
    try print(list, asJSON: arguments.isSet("--json"))
    if list.keys.isEmpty { Console.log("no key in flight or of unknown outcome; --only all lists every key") }
    if !list.complete { Console.log("there are more; see --limit") }
    return 0
  }

  static let idempotencyShow = Command(
    name: "idempotency show", summary: "show one idempotency key of a running gateway",
    usage: "--client ID --instance ID --key KEY",
    description: """
      Prints the state of a key, when it was claimed or its outcome recorded, the
      status of the response and the id of the request that was sent to Core. The
      response itself is not shown.
      """,
    options: JournalClient.options + keyOptions + [
      Option(name: "--json", value: nil, help: "print a JSON object instead of a line")
    ],
    exitCodes: [0: "success", 1: "the key is free, or no gateway answers"],
    example: "blnk-gateway idempotency show --client shop --instance inst_main --key order-17"
  ) { arguments throws(CommandFault) in
    let names = try keyNames(arguments, "idempotency show")
    let list = try JournalClient(arguments, for: "idempotency show").list(names)
    try print(list, asJSON: arguments.isSet("--json"))
    return 0
  }

  static let keyOptions = [
    Option(name: "--client", value: "ID", help: "the client that has sent the key"),
    Option(name: "--instance", value: "ID", help: "the instance that it was sent to"),
    Option(name: "--key", value: "KEY", help: "the key, without the quotes of its field"),
  ]

  static func keyNames(_ arguments: Arguments, _ command: String) throws(CommandFault) -> [(String, String?)] {
    var names: [(String, String?)] = []
    for name in ["client", "instance", "key"] {
      guard let value = arguments.value("--\(name)") else {
        throw .usage("\(command): needs --client, --instance and --key; see --help")
      }
      names.append((name, value))
    }
    return names
  }

  private static func print(_ list: JournalKeyList, asJSON: Bool) throws(CommandFault) {
    guard !asJSON else { return try Console.print(Console.json(list)) }
    guard !list.keys.isEmpty else { return }
    try Console.print(
      table: [["STATE", "CLIENT", "INSTANCE", "STATUS", "SINCE", "REQUEST", "KEY"]]
        + list.keys.map { key in
          [
            key.state, key.client, key.instance, key.status.map { "\($0)" } ?? "-", key.recordedAt, key.requestId,
            key.key,
          ]
        })
  }
}
