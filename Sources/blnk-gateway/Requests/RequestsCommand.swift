import Policies
import System

extension Command {
  static let requests = Command(
    name: requestsName, summary: "find requests in access logs", usage: "[OPTIONS] [FILE...]",
    description: """
      Prints the requests that match all of the options: a table on a terminal, cut
      to its width; otherwise, and with --json, the lines as they are in the log,
      which have more members. Without FILE, it reads the "access_log" of
      gateway.json.

      The files may be given in any order, and may be rotated and compressed by
      gzip; - is standard input, for example "journalctl -o cat -u blnk-gateway".
      With pipes, the order is as given. Lines that are not of an access log are
      skipped and counted.

      A time is as in the log or any other RFC 3339 one, or a duration before now,
      such as 10m. What a time leaves out, such as the fraction, is included.
      """,
    options: [
      Option(
        name: "--id", value: "ID",
        help: "the request's id, the client's own X-Request-Id, or the trace id"),
      Option(name: "--client", value: "ID", help: "only requests of this client"),
      Option(name: "--instance", value: "ID", help: "only requests for this instance"),
      Option(
        name: "--code", value: "CODE",
        help: "a code of the gateway, with or without GATEWAY_; or a status: 404, 5xx"),
      Option(name: "--since", value: "TIME", help: "only requests from then on"),
      Option(name: "--until", value: "TIME", help: "only requests up to then"),
      Option(name: "--slowest", value: "N", help: "the slowest N, 1 to 10000, slowest first"),
      Option(name: "--limit", value: "N", help: "the last N, 1 to 10000"),
      Option(name: "--json", value: nil, help: "print JSON lines on a terminal, too"),
      .policies, .state,
    ],
    exitCodes: [0: "there are such requests", 1: "there are none, or a file cannot be read"],
    example: """
      blnk-gateway requests --client shop --code rate_limited --since 10m
      blnk-gateway requests --id e994e223007a85772c0d15c513af4d33 access.log*
      blnk-gateway requests --instance inst_main --slowest 20 access.log
      """,
    takesOperands: true
  ) { arguments throws(CommandFault) in
    let filter = try RequestFilter(arguments)
    var selection = try RequestSelection(arguments)
    let files = try AccessLogFiles(arguments, of: requestsName)
    var printer = RequestPrinter(asJSON: arguments.isSet("--json"))
    var entry = AccessLogEntry()
    var (count, unreadable) = (0, 0)
    try files.forEachLine { line throws(CommandFault) in
      guard entry.read(line) else { return unreadable += 1 }
      guard filter.matches(entry, line) else { return }
      count += 1
      if selection.keepsAll { try printer.print(entry, line) } else { selection.add(entry, line) }
    }
    for line in selection.lines where entry.read(line.span) { try printer.print(entry, line.span) }
    try printer.end()
    if unreadable > 0 { Console.log("skipped \(counted(unreadable, "line")) not of an access log") }
    if count == 0 { Console.log("no such request in \(files.names.map(printable).joined(separator: ", "))") }
    return count > 0 && files.areWhole ? 0 : 1
  }
}

let requestsName = "requests"

/// Which of the matching requests are printed, and in which order.
private struct RequestSelection {
  /// Whether all are printed, in the order of the log.
  let keepsAll: Bool
  private let countMax: Int
  private let isBySlowness: Bool
  /// The slowest first, or in the order of the log, then up to twice as many as are printed.
  private var kept: [(milliseconds: Double, line: [UInt8])] = []

  init(_ arguments: Arguments) throws(CommandFault) {
    let (slowest, limit) = (try arguments.count("--slowest"), try arguments.count("--limit"))
    guard slowest == nil || limit == nil else {
      throw .usage("\(requestsName): give either --slowest or --limit; see --help")
    }
    isBySlowness = slowest != nil
    keepsAll = slowest == nil && limit == nil
    countMax = slowest ?? limit ?? 0
  }

  mutating func add(_ entry: AccessLogEntry, _ line: Span<UInt8>) {
    guard isBySlowness else {
      if kept.count == 2 * countMax { kept.removeFirst(countMax) }
      return kept.append((0, line.bytes))
    }
    let milliseconds = Double(entry.text(.totalMilliseconds, line)) ?? 0
    if kept.count == countMax {
      guard let last = kept.last, last.milliseconds < milliseconds else { return }
      kept.removeLast()
    }
    var index = kept.count
    while index > 0, kept[index - 1].milliseconds < milliseconds { index -= 1 }
    kept.insert((milliseconds, line.bytes), at: index)
  }

  var lines: [[UInt8]] { kept.suffix(countMax).map(\.line) }
}

extension Arguments {
  fileprivate func count(_ option: String) throws(CommandFault) -> Int? {
    guard let text = value(option) else { return nil }
    guard let count = Int(text), (1...10_000).contains(count) else {
      throw .usage("\(requestsName): \(option) \(printable(text)): must be a number from 1 to 10000")
    }
    return count
  }
}
