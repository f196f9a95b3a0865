import Bytes
import Gateway
import Glibc
import Policies
import System

extension Command {
  static let top = Command(
    name: "top", summary: "show what the running gateway does", usage: "[--once [--json]] [OPTIONS]",
    description: """
      Shows the running gateway on the whole terminal, once a second: its state,
      instances, clients, contained faults, and the last refusals and faults; what is
      in trouble comes first. The status page on the admin address shows the same.

      Rates and percentiles are of the last 10 s; with --once, there are no rates, and
      percentiles are since the start. q or Ctrl-C ends it.
      """,
    options: [
      Option(name: "--once", value: nil, help: "print the present state as text, and end"),
      Option(name: "--json", value: nil, help: "with --once: print /status as it is, with all instances"),
    ] + AdminClient.options,
    exitCodes: [0: "it has shown the state", 1: "no gateway answers, or it refuses the admin token"],
    example: """
      blnk-gateway top --policies my-policies
      blnk-gateway top --once --json | jq '.instances[] | select(.breaker != "closed")'
      """
  ) { arguments throws(CommandFault) in
    let client = StatusClient(try AdminClient(arguments, for: "top"))
    guard arguments.isSet("--once") else {
      guard !arguments.isSet("--json") else { throw .usage("top: --json goes with --once; see --help") }
      var session = try TopSession(client)
      return try session.run()
    }
    if arguments.isSet("--json") {
      let (text, _) = try client.status(rowsMax: nil)
      try Console.print(Terminal.isAt(1) ? asciiJSON(text) : text)
    } else {
      let view = StatusView(try client.status(rowsMax: StatusClient.rowsMax).record, rowsMax: StatusClient.rowsMax)
      for line in TopLayout(view, columns: Terminal.columns(of: 1), hasStyles: Console.hasStyles(.output)).lines() {
        try Console.print(line)
      }
    }
    return 0
  }
}

/// Asks the running gateway for its status.
struct StatusClient {
  /// Of each table: more do not fit on a terminal.
  static let rowsMax = 100
  /// Ctrl-C waits for an answer as well.
  private static let millisecondsMax: Int64 = 2_000

  let admin: AdminClient

  init(_ admin: AdminClient) { self.admin = admin }

  /// - Parameter rowsMax: nil: all.
  func status(rowsMax: Int?) throws(CommandFault) -> (text: String, record: JSONRecord) {
    let response = try admin.send(
      "GET", rowsMax.map { "/status?rows=\($0)" } ?? "/status", within: rowsMax == nil ? nil : Self.millisecondsMax)
    switch response.status {
    case 200: break
    case 401:
      throw .failed(
        "top: \(admin.addressText) refuses the admin token: \"admin\".\"token\" of gateway.json must be as it was when "
          + "the gateway started")
    default: throw .failed("\(printable(admin.fault(response).message))")
    }
    guard let record = JSONRecord(response.body), record["instances"] != nil else { throw admin.notThisVersion }
    return (String(response.bodyText.prefix { $0 != "\n" }), record)
  }
}

/// One run of `top` on a terminal.
private struct TopSession {
  private static let refreshMilliseconds: Int64 = 1_000
  private static let windowMilliseconds: Int64 = 10_000

  private let client: StatusClient
  private let signals: Signals
  private let hasStyles = Console.hasStyles(.output)
  /// The answers of the last 10 s and the one before, oldest first.
  private var samples: [(at: Int64, record: JSONRecord)] = []
  private var fault: String?

  init(_ client: StatusClient) throws(CommandFault) {
    guard Terminal.isAt(0), Terminal.isAt(1) else {
      throw .failed("top: standard input and output must be a terminal; without one, use --once")
    }
    self.client = client
    signals = Signals(blocking: [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH])
  }

  mutating func run() throws(CommandFault) -> Int32 {
    // A fault of the first answer is for the shell, not for a screen that disappears.
    samples = [(SystemClock.milliseconds, try client.status(rowsMax: StatusClient.rowsMax).record)]
    guard let screen = TerminalScreen() else { throw .failed("top: cannot set up the terminal") }
    var due = SystemClock.milliseconds + Self.refreshMilliseconds
    screen.show(lines)
    loop: while true {
      switch signals.wait(forKeyWithin: Int32(max(0, due - SystemClock.milliseconds))) {
      // Ctrl-C and Ctrl-D come as keys.
      case .key(UInt8(ascii: "q")), .key(UInt8(ascii: "Q")), .key(3), .key(4), .end: break loop
      case .key: continue
      case .signal(SIGWINCH): break
      case .signal: break loop
      case .timeout:
        refresh()
        due = SystemClock.milliseconds + Self.refreshMilliseconds
      }
      screen.show(lines)
    }
    screen.end()
    return 0
  }

  private mutating func refresh() {
    do throws(CommandFault) {
      let record = try client.status(rowsMax: StatusClient.rowsMax).record
      fault = nil
      let now = SystemClock.milliseconds
      // Another process counts from 0.
      if record.text("started_at") != samples[0].record.text("started_at") { samples = [] }
      while samples.count > 1, now - samples[1].at >= Self.windowMilliseconds { samples.removeFirst() }
      samples.append((now, record))
    } catch {
      fault = error.message
    }
  }

  private var lines: [String] {
    let (first, last) = (samples[0], samples[samples.count - 1])
    let seconds = Double(last.at - first.at) / 1_000
    let view = StatusView(
      last.record, since: seconds > 0 ? (first.record, seconds) : nil, rowsMax: StatusClient.rowsMax)
    let layout = TopLayout(view, columns: Terminal.columns(of: 1) ?? 80, hasStyles: hasStyles)
    let title =
      fault
      ?? "blnk-gateway at \(client.admin.addressText), as of \(last.record.text("at") ?? "-"). q quits. "
      + "Rates and percentiles: \(seconds > 0 ? "last \(Int(seconds.rounded())) s" : "since the start")"
    return layout.lines(title: title, isFault: fault != nil, rows: Terminal.rows(of: 1) ?? 24)
  }
}
