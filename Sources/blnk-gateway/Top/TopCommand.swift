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
      let text = String(decoding: try client.status(rowsMax: nil).prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
      try Console.print(Terminal.isAt(1) ? asciiJSON(text) : text)
    } else {
      for line in TopLayout(
        StatusView(try client.reading()), columns: Terminal.columns(of: 1), hasStyles: Console.hasStyles(.output)
      ).lines() {
        try Console.print(line)
      }
    }
    return 0
  }
}

/// Asks the running gateway for its status.
struct StatusClient {
  /// Of each table: more do not fit on a terminal.
  private static let rowsMax = 100
  /// Ctrl-C waits for an answer as well.
  private static let millisecondsMax: Int64 = 2_000

  let admin: AdminClient

  init(_ admin: AdminClient) { self.admin = admin }

  func reading() throws(CommandFault) -> StatusReading {
    guard let reading = StatusReading(try status(rowsMax: Self.rowsMax)) else { throw admin.notThisVersion }
    return reading
  }

  /// The JSON.
  ///
  /// - Parameter rowsMax: nil: all.
  func status(rowsMax: Int?) throws(CommandFault) -> [UInt8] {
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
    return response.body
  }
}

/// One run of `top` on a terminal.
private struct TopSession {
  private static let refreshMilliseconds: Int64 = 1_000

  private let client: StatusClient
  private let signals: Signals
  private let hasStyles = Console.hasStyles(.output)
  private var window: StatusWindow
  private var fault: String?

  init(_ client: StatusClient) throws(CommandFault) {
    guard Terminal.isAt(0), Terminal.isAt(1) else {
      throw .failed("top: standard input and output must be a terminal; without one, use --once")
    }
    self.client = client
    signals = Signals(blocking: [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH])
    // A fault of the first answer is for the shell, not for a screen that disappears.
    window = StatusWindow(try client.reading())
  }

  mutating func run() throws(CommandFault) -> Int32 {
    guard let screen = TerminalScreen() else { throw .failed("top: cannot set up the terminal") }
    var due = SystemClock.milliseconds + Self.refreshMilliseconds
    screen.show(lines)
    loop: while true {
      switch signals.wait(forKeysWithin: Int32(max(0, due - SystemClock.milliseconds))) {
      case .keys(let keys):
        guard !keys.contains(where: Self.ends) else { break loop }
        continue
      case .end: break loop
      case .signal(SIGWINCH): break
      case .signal: break loop
      case .timeout:
        refresh()
        due = SystemClock.milliseconds + Self.refreshMilliseconds
      }
      screen.show(lines)
    }
    return 0
  }

  /// Ctrl-C and Ctrl-D come as keys.
  private static func ends(_ key: UInt8) -> Bool { [UInt8(ascii: "q"), UInt8(ascii: "Q"), 3, 4].contains(key) }

  private mutating func refresh() {
    do throws(CommandFault) {
      window.add(try client.reading())
      fault = nil
    } catch {
      fault = error.message
    }
  }

  private var lines: [String] {
    let view = window.view
    let layout = TopLayout(view, columns: Terminal.columns(of: 1) ?? 80, hasStyles: hasStyles)
    let title =
      fault ?? "blnk-gateway at \(client.admin.addressText), as of \(view.at). q quits. \(view.span)"
    return layout.lines(title: title, isFault: fault != nil, rows: Terminal.rows(of: 1) ?? 24)
  }
}
