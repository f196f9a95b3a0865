import Foundation
import Glibc
import TestFolders
import Testing

/// Access logs as the gateway writes them, searched by the command.
@Suite(.timeLimit(.minutes(10))) struct RequestsCommandTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func path(_ name: String) -> String { folder.path(name) }

  /// A line of second `second` of 03:27.
  private static func line(
    _ second: Int, id: String, own: String? = nil, client: String = "shop", instance: String = "inst_main",
    status: Int = 200, code: String? = nil, fault: String? = nil, milliseconds: String = "1.203",
    path: String = "/proxy/balances"
  ) -> String {
    let time = "2026-11-29T03:27:\(second < 10 ? "0" : "")\(second).173671Z"
    return #"{"time":"\#(time)","request_id":"\#(id)""# + (own.map { #","client_request_id":"\#($0)""# } ?? "")
      + #","trace_id":"t\#(id)","client":"\#(client)","token":"laptop","instance":"\#(instance)","method":"GET""#
      + #","route":"/proxy/balances","path":"\#(path)","status":\#(status)"#
      + (code.map { #","code":"\#($0)""# } ?? "") + (fault.map { #","fault":"\#($0)""# } ?? "")
      + #","bytes_in":0,"bytes_out":435,"total_ms":\#(milliseconds),"tries":1,"pooled":true,"peer":"127.0.0.1"}"#
  }

  private static let old = [
    line(1, id: "a1", milliseconds: "900.000"), line(2, id: "a2", client: "bank", milliseconds: "12.000"),
  ]
  private static let older = [line(0, id: "b1", own: "order-4711", instance: "inst_two", milliseconds: "11500.500")]
  private static let new = [
    line(10, id: "c1", status: 429, code: "GATEWAY_RATE_LIMITED", milliseconds: "0.100"),
    line(11, id: "c2", status: 502, code: "GATEWAY_UPSTREAM_REFUSED", fault: #"say \"no\""#, milliseconds: "30.000"),
    line(12, id: "c3", client: "bank", status: 404, milliseconds: "2.000"),
  ]
  private static let all = older + old + new

  /// Three files, the oldest of them compressed.
  private func writeLogs() throws -> [String] {
    for (name, lines) in [("access.log", Self.new), ("access.log.1", Self.old), ("access.log.2", Self.older)] {
      try folder.write(lines.joined(separator: "\n") + "\n", to: name)
    }
    try gzip("access.log.2")
    return ["access.log", "access.log.1", "access.log.2.gz"].map(path)
  }

  private func gzip(_ name: String) throws {
    let outcome = try Program.shell("gzip \(path(name))")
    #expect(outcome.exitCode == 0, "\(outcome.errors)")
  }

  private func requests(_ arguments: [String], _ environment: [String: String] = [:]) throws -> Program.Outcome {
    try Program.run(["requests"] + arguments, environment: environment)
  }

  @Test func `prints the lines of all files in the order of time, rotated and compressed ones, too`() throws {
    let files = try writeLogs()
    for order in [files, files.reversed(), [files[1], files[2], files[0]]] {
      let outcome = try requests(order, ["GZIP": "--list"])
      #expect(outcome.exitCode == 0 && outcome.errors.isEmpty, "\(outcome.errors)")
      #expect(outcome.output.split(separator: "\n").map(String.init) == Self.all)
    }
  }

  @Test(arguments: [
    (["--id", "c2"], ["c2"]), (["--id", "order-4711"], ["b1"]), (["--id", "ta2"], ["a2"]),
    (["--client", "bank"], ["a2", "c3"]), (["--instance", "inst_two"], ["b1"]),
    (["--code", "rate_limited"], ["c1"]), (["--code", "GATEWAY_UPSTREAM_REFUSED"], ["c2"]),
    (["--code", "404"], ["c3"]), (["--code", "5xx"], ["c2"]), (["--code", "4XX", "--client", "shop"], ["c1"]),
    (["--since", "2026-11-29T03:27:11Z"], ["c2", "c3"]), (["--since", "2026-11-29T04:27:12+01:00"], ["c3"]),
    (["--since", "2026-11-29T03:27:11.173671Z", "--until", "2026-11-29T03:27:11.173671Z"], ["c2"]),
    (["--since", "2026-11-29T03:27:11.173672Z"], ["c3"]), (["--until", "2026-11-29T03:27:01Z"], ["b1", "a1"]),
    (["--until", "2026-11-29T03:27:01.173Z"], ["b1", "a1"]), (["--until", "2026-11-29T03:27:01.172Z"], ["b1"]),
    (["--since", "3650d"], ["b1", "a1", "a2", "c1", "c2", "c3"]), (["--slowest", "3"], ["b1", "a1", "c2"]),
    (["--slowest", "9"], ["b1", "a1", "c2", "a2", "c3", "c1"]),
    (["--slowest", "2", "--client", "bank"], ["a2", "c3"]), (["--limit", "2"], ["c2", "c3"]),
    (["--limit", "1", "--client", "shop"], ["c2"]),
  ])
  func `finds what matches all options`(options: [String], ids: [String]) throws {
    let outcome = try requests(options + writeLogs())
    #expect(outcome.exitCode == 0 && outcome.errors.isEmpty, "\(outcome.errors)")
    let lines = outcome.output.split(separator: "\n")
    #expect(lines.count == ids.count, "\(outcome.output)")
    for (line, id) in zip(lines, ids) { #expect(line.contains(#""request_id":"\#(id)""#), "\(line)") }
  }

  @Test func `looks back from now for a duration`() throws {
    let time = ISO8601DateFormatter().string(from: Date(timeIntervalSinceNow: -300)).dropLast()
    try folder.write(#"{"time":"\#(time).000000Z","request_id":"n","status":200}"# + "\n", to: "log")
    #expect(try requests(["--since", "10m", path("log")]).exitCode == 0)
    #expect(try requests(["--since", "1m", path("log")]).exitCode == 1)
    #expect(try requests(["--until", "1m", path("log")]).exitCode == 0)
    #expect(try requests(["--until", "10m", path("log")]).exitCode == 1)
  }

  @Test func `exits with 1 if nothing matches, and says where it looked`() throws {
    let files = try writeLogs()
    let outcome = try requests(["--client", "other"] + files)
    #expect(outcome.exitCode == 1 && outcome.output.isEmpty)
    #expect(outcome.errors == "no such request in \(files.reversed().joined(separator: ", "))\n")
    #expect(try requests([path("nowhere")]).errors.contains("nowhere: No such file or directory"))
    #expect(try requests([folder.path]).errors.contains("is a folder"))
  }

  @Test func `reads the access log of the policy without a file, and standard input as -`() throws {
    _ = try writeLogs()
    try folder.makeFolder("policies")
    try folder.write(#"{"access_log": "access.log"}"#, to: "policies/gateway.json")
    let options = ["--policies", path("policies"), "--state", folder.path, "--client", "bank"]
    let outcome = try requests(options)
    #expect(outcome.exitCode == 0 && outcome.output == Self.new[2] + "\n", "\(outcome.errors)")
    let variable = try requests(["--state", folder.path], ["BLNK_GATEWAY_POLICIES": path("policies")])
    #expect(variable.output.split(separator: "\n").count == 3)
    try folder.write("{}", to: "policies/gateway.json")
    let none = try requests(options)
    #expect(none.exitCode == 1 && none.errors.contains(#"/gateway.json names no file as "access_log""#))
    let piped = try Program.run(["requests", "--id", "c1", "-"], input: Self.new.joined(separator: "\n"))
    #expect(piped.exitCode == 0 && piped.output == Self.new[0] + "\n")
    let pipe = try Program.shell(
      "zcat \(path("access.log.2.gz")) | \(Program.path) requests - \(path("access.log.1")) <(cat \(path("access.log")))"
    )
    #expect(pipe.output == Self.all.joined(separator: "\n") + "\n", "\(pipe.errors)")
  }

  @Test func `prints what it can read of a damaged file, and fails`() throws {
    let files = try writeLogs()
    let bytes = try Data(contentsOf: URL(filePath: files[2]))
    try bytes.dropLast(6).write(to: URL(filePath: files[2]))
    let outcome = try requests(files)
    #expect(
      outcome.exitCode == 1 && outcome.output.split(separator: "\n").map(String.init).suffix(5) == Self.all.suffix(5))
    #expect(outcome.errors.contains("access.log.2.gz: damaged or incomplete: gzip cannot decompress all of it\n"))
  }

  @Test func `names the tool for files that gzip has not compressed`() throws {
    try Data([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]).write(to: URL(filePath: path("access.log.3.xz")))
    let outcome = try requests([path("access.log.3.xz")] + writeLogs())
    #expect(outcome.exitCode == 2)
    #expect(outcome.errors.contains("xzcat \(path("access.log.3.xz")) | blnk-gateway requests - "), "\(outcome.errors)")
  }

  /// Each of these would be wrong to print or to match.
  private static let hostile = [
    "", "null", "[]", "{}", "{", #"{"time":"x"}"#, line(13, id: "x1") + "}", line(13, id: "x2").dropLast().description,
    line(13, id: "x3", own: "\u{1b}[2J"), #"{"request_id":"x4","request_id":"x4","time":"t"}"#,
    #"Nov 29 03:27:13 host blnk-gateway[7]: "# + line(13, id: "x5"), line(13, id: "x6") + line(13, id: "x7"),
    line(13, id: "y1").replacing(#""shop""#, with: #""shop"x"#), line(13, id: "y2").replacing(#""shop""#, with: ""),
    #"{"time":"2026-11-29T03:27:13.000000Z","request_id":"x8","client":"shop\"#,
    String(repeating: " ", count: 2 << 20) + line(13, id: "x9"),
    line(13, id: "y3") + String(repeating: " ", count: 2 << 20) + "x",
    String(repeating: "[", count: 1 << 20),
  ]

  @Test func `skips and counts what is not a line of an access log, and takes no part of a long line for one`() throws {
    try folder.write((Self.new + Self.hostile + Self.old).joined(separator: "\n") + "\n", to: "log")
    let outcome = try requests([path("log")])
    #expect(outcome.exitCode == 0 && outcome.output == (Self.new + Self.old).joined(separator: "\n") + "\n")
    #expect(outcome.errors == "skipped \(Self.hostile.count) lines not of an access log\n")
  }

  @Test func `accepts spaces and members that later versions may write`() throws {
    let line = #" { "time" : "t", "x": {"request_id": [1, "}"]}, "request_id" : "y\\", "status": 200 }"#
    try folder.write(line + "\r\n", to: "log")
    let outcome = try requests(["--id", #"y\"#, "--code", "2xx", path("log")])
    #expect(outcome.exitCode == 0 && outcome.output == line + "\r\n", "\(outcome.errors)")
  }

  @Test func `takes the same memory for a large file as for a small one`() throws {
    let lines = Self.all.joined(separator: "\n") + "\n"
    try folder.write(String(repeating: lines, count: 64), to: "small")
    try folder.write(String(repeating: lines, count: 6 << 10), to: "large")
    for options in ["--slowest 3", "--limit 3", "--id c1"] {
      let peaks = try ["small", "large"].map { name in
        try peakKilobytes(options.split(separator: " ").map(String.init) + [path(name)])
      }
      #expect(peaks[1] < peaks[0] + 4 << 10, "\(options): \(peaks)")
    }
  }

  /// The peak of its resident memory, which the kernel counts for children that have ended.
  private func peakKilobytes(_ arguments: [String]) throws -> Int {
    let outcome = try Program.shell(
      "python3 -c 'import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); "
        + "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' \(Program.path) requests "
        + arguments.joined(separator: " "))
    return try #require(Int(outcome.output.trimmingCharacters(in: .whitespacesAndNewlines)), "\(outcome.errors)")
  }

  @Test func `shows a table on a terminal, cut to its width, without control bytes`() throws {
    let hostile = Self.line(13, id: "c4", path: #"/\u001b[31m\#u{9b}31m\#u{202e}"#)
    try folder.write((Self.new + [hostile]).joined(separator: "\n") + "\n", to: "log")
    let wide = try Program.screen(["requests", path("log")], columns: 200, environment: [:])
    let rows = wide.split(separator: "\n").map(String.init)
    try #require(rows.count == 5, "\(wide)")
    #expect(
      rows[0] == "TIME                  REQUEST  STATUS  CODE              MS      CLIENT  INSTANCE   CALL"
        + String(repeating: " ", count: 21) + "FAULT")
    #expect(
      rows[2].hasPrefix("2026-11-29T03:27:11Z  c2       502     UPSTREAM_REFUSED  30.000  shop    inst_main  GET"))
    #expect(rows[2].hasSuffix(#"  say \"no\""#))
    #expect(rows[4].hasSuffix(#"GET /\u001b[31m??31m???"#), "\(wide)")
    let narrow = try Program.screen(["requests", path("log")], columns: 60, environment: [:])
    #expect(narrow.split(separator: "\n").allSatisfy { $0.count <= 60 })
    #expect(narrow.contains("…"))
    for (environment, isStyled) in [(["TERM": "xterm"], true), (["TERM": "xterm", "NO_COLOR": "1"], false)] {
      let screen = try Program.screen(["requests", path("log")], columns: 200, environment: environment)
      #expect(screen.contains("\u{1b}[31m2026-11-29T03:27:11Z  c2 ") == isStyled)
      #expect(screen.contains("\u{1b}") == isStyled)
    }
    let json = try Program.screen(["requests", "--json", "--id", "c4", path("log")], columns: 60, environment: [:])
    #expect(json.hasPrefix(#"{"time":"#) && json.utf8.allSatisfy { $0 == 10 || (0x20...0x7e).contains($0) })
    #expect(json.contains(#"\u001b[31m\u009b31m\u202e"#), "\(json)")
  }
}

extension Program {
  /// Runs the program with standard output on a new terminal, and returns what it prints there.
  static func screen(_ arguments: [String], columns: UInt16, environment: [String: String]) throws -> String {
    var (main, end) = (Int32(-1), Int32(-1))
    var size = winsize(ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
    guard unsafe openpty(&main, &end, nil, nil, &size) == 0 else { throw NoTerminal() }
    for number in [main, end] { _ = fcntl(number, F_SETFD, FD_CLOEXEC) }
    let terminal = FileHandle(fileDescriptor: main, closeOnDealloc: true)
    let programEnd = FileHandle(fileDescriptor: end, closeOnDealloc: true)
    let process = Process()
    process.executableURL = URL(filePath: path)
    process.arguments = arguments
    process.environment = environment.merging(["PATH": "/usr/bin:/bin", "TERM": "dumb"]) { first, _ in first }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = programEnd
    try process.run()
    // Once the program has ended, no one has the terminal open: the end of the output, which the kernel passes on late.
    try programEnd.close()
    var output: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 4 << 10)
    while true {
      let count = withExtendedLifetime(terminal) { unsafe read(main, &part, part.count) }
      guard count > 0 else { break }
      output += part.prefix(count)
    }
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return String(decoding: output, as: UTF8.self).replacing("\r\n", with: "\n")
  }
}
