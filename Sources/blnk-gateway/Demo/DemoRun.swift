/// Makes the demo's calls, prints each request with its answer, and judges it.
final class DemoRun {
  let stage: DemoStage
  let client: GatewayClient
  private var right = 0
  private var wrong = 0

  init(_ stage: DemoStage) {
    self.stage = stage
    client = GatewayClient(stage.gatewayAddress)
  }

  /// Whether all answers were right.
  func run() throws(CommandFault) -> Bool {
    try makeDocumentedCalls()
    try makeCallsOfCoreUnchanged()
    try makeRefusedCalls()
    let total = right + wrong
    try Console.print(
      wrong == 0
        ? Console.painted("\nAll \(total) calls were answered rightly.", .green)
        : Console.painted("\n\(wrong) of \(total) calls were not answered rightly.", .red))
    return wrong == 0
  }

  func heading(_ text: String) throws(CommandFault) { try Console.print("\n" + Console.painted(text, .bold)) }

  /// Sends a request, prints it with its answer, and returns that.
  func call(_ title: String, _ request: DemoRequest) throws(CommandFault) -> GatewayResponse {
    let answer = try client.call([request.bytes])[0]
    try show(title, request, answer)
    return answer
  }

  func show(_ title: String, _ request: DemoRequest, _ answer: GatewayResponse) throws(CommandFault) {
    try Console.print("\n\(Console.painted(title, .bold))")
    for line in request.shown { try Console.print(Console.painted("  > \(line)", .dim)) }
    let notable = ["WWW-Authenticate", "Allow", "Retry-After", "Connection", "Location"]
    let fields = notable.compactMap { name in answer.value(of: name).map { value in "\(name): \(value)" } }
    for line in ["\(answer.status)"] + fields + [shortened(answer.bodyText)] where !line.isEmpty {
      try Console.print("  < \(line)")
    }
  }

  /// Prints the verdict on a call: right when there is no complaint.
  func judge(_ complaints: [String?]) throws(CommandFault) {
    let complaints = complaints.compactMap(\.self)
    if complaints.isEmpty { right += 1 } else { wrong += 1 }
    try Console.print(
      complaints.isEmpty
        ? Console.painted("  right", .green) : Console.painted("  WRONG: \(complaints.joined(separator: "; "))", .red))
  }
}

/// A complaint unless the two are equal.
func differs<Value: Equatable>(_ what: String, _ got: Value?, from wanted: Value?) -> String? {
  func shown(_ value: Value?) -> String { value.map { "\($0)" } ?? "absent" }
  return got == wanted ? nil : "\(what) is \(shown(got)), not \(shown(wanted))"
}

func shortened(_ text: String) -> String {
  let line = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
  return line.count > 200 ? "\(line.prefix(200))… (\(text.utf8.count) bytes)" : line
}
