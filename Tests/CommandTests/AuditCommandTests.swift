import Foundation
import System
import Telemetry
import TestFolders
import Testing

/// What the gateway wrote, read back by the commands.
@Suite(.timeLimit(.minutes(2))) struct AuditCommandTests {
  private let folder: TemporaryFolder
  private let key = "key-of-the-audit-tests"

  init() throws {
    folder = try TemporaryFolder()
    try folder.write("\(key)\n", to: "key")
  }

  private func path(_ name: String) -> String { folder.path(name) }

  private func intent(_ number: UInt64, balance: String, identity: String? = nil) -> [UInt8] {
    var intent = AuditIntent(requestIDHigh: 1, requestIDLow: number)
    intent.operation = Array("balances.link_identity".utf8)
    intent.client = Array("shop".utf8)
    intent.tokenNote = Array("laptop".utf8)
    intent.tokenDigestPrefix = 0x1234_abcd
    intent.instance = Array("inst_main".utf8)
    intent.target = [(key: Array("balance_id".utf8), value: Array(balance.utf8))]
    if let identity { intent.named = [(key: Array("identity_id".utf8), value: Array(identity.utf8))] }
    var out: [UInt8] = []
    intent.append(RequestTexts(), in: Span(), to: &out)
    return out
  }

  private func outcome(_ number: UInt64, _ word: AuditOutcome.Word, _ status: Int, code: String? = nil) -> [UInt8] {
    var out: [UInt8] = []
    AuditOutcome(requestIDHigh: 1, requestIDLow: number, word: word, status: status, code: code, body: nil)
      .append(to: &out)
    return out
  }

  private final class Waiter {}

  /// Three writes over a rotation: done, unknown, and one without an outcome.
  private func writeLog(key: String?) throws {
    let log = try AuditLog(path: path("audit.log"), key: key.map { Array($0.utf8) }) { _ in }
    let channel = log.makeChannel {}
    let port = CompletionPort<Waiter, IntentResult>(channel.completions)
    func write(_ number: UInt64, _ intent: [UInt8], _ outcome: [UInt8]?) {
      #expect(channel.declare(intent, ticket: port.ticket(for: Waiter())))
      if let outcome { channel.record(outcome) }
    }
    write(1, intent(1, balance: "bln_1", identity: "idt_1"), outcome(1, .done, 200))
    while log.state.entries < 3 { usleep(1_000) }
    try FileManager.default.moveItem(atPath: path("audit.log"), toPath: path("audit.log.1"))
    log.reopen()
    while !FileManager.default.fileExists(atPath: path("audit.log")) { usleep(1_000) }
    write(
      2, intent(2, balance: "bln_1", identity: "idt_2"), outcome(2, .unknown, 504, code: "GATEWAY_UPSTREAM_TIMEOUT"))
    write(3, intent(3, balance: "bln_2"), nil)
    #expect(log.close())
  }

  private func verify(_ arguments: [String]) throws -> Program.Outcome {
    try Program.run(["audit", "verify"] + arguments)
  }

  @Test func `verify finds a log whole, its files in any order, and says its head`() throws {
    try writeLog(key: key)
    for files in [["audit.log.1", "audit.log"], ["audit.log", "audit.log.1"]] {
      let outcome = try verify(["--key-file", path("key")] + files.map(path))
      #expect(outcome.exitCode == 0, "\(outcome.output)\(outcome.errors)")
      #expect(outcome.output.contains(": 8 entries, whole\n"))
      let head = try #require(outcome.output.split(separator: "\n").last?.dropFirst(5)).description
      for expected in [head, String(head.suffix(64))] {
        #expect(try verify(["--key-file", path("key"), "--expect", expected] + files.map(path)).exitCode == 0)
      }
    }
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
    #expect(cut.output.contains("is not in these files: the end is cut, or they are others"))
    lines.remove(at: 1)
    try folder.write(lines.joined(separator: "\n") + "\n\(last)\n", to: "audit.log")
    let missing = try verify(files)
    #expect(missing.exitCode == 1)
    #expect(
      missing.output.contains("\(path("audit.log")):2: entry ")
        && missing.output.contains(":5 is missing before this one"))
    #expect(missing.output.contains("NOT WHOLE"))
  }

  @Test func `verify wants the key of a chain that has one, the right one, and refuses a chain that has none`() throws {
    try writeLog(key: key)
    let keyless = try verify([path("audit.log.1")])
    #expect(keyless.exitCode == 2 && keyless.errors.contains("the chain is under a key"))
    try folder.write("another", to: "key")
    let wrong = try verify(["--key-file", path("key"), path("audit.log.1")])
    #expect(wrong.exitCode == 1 && wrong.output.contains("changed, or checked with another key"))
    try FileManager.default.removeItem(atPath: path("audit.log"))
    try FileManager.default.removeItem(atPath: path("audit.log.1"))
    try writeLog(key: nil)
    #expect(try verify([path("audit.log.1"), path("audit.log")]).exitCode == 0)
    let forged = try verify(["--key-file", path("key"), path("audit.log.1")])
    #expect(forged.exitCode == 1 && forged.output.contains("does not prove who wrote it"))
  }

  @Test func `verify fails for what is no log`() throws {
    try folder.write("x\n", to: "other")
    try folder.write("", to: "empty")
    for (name, message) in [("other", "no entries"), ("empty", "no entries")] {
      let outcome = try verify([path(name)])
      #expect(outcome.exitCode == 1 && outcome.output.contains(message))
    }
    let missing = try verify([path("nowhere")])
    #expect(missing.exitCode == 1 && missing.errors.contains("nowhere: No such file or directory"))
    #expect(try verify([folder.path]).errors.contains("it is a folder"))
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
    #expect(lines[1].hasPrefix("    done, status 200, at "))
    #expect(lines[2] == #"    by shop, token "laptop" (sha256 1234abcd…), from  to inst_main"#)
    #expect(lines[5].hasPrefix("    unknown, status 504, GATEWAY_UPSTREAM_TIMEOUT, at "))
    let identity = try Program.run(["audit", "show", "--identity", "idt_2", "--json"] + files)
    let call = try JSONSerialization.jsonObject(with: Data(identity.output.utf8)) as? [String: [String: Any]]
    #expect(call?["intent"]?["named"] as? [String: String] == ["identity_id": "idt_2"])
    #expect(call?["outcome"]?["outcome"] as? String == "unknown")
    let nobody = try Program.run(["audit", "show", "--identity", "bln_1"] + files)
    #expect(nobody.exitCode == 0 && nobody.output.isEmpty && nobody.errors.contains("names bln_1"))
  }

  @Test func `outcomes lists what is unknown or missing, and says so by its exit code`() throws {
    try writeLog(key: key)
    let outcome = try Program.run(["audit", "outcomes", path("audit.log"), path("audit.log.1")])
    #expect(outcome.exitCode == 1)
    #expect(outcome.errors.contains("3 writes, 2 of them with an outcome that is not known"))
    #expect(outcome.output.contains("balance_id bln_2") && outcome.output.contains("outcome missing"))
    #expect(!outcome.output.contains("idt_1"))
    #expect(try Program.run(["audit", "outcomes", path("audit.log.1")]).exitCode == 0)
  }
}
