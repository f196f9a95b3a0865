import FoundationEssentials
import Gateway
import Policies

extension Command {
  static let explain = Command(
    name: "explain", summary: "show whether a request would be relayed, and which rule decides",
    usage: "(--client ID | --token-stdin) --method METHOD --target TARGET [OPTIONS]",
    description: """
      Runs the gateway's own admission code on the policy folder. Sends nothing, except
      that a token in no policy file is shown to its server of "introspection".

      Prints one line per step, then "relayed:" and the request that Core would get,
      or "rejected:" with status and code. Networks are not checked, because they
      depend on the caller's address. Limits and the instance's circuit breaker are
      listed but not applied: their state is known only to the running gateway.

      For a token of the token endpoint, also prints its id, scopes and expiry, or why
      it is refused; this needs the keys of "oauth".
      """,
    options: [
      Option(
        name: "--client", value: "ID",
        help: "explain a request of this client, ignoring token bindings; use --token-stdin for a bound token"),
      Option(name: "--token-stdin", value: nil, help: "explain a request with the token on standard input"),
      Option(name: "--method", value: "METHOD", help: "the request's method, such as GET"),
      Option(
        name: "--target", value: "TARGET",
        help: "the request's path and query, such as /proxy/balances?instance_id=inst_demo"),
      Option(name: "--host", value: "HOST", help: "the request's Host, for instances with \"hosts\""),
      .policies, .state, .withoutKeys,
      Option(name: "--json", value: nil, help: "print a JSON object instead of lines"),
      Option(name: "--exit-zero", value: nil, help: "exit with 0 even if the request would be rejected"),
    ],
    exitCodes: [0: "the request would be relayed", 1: "it would be rejected, or the policy is invalid"],
    example: """
      blnk-gateway explain --client demo-reader --method POST --target '/proxy/balances?instance_id=inst_demo' \\
        --without-keys
      """
  ) { arguments throws(CommandFault) in
    guard let method = arguments.value("--method"), let target = arguments.value("--target") else {
      throw .usage("explain: needs --method and --target; see --help")
    }
    let identity = try identity(arguments)
    let folder = try PolicyFolder(arguments)
    let reading = FolderReading(folder)
    var inForce = FolderPolicy()
    let result = folder.load(reading, into: &inForce)
    guard let policy = result.policy else {
      for line in result.findings.lines { Console.log(line) }
      throw .failed("\(folder.path): the policy is invalid")
    }
    if let note = reading.skippedNote { Console.log(note.description) }
    let host = arguments.value("--host") ?? "gateway"
    guard let explanation = explain(policy, identity, method: method, target: target, host: host, arguments) else {
      throw .failed("explain: unknown client \"\(arguments.value("--client") ?? "")\" in \(folder.path)")
    }
    try arguments.isSet("--json") ? Console.print(json(explanation)) : print(explanation)
    return explanation.rejection == nil || arguments.isSet("--exit-zero") ? 0 : 1
  }

  private static func explain(
    _ policy: Policy, _ identity: Explanation.Identity, method: String, target: String, host: String,
    _ arguments: Arguments
  ) -> Explanation? {
    // Without the secret no server would answer.
    let ask = arguments.isSet("--without-keys") ? nil : introspectNow
    return policy.explain(identity, method: method, target: target, host: host, at: .now, asking: ask)
  }

  private static func identity(_ arguments: Arguments) throws(CommandFault) -> Explanation.Identity {
    switch (arguments.value("--client"), arguments.isSet("--token-stdin")) {
    case (let text?, false):
      guard let id = ClientID(text) else { throw .usage("explain: --client \(text): not a valid client id") }
      return .client(id)
    case (nil, true):
      let text = try readToken(for: "explain")
      guard !SignedTokenReport.hasForm(text) || !arguments.isSet(Option.withoutKeys.name) else {
        throw .usage("explain: a token of the token endpoint cannot be verified with --without-keys; omit that option")
      }
      return .token(text)
    case (nil, false), (.some, true): throw .usage("explain: needs either --client ID or --token-stdin; see --help")
    }
  }

  private static func print(_ explanation: Explanation) throws(CommandFault) {
    for step in explanation.steps {
      let mark = step.isPassed ? Console.styled("ok", .green) : Console.styled("no", .red)
      try Console.print("\(step.name.padded(to: 13)) \(mark)  \(step.text)")
    }
    if let rejection = explanation.rejection {
      try Console.print("rejected: \(rejection.status) \(rejection.code)")
    } else {
      try Console.print("relayed: \(explanation.destination ?? "")")
    }
  }

  private static func json(_ explanation: Explanation) -> String {
    struct Report: Encodable {
      struct Step: Encodable {
        let step: String
        let passed: Bool
        let text: String
      }

      let relayed: Bool
      let status: Int?
      let code: String?
      let destination: String?
      let steps: [Step]
    }
    let steps = explanation.steps.map { Report.Step(step: $0.name, passed: $0.isPassed, text: $0.text) }
    return Console.json(
      Report(
        relayed: explanation.rejection == nil, status: explanation.rejection?.status, code: explanation.rejection?.code,
        destination: explanation.destination, steps: steps))
  }
}
