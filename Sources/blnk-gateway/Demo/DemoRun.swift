/// Makes the demo's calls, and prints and checks each response.
final class DemoRun {
  let demo: DemoEnvironment
  let client: GatewayClient
  private var passed = 0
  private var failed = 0

  init(_ demo: DemoEnvironment) {
    self.demo = demo
    client = GatewayClient(demo.gatewayAddress)
  }

  /// Returns whether all checks passed.
  func run() throws(CommandFault) -> Bool {
    try makeDocumentedCalls()
    try makeCallsForCore()
    try makeTokenCalls()
    try makeCallsWithLocalReplies()
    try makeOperatorCalls()
    let total = passed + failed
    try Console.print(
      failed == 0
        ? Console.styled("\nAll \(total) checks passed.", .green)
        : Console.styled("\n\(failed) of \(total) checks failed.", .red))
    return failed == 0
  }

  func heading(_ text: String) throws(CommandFault) { try Console.print("\n" + Console.styled(text, .bold)) }

  /// Sends a request, prints it and its response, and returns the response.
  func call(_ title: String, _ request: DemoRequest) throws(CommandFault) -> GatewayResponse {
    let response = try client.send([request.bytes])[0]
    try show(title, request, response)
    return response
  }

  func show(_ title: String, _ request: DemoRequest, _ response: GatewayResponse) throws(CommandFault) {
    try Console.print("\n\(Console.styled(title, .bold))")
    for line in request.displayLines { try Console.print(Console.styled("  > \(line)", .dim)) }
    let shownFields = ["WWW-Authenticate", "Allow", "Retry-After", "Connection", "Location"]
    let fields = shownFields.compactMap { name in response.value(of: name).map { value in "\(name): \(value)" } }
    for line in ["\(response.status)"] + fields + [shortened(response.bodyText)] where !line.isEmpty {
      try Console.print("  < \(line)")
    }
  }

  /// Runs a command of this program, prints it and its output, and returns its exit code.
  func run(_ title: String, _ command: Command, _ arguments: [String]) throws(CommandFault) -> Int32 {
    try Console.print("\n\(Console.styled(title, .bold))")
    let words = (["blnk-gateway", command.name] + arguments).joined(separator: " ")
    try Console.print(Console.styled("  > \(words)", .dim))
    return try command.run(Arguments(arguments[...], of: command))
  }

  /// Counts a check and prints its result. It passes if there are no mismatches; nil elements are ignored.
  func check(_ mismatches: [String?]) throws(CommandFault) {
    let mismatches = mismatches.compactMap(\.self)
    if mismatches.isEmpty { passed += 1 } else { failed += 1 }
    try Console.print(
      mismatches.isEmpty
        ? Console.styled("  ok", .green) : Console.styled("  FAILED: \(mismatches.joined(separator: "; "))", .red))
  }
}

/// A description of the difference; nil if the values are equal.
func mismatch<Value: Equatable>(_ name: String, _ actual: Value?, expected: Value?) -> String? {
  func shown(_ value: Value?) -> String { value.map { "\($0)" } ?? "absent" }
  return actual == expected ? nil : "\(name) is \(shown(actual)), expected \(shown(expected))"
}

func shortened(_ text: String) -> String {
  let line = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
  return line.count > 200 ? "\(line.prefix(200))… (\(text.utf8.count) bytes)" : line
}
