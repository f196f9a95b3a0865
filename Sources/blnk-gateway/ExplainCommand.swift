import FoundationEssentials
import Gateway
import Policies

extension Command {
  static let explain = Command(
    name: "explain", abstract: "says what would become of a request, and which rule decides",
    lesson: """
      Asks the code that serves, step by step, and sends nothing: one line a step, then "relayed:" with what Core would get,
      or "refused:" with status and code. Exit code 0 when it would be relayed, 1 when it would be refused, unless
      --exit-zero is given; 1, too, when the folder is not valid. It reads the folder as "serve" does, so the Cores' keys
      must be there, unless --without-keys is given. Networks are left out: they depend on where a request comes from.
      Limits and the instance's breaker are stated, not tried: what is under way only the running gateway knows.

        blnk-gateway explain --without-keys --client demo-reader --method POST --target '/proxy/balances?instance_id=inst_demo'
        blnk-gateway explain --token-stdin --method GET --target /balances < token.txt
      """,
    flags: [
      .policies, .state, .withoutKeys,
      Flag(name: "--client", value: "ID", about: "as this client, whichever token it shows"),
      Flag(name: "--token-stdin", value: nil, about: "as who shows the token on standard input"),
      Flag(name: "--method", value: "METHOD", about: "such as GET"),
      Flag(name: "--target", value: "TARGET", about: "path and query, such as /proxy/balances?instance_id=inst_demo"),
      Flag(name: "--host", value: "HOST", about: "the host that the request is sent to, for instances with \"hosts\""),
      Flag(name: "--json", value: nil, about: "one JSON object instead of lines"),
      Flag(name: "--exit-zero", value: nil, about: "exit code 0 for a refusal, too"),
    ]
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
      for line in result.findings.lines { Console.note(line) }
      throw .failed("\(folder.path): the policy is not valid")
    }
    if let note = reading.passedOverNote { Console.note(note.description) }
    let host = arguments.value("--host") ?? "gateway"
    guard let explanation = policy.explain(identity, method: method, target: target, host: host, at: .now) else {
      throw .failed("explain: there is no client \(arguments.value("--client") ?? "") in \(folder.path)")
    }
    try arguments.isSet("--json") ? Console.print(json(explanation)) : print(explanation)
    return explanation.refusal == nil || arguments.isSet("--exit-zero") ? 0 : 1
  }

  private static func identity(_ arguments: Arguments) throws(CommandFault) -> Explanation.Identity {
    switch (arguments.value("--client"), arguments.isSet("--token-stdin")) {
    case (let text?, false):
      guard let id = ClientID(text) else { throw .usage("explain: --client \(text): no client id") }
      return .client(id)
    case (nil, true): return .token(try readToken(for: "explain"))
    case (nil, false), (.some, true): throw .usage("explain: needs either --client ID or --token-stdin; see --help")
    }
  }

  private static func print(_ explanation: Explanation) throws(CommandFault) {
    for step in explanation.steps {
      let mark = step.isPassed ? Console.painted("ok", .green) : Console.painted("no", .red)
      try Console.print("\(step.name.padded(to: 13)) \(mark)  \(step.text)")
    }
    if let refusal = explanation.refusal {
      try Console.print("refused: \(refusal.status) \(refusal.code)")
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
        relayed: explanation.refusal == nil, status: explanation.refusal?.status, code: explanation.refusal?.code,
        destination: explanation.destination, steps: steps))
  }
}
