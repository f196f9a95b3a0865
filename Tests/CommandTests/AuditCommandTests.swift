import Audit
import Bytes
import Foundation
import System
import TestFolders
import TestSupport
import TestValues
import Testing

/// What the gateway wrote, read back by the commands.
@Suite(.timeLimit(.minutes(10))) struct AuditCommandTests {
  private let folder: TemporaryFolder
  private let key = "key-of-the-audit-tests"

  init() throws {
    folder = try TemporaryFolder()
    try folder.write("\(key)\n", to: "key")
  }

  private func path(_ name: String) -> String { folder.path(name) }

  private func intent(_ number: UInt64, balance: String, identity: String? = nil) -> [UInt8] {
    let out = ByteBuffer(capacity: 1 << 10)
    let intent = AuditIntent(1, number, to: out)
    let operation = Array("balances.link_identity".utf8)
    intent.append(operation: operation.span, method: Span(), route: Span(), path: Span())
    append(client: "shop", token: "laptop", digestPrefix: 0x1234_abcd, to: intent)
    append([("balance_id", balance)], to: intent.target)
    append(identity.map { [("identity_id", $0)] } ?? [], to: intent.named)
    intent.append(AuditedBody?.none)
    return out.bytes
  }

  private func append(
    client: String, token: String = "", digestPrefix: UInt32? = nil, idPrefix: UInt32? = nil, to intent: AuditIntent
  ) {
    let (client, token, instance) = (Array(client.utf8), Array(token.utf8), Array("inst_main".utf8))
    intent.append(client: client.span, token: token.span, digestPrefix: digestPrefix, idPrefix: idPrefix)
    intent.append(instance: instance.span)
  }

  private func append(_ texts: [(key: String, value: String)], to members: AuditMembers) {
    var members = members
    for text in texts {
      let (key, value) = (Array(text.key.utf8), Array(text.value.utf8))
      members.append(key.span, value.span)
    }
    members.end()
  }

  private func outcome(_ number: UInt64, _ kind: AuditOutcome.Kind, _ status: Int, code: String? = nil) -> [UInt8] {
    let out = ByteBuffer(capacity: 1 << 10)
    AuditOutcome(requestIDHigh: 1, requestIDLow: number, kind: kind, status: status, code: code, body: nil)
      .append(to: out)
    return out.bytes
  }

  private final class Waiter {}

  /// A log with all kinds of entries of writes.
  private final class SettledLog {
    private let log: AuditLog
    let channel: AuditChannel
    private let port: CompletionPort<Waiter, IntentResult>

    init(path: String) throws {
      log = try AuditLog(path: path, key: nil) { _ in }
      channel = log.makeChannel {}
      port = CompletionPort(channel.completions)
    }

    func declare(_ intent: [UInt8]) {
      let isTaken = channel.declare(intent.span, ticket: port.ticket(for: Waiter()))
      #expect(isTaken)
      channel.wakeThread()
    }

    func declare(_ command: AuditCommand) {
      #expect(channel.declare(command, ticket: port.ticket(for: Waiter())))
      channel.wakeThread()
    }

    func close() { #expect(log.close()) }
  }

  /// Three writes over a rotation: done, unknown, and one without an outcome.
  private func writeLog(key: String?) throws {
    let log = try AuditLog(path: path("audit.log"), key: key.map { Array($0.utf8) }) { _ in }
    let channel = log.makeChannel {}
    let port = CompletionPort<Waiter, IntentResult>(channel.completions)
    func write(_ number: UInt64, _ intent: [UInt8], _ outcome: [UInt8]?) {
      let isTaken = channel.declare(intent.span, ticket: port.ticket(for: Waiter()))
      #expect(isTaken)
      channel.wakeThread()
      if let outcome { channel.record(outcome.span) }
    }
    write(1, intent(1, balance: "bln_1", identity: "idt_1"), outcome(1, .done, 200))
    #expect(eventually { log.state.entries >= 3 })
    try FileManager.default.moveItem(atPath: path("audit.log"), toPath: path("audit.log.1"))
    log.reopen()
    #expect(eventually { FileManager.default.fileExists(atPath: path("audit.log")) })
    write(
      2, intent(2, balance: "bln_1", identity: "idt_2"), outcome(2, .unknown, 504, code: "GATEWAY_UPSTREAM_TIMEOUT"))
    write(3, intent(3, balance: "bln_2"), nil)
    #expect(log.close())
  }

  private func verify(_ arguments: [String]) throws -> Program.Outcome {
    try Program.run(["audit", "verify"] + arguments)
  }

  @Test func `verify finds a log intact, its files in any order, and says its head`() throws {
    try writeLog(key: key)
    for files in [["audit.log.1", "audit.log"], ["audit.log", "audit.log.1"]] {
      let outcome = try verify(["--key-file", path("key")] + files.map(path))
      #expect(outcome.exitCode == 0, "\(outcome.output)\(outcome.errors)")
      #expect(outcome.output.contains(": 8 entries, intact\n"))
      let head = try #require(outcome.output.split(separator: "\n").last?.dropFirst(5)).description
      for expected in [head, String(head.suffix(64))] {
        #expect(try verify(["--key-file", path("key"), "--expect", expected] + files.map(path)).exitCode == 0)
      }
    }
  }

  @Test func `without files, the policy names the log and its key`() throws {
    try writeLog(key: key)
    try FileManager.default.createDirectory(atPath: path("policies"), withIntermediateDirectories: false)
    let named = ["--policies", path("policies"), "--state", folder.path]
    #expect(
      try verify(named).errors.contains("/gateway.json names no file as \"audit_log\"; give files, or - for a pipe"))
    try folder.write(#"{"audit_log": "audit.log.1", "audit_key": {"file": "../key"}}"#, to: "policies/gateway.json")
    let whole = try verify(named)
    #expect(
      whole.exitCode == 0 && whole.output.contains("/audit.log.1: ") && whole.output.contains(" entries, intact\n"),
      "\(whole)")
    for command in [["reloads"], ["grants"], ["outcomes"], ["show", "--client", "unknown"]] {
      let outcome = try Program.run(["audit"] + command + named)
      #expect(outcome.output.isEmpty && !outcome.errors.contains("gateway.json"), "\(command): \(outcome)")
    }
    try folder.write("another-key", to: "key")
    #expect(try verify(named).exitCode == 1)
  }

  @Test func `verify names file, line and entry of what is missing, and finds a cut end by its head`() throws {
    try writeLog(key: key)
    let whole = try verify(["--key-file", path("key"), "--json", path("audit.log.1"), path("audit.log")])
    let report = try JSONSerialization.jsonObject(with: Data(whole.output.utf8)) as? [String: Any]
    #expect(report?["ok"] as? Bool == true && report?["entries"] as? Int == 8)
    let head = try #require(report?["head"] as? String)
    var lines = try String(contentsOfFile: path("audit.log"), encoding: .utf8).split(separator: "\n")
    let last = lines.removeLast()
    try folder.write(lines.joined(separator: "\n") + "\n", to: "audit.log")
    let files = ["--key-file", path("key"), path("audit.log.1"), path("audit.log")]
    #expect(try verify(files).exitCode == 0)
    let cut = try verify(["--expect", head] + files)
    #expect(cut.exitCode == 1)
    #expect(cut.output.contains("is not in these files: the end was cut off, or these are other files"))
    lines.remove(at: 1)
    try folder.write(lines.joined(separator: "\n") + "\n\(last)\n", to: "audit.log")
    let missing = try verify(files)
    #expect(missing.exitCode == 1)
    #expect(
      missing.output.contains("\(path("audit.log")):2: entry ")
        && missing.output.contains(":5 is missing before this one"))
    #expect(missing.output.contains("NOT INTACT"))
  }

  @Test func `verify wants the key of a chain that has one, the right one, and refuses a chain that has none`() throws {
    try writeLog(key: key)
    let keyless = try verify([path("audit.log.1")])
    #expect(keyless.exitCode == 2 && keyless.errors.contains("the chain is keyed"))
    try folder.write("another", to: "key")
    let wrong = try verify(["--key-file", path("key"), path("audit.log.1")])
    #expect(wrong.exitCode == 1 && wrong.output.contains("it was changed, or this is the wrong key"))
    try FileManager.default.removeItem(atPath: path("audit.log"))
    try FileManager.default.removeItem(atPath: path("audit.log.1"))
    try writeLog(key: nil)
    #expect(try verify([path("audit.log.1"), path("audit.log")]).exitCode == 0)
    let forged = try verify(["--key-file", path("key"), path("audit.log.1")])
    #expect(forged.exitCode == 1 && forged.output.contains("does not prove who wrote it"))
  }

  @Test func `verify fails for a file that is not a log`() throws {
    try folder.write("x\n", to: "other")
    try folder.write("", to: "empty")
    for (name, message) in [("other", "not an audit log"), ("empty", "not an audit log")] {
      let outcome = try verify([path(name)])
      #expect(outcome.exitCode == 1 && outcome.output.contains(message))
    }
    let missing = try verify([path("nowhere")])
    #expect(missing.exitCode == 1 && missing.errors.contains("nowhere: No such file or directory"))
    #expect(try verify([folder.path]).errors.contains("is a folder"))
    let keyless = try verify(["--key-file", path("nowhere"), path("empty")])
    #expect(
      keyless.exitCode == 1 && keyless.errors.contains("--key-file \(path("nowhere")): No such file or directory"))
  }

  @Test func `verify reads pipes, in the order in which they are given`() throws {
    try writeLog(key: key)
    for (names, exitCode) in [(["audit.log.1", "audit.log"], 0), (["audit.log", "audit.log.1"], 1)]
      as [([String], Int32)]
    {
      let parts = names.map { "<(cat \(path($0)))" }.joined(separator: " ")
      let bash = Process()
      bash.executableURL = URL(filePath: "/bin/bash")
      bash.arguments = ["-c", "\(Program.path) audit verify --key-file <(echo \(key)) \(parts)"]
      bash.standardInput = FileHandle.nullDevice
      bash.standardOutput = FileHandle.nullDevice
      bash.standardError = FileHandle.nullDevice
      try bash.run()
      bash.waitUntilExit()
      #expect(bash.terminationStatus == exitCode)
    }
  }

  @Test func `show tells the story of a balance, and that of an identity`() throws {
    try writeLog(key: key)
    let files = [path("audit.log"), path("audit.log.1")]
    let balance = try Program.run(["audit", "show", "--balance", "bln_1"] + files)
    #expect(balance.exitCode == 0)
    let lines = balance.output.split(separator: "\n")
    #expect(lines.count == 8)
    #expect(lines[0].hasSuffix("  balances.link_identity  balance_id bln_1 → identity_id idt_1"))
    #expect(lines[1].hasPrefix("    done, status 200; outcome written at "))
    #expect(lines[2] == #"    by shop, token "laptop" (sha256 1234abcd…), from  to inst_main"#)
    #expect(lines[5].hasPrefix("    unknown, status 504, GATEWAY_UPSTREAM_TIMEOUT; outcome written at "))
    let identity = try Program.run(["audit", "show", "--identity", "idt_2", "--json"] + files)
    let call = try JSONSerialization.jsonObject(with: Data(identity.output.utf8)) as? [String: [String: Any]]
    #expect(call?["intent"]?["named"] as? [String: String] == ["identity_id": "idt_2"])
    #expect(call?["outcome"]?["outcome"] as? String == "unknown")
    let none = try Program.run(["audit", "show", "--identity", "bln_1"] + files)
    #expect(none.exitCode == 0 && none.output.isEmpty && none.errors.contains("has --identity bln_1"))
  }

  /// Of a transaction: its intent, its outcome, and with `settledAs` what a later question has found.
  private func transaction(
    _ number: UInt64, named: [(String, String)], _ kind: AuditOutcome.Kind?, id: String? = nil,
    settledAs settlement: String? = nil, settledID: String = "txn_queued", path: String = "/proxy/transactions",
    target: [(String, String)] = [],
    client: String = "shop", into log: SettledLog
  ) {
    var out = ByteBuffer(capacity: 1 << 10)
    let intent = AuditIntent(2, number, to: out)
    let (operation, head) = (Array("transactions.create".utf8), Array("POST \(path)".utf8))
    intent.append(
      operation: operation.span, method: head.span.extracting(0..<4), route: Span(),
      path: head.span.extracting(5..<head.count))
    append(client: client, idPrefix: 0xab12_cd34, to: intent)
    append(target, to: intent.target)
    append(named, to: intent.named)
    intent.append(AuditedBody?.none)
    log.declare(out.bytes)
    guard let kind else { return }
    var outcome = AuditOutcome(
      requestIDHigh: 2, requestIDLow: number, kind: kind, status: 201, code: nil, body: nil)
    outcome.texts = Array((id ?? "").utf8)
    outcome.transactionID = 0..<outcome.texts.count
    out = ByteBuffer(capacity: 1 << 10)
    outcome.append(to: out)
    out.withBytes { log.channel.record($0) }
    if let settlement, let request = AuditRequestID("\(hex(2))\(hex(number))") {
      var entry = AuditCommand("audit outcomes --ask", settling: request, as: .done)
      entry.members = [("id", settledID), ("execution_id", settlement)]
      log.declare(entry)
    }
  }

  private func hex(_ number: UInt64) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  @Test(
    arguments: [
      (["--request", "00000000000000020000000000000003"], [3]), (["--reference", "order-2"], [2]),
      (["--reference", #"a "b""#], [3]), (["--client", "bank"], [4]),
      (["--client", "bank", "--reference", "order-2"], []),
      (["--token", "ab12cd34"], [1, 2, 3, 4, 5, 6, 7]), (["--token", "AB12CD34ef01", "--client", "bank"], [4]),
      (["--token", "ab12"], []), (["--token", "ab12cd35"], []),
      (["--transaction", "txn_2"], [2]), (["--transaction", "txn_executed"], [4]),
      (["--transaction", "txn_path"], [5]),
      (["--source", "bln_a"], [6]), (["--destination", "bln_b", "--source", "bln_a"], [6]),
    ] as [([String], [Int])])
  func `show finds writes by request, transaction, reference, client and token`(
    options: [String], numbers: [Int]
  ) throws {
    try writeTransactions()
    let outcome = try Program.run(["audit", "show", "--json"] + options + [path("audit.log")])
    let found = outcome.output.split(separator: "\n").map { line in
      let call = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      let intent = call?["intent"] as? [String: Any]
      return (intent?["request_id"] as? String).flatMap { Int($0.suffix(16), radix: 16) }
    }
    #expect(found == numbers, "\(outcome.output)\(outcome.errors)")
    let canTell = !options.contains { ["--transaction", "--source", "--reference"].contains($0) }
    #expect(outcome.exitCode == 0)
    #expect(outcome.errors.isEmpty == (canTell && !numbers.isEmpty))
  }

  @Test func `show says which writes may match, and fails if it finds only such`() throws {
    try writeTransactions()
    let asked = [
      ("--transaction", "4 transactions in \(path("audit.log")) are logged without Core's id"),
      ("--source", "5 transactions in \(path("audit.log")) are logged without a source"),
      ("--reference", "1 transaction in \(path("audit.log")) is logged without a reference"),
    ]
    for (option, message) in asked {
      let outcome = try Program.run(["audit", "show", option, "other", path("audit.log")])
      #expect(outcome.exitCode == 1 && outcome.output.isEmpty, "\(option): \(outcome.output)")
      #expect(outcome.errors.hasPrefix("\(message): whether "), "\(outcome.errors)")
    }
    let decided = try Program.run(
      ["audit", "show", "--client", "bank", "--reference", "order-2", path("audit.log")])
    #expect(decided.exitCode == 0 && decided.errors.hasSuffix(" has --reference order-2 --client bank\n"))
  }

  @Test func `show escapes what a client or Core has sent`() throws {
    let log = try SettledLog(path: path("audit.log"))
    transaction(
      1, named: [("reference", "\u{1b}[2J\u{9b}")], .accepted, id: "txn_queued", settledAs: "txn_executed",
      settledID: "txn_\u{1b}[1m", into: log)
    log.close()
    let outcome = try Program.run(["audit", "show", "--client", "shop", path("audit.log")])
    #expect(
      outcome.output.contains(#"reference \u{1B}[2J\u{009B}"#) && !outcome.output.contains("\u{1b}"),
      "\(outcome.output)")
  }

  /// Transactions whose ids are known in different ways, or not at all.
  private func writeTransactions() throws {
    let log = try SettledLog(path: path("audit.log"))
    transaction(1, named: [("reference", "order-1")], .done, into: log)
    transaction(2, named: [("reference", "order-2")], .accepted, id: "txn_2", into: log)
    transaction(3, named: [("reference", #"a "b""#)], .unknown, into: log)
    transaction(
      4, named: [("reference", "order-4")], .accepted, id: "txn_queued", settledAs: "txn_executed", client: "bank",
      into: log)
    transaction(
      5, named: [], .done, path: "/proxy/transactions/txn_path/refund", target: [("id", "txn_path")], into: log)
    transaction(
      6, named: [("reference", "order-6"), ("source", "bln_a"), ("destination", "bln_b"), ("ledger_id", "bank")],
      .refused, into: log)
    transaction(7, named: [], nil, path: "/instances/inst_main/transactions/bulk", into: log)
    log.close()
  }

  @Test func `outcomes lists what is unknown or missing, and says so by its exit code`() throws {
    try writeLog(key: key)
    let outcome = try Program.run(["audit", "outcomes", path("audit.log"), path("audit.log.1")])
    #expect(outcome.exitCode == 1)
    #expect(outcome.errors.contains("3 writes, 2 with an unknown outcome"))
    #expect(
      outcome.output.contains("balance_id bln_2")
        && outcome.output.contains("outcome missing: the gateway stopped without writing it"))
    #expect(!outcome.output.contains("idt_1"))
    #expect(try Program.run(["audit", "outcomes", path("audit.log.1")]).exitCode == 0)
  }

  /// A copy of the log from before the writer ended, and one that another process continued.
  @Test func `a write without outcome is still open, until a start shows that the gateway was killed`() throws {
    let log = try AuditLog(path: path("audit.log"), key: nil) { _ in }
    let channel = log.makeChannel {}
    let port = CompletionPort<Waiter, IntentResult>(channel.completions)
    let intent = intent(1, balance: "bln_1")
    let isTaken = channel.declare(intent.span, ticket: port.ticket(for: Waiter()))
    #expect(isTaken)
    channel.wakeThread()
    #expect(eventually { log.state.entries >= 2 })
    for name in ["running", "killed"] {
      try FileManager.default.copyItem(atPath: path("audit.log"), toPath: path(name))
    }
    #expect(log.close())
    #expect(try AuditLog(path: path("killed"), key: nil) { _ in }.close())
    let killed = "outcome missing: it was not on disk when the gateway was killed; the client may have got a response"
    for (name, text, word) in [("running", "no outcome yet: ", "still_open"), ("killed", killed, "killed")] {
      for command in [["outcomes"], ["show", "--balance", "bln_1"]] {
        let told = try Program.run(["audit"] + command + [path(name)])
        #expect(told.output.contains("\n    \(text)"), "\(told.output)")
        let json = try Program.run(["audit"] + command + ["--json", path(name)])
        let call = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
        #expect(call?["outcome"] is NSNull && call?["outcome_missing"] as? String == word)
      }
    }
    let outcomes = try Program.run(["audit", "outcomes", path("running")])
    #expect(outcomes.exitCode == 1 && outcomes.errors == "1 write, 1 with an unknown outcome\n")
    let running = try verify([path("running")])
    #expect(running.exitCode == 0 && running.output.contains(": 2 entries, intact\n"))
    #expect(running.output.contains(" has no end entry yet: its gateway is running, or was killed after entry 2\n"))
    #expect(running.output.contains("\(path("running")):2: note: 1 write of writer "))
    #expect(running.output.contains(" has no outcome yet: in progress, or the gateway was killed\n"))
    let after = try verify([path("killed")])
    #expect(after.exitCode == 0 && after.output.contains(" has no end entry: it was killed after its entry 2\n"))
    #expect(after.output.contains("has no outcome: the gateway was killed before it was on disk"))
  }

  /// Like logrotate: each gateway in turn opens the new file.
  @Test func `verify finds the log of two gateways intact over its rotations, however many of its files are given`()
    throws
  {
    let logs = try (0..<2).map { _ in try AuditLog(path: path("audit.log"), key: nil) { _ in } }
    let channels = logs.map { $0.makeChannel {} }
    let ports = channels.map { CompletionPort<Waiter, IntentResult>($0.completions) }
    var number: UInt64 = 0
    func write() {
      for index in logs.indices {
        let before = logs[index].state.entries
        number += 1
        let (intent, outcome) = (intent(number, balance: "bln_1"), outcome(number, .done, 200))
        let isTaken = channels[index].declare(intent.span, ticket: ports[index].ticket(for: Waiter()))
        #expect(isTaken)
        channels[index].wakeThread()
        channels[index].record(outcome.span)
        #expect(eventually { logs[index].state.entries >= before + 2 })
      }
    }
    write()
    for _ in 0..<2 {
      if FileManager.default.fileExists(atPath: path("audit.log.1")) {
        try FileManager.default.moveItem(atPath: path("audit.log.1"), toPath: path("audit.log.2"))
      }
      try FileManager.default.moveItem(atPath: path("audit.log"), toPath: path("audit.log.1"))
      for log in logs {
        let before = log.state.entries
        log.reopen()
        #expect(eventually { log.state.entries > before })
      }
      write()
    }
    for log in logs { #expect(log.close()) }
    for names in [
      ["audit.log.2", "audit.log.1", "audit.log"], ["audit.log", "audit.log.1", "audit.log.2"],
      ["audit.log.1", "audit.log"], ["audit.log"],
    ] {
      let outcome = try verify(names.map(path))
      #expect(outcome.exitCode == 0 && outcome.output.contains(" entries, intact\n"), "\(names): \(outcome.output)")
      let notes = outcome.output.split(separator: "\n").count { $0.contains("note: continues from entry ") }
      #expect(notes == (names.count == 3 ? 0 : 2), "\(outcome.output)")
    }
    // In the middle of the files nothing may be missing.
    #expect(try verify([path("audit.log.2"), path("audit.log")]).exitCode == 1)
  }

  @Test func `refuses compressed files, and says what reads them`() throws {
    try writeLog(key: nil)
    let whole = try verify([path("audit.log.1"), path("audit.log")]).output.split(separator: "\n").last
    let bash = Process()
    bash.executableURL = URL(filePath: "/bin/bash")
    bash.arguments = ["-c", "cp audit.log.1 audit.log.2; gzip audit.log.2; cp audit.log.2.gz audit.log.10.gz"]
    bash.currentDirectoryURL = folder.url
    try bash.run()
    bash.waitUntilExit()
    for command in [["verify"], ["show", "--balance", "bln_1"], ["outcomes"]] {
      let words = "audit \(command[0])"
      let outcome = try Program.run(["audit"] + command + ["audit.log", "audit.log.1", "audit.log.2.gz"].map(path))
      #expect(outcome.exitCode == 2 && outcome.output.isEmpty)
      let hint =
        "zcat \(path("audit.log.2.gz")) | blnk-gateway \(words) - \(path("audit.log.1")) \(path("audit.log"))\n"
      #expect(outcome.errors.hasPrefix("error: \(words): \(path("audit.log.2.gz")): compressed; "), "\(outcome.errors)")
      #expect(outcome.errors.hasSuffix(hint), "\(outcome.errors)")
    }
    let two = try verify(["audit.log.2.gz", "audit.log.10.gz"].map(path))
    #expect(two.errors.contains("zcat \(path("audit.log.10.gz")) \(path("audit.log.2.gz")) | "), "\(two.errors)")
    let piped = Process()
    let output = Pipe()
    piped.executableURL = URL(filePath: "/bin/sh")
    piped.arguments = ["-c", "zcat audit.log.2.gz | \(Program.path) audit verify - audit.log"]
    piped.currentDirectoryURL = folder.url
    piped.standardOutput = output
    try piped.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    piped.waitUntilExit()
    #expect(piped.terminationStatus == 0 && text.split(separator: "\n").last == whole, "\(text)")
  }
}
