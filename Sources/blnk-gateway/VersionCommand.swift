import Gateway

extension Command {
  static let version = Command(
    name: "version", abstract: "says which version this is",
    lesson: """
      One line for people, or one JSON object for scripts.

        blnk-gateway version --json
      """,
    flags: [Flag(name: "--json", value: nil, about: "one JSON object")]
  ) { arguments throws(CommandFault) in
    let number = gatewayVersion
    try Console.print(
      arguments.isSet("--json") ? #"{"name":"blnk-gateway","version":"\#(number)"}"# : "blnk-gateway \(number)")
    return 0
  }
}
