import Foundation
import TestFolders
import TestSupport
import Testing

/// What the audit log guarantees when the kernel or the disk fails.
@Suite(.scopedFixtures, .serialized) struct AuditDurabilityTests {
  private static let link = "/proxy/balances/b/identity?instance_id=one"
  private static let body = #"{"identity_id":"i"}"#

  private final class Stage {
    let core: ScriptedUpstream
    let folder: TestPolicyFolder
    let gateway: GatewayProcess

    init(wrapper: (TestPolicyFolder) -> [String] = { _ in [] }) throws {
      core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
      folder = try TestPolicyFolder(
        instances: [("one", "http://127.0.0.1:\(core.port)")],
        gateway: ["audit_log": "audit.log", "audit_key": ["env": "TEST_KEY"], "access_log": NSNull()])
      gateway = try GatewayProcess(folder, wrapper: wrapper(folder))
    }

    func ask(_ method: String, _ target: String, body: String? = nil) throws -> TestMessage? {
      let socket = try TestSocket(port: gateway.port)
      try socket.send(testRequest(method, target, body: body))
      var reader = TestMessageReader(socket)
      return try reader.next()
    }

    func write() throws -> Int { try ask("PUT", link, body: AuditDurabilityTests.body)?.status ?? 0 }

    func read() throws -> Int { try ask("GET", "/proxy/balances?instance_id=one")?.status ?? 0 }

    /// Repeats writes until one gets this status.
    func write(until status: Int) throws -> Bool {
      var isFound = false
      _ = try eventually(every: 0.02) {
        let answer = try ask("PUT", link, body: AuditDurabilityTests.body)
        isFound = answer?.status == status
        if isFound { return true }
        #expect(answer?.status == 200 || answer?.member("outcome") == "not_sent" && answer?["Retry-After"] == "1")
        // Any other response ends the wait.
        return answer?.status != 200 && answer?.member("code") != "GATEWAY_AUDIT_UNAVAILABLE"
      }
      return isFound
    }

    /// The audit files; those that were set aside come first.
    func names(in folder: String) throws -> [String] {
      let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasPrefix("audit.log") }
      return names.filter { $0 != "audit.log" }.sorted() + ["audit.log"]
    }

    /// Every write that Core has executed has its intent, and its outcome says so.
    func check(_ folder: String, _ names: [String]) throws {
      let records = try AuditRecords(folder, names)
      let done = records.outcomes.filter { $0["outcome"] as? String == "done" }.compactMap {
        $0["request_id"] as? String
      }
      let writes = core.requests.filter { $0.message.startLine.hasPrefix("PUT") }
      let executed = writes.compactMap { $0.message["X-Request-Id"] }
      let intents = records.intents.compactMap { $0["request_id"] as? String }
      #expect(Set(done) == Set(executed) && Set(executed).count == executed.count)
      #expect(Set(executed).isSubset(of: intents))
    }
  }

  @Test func `the intent is durable before the first byte of a write is sent`() throws {
    let temporary = try TemporaryFolder()
    let trace = temporary.path("strace")
    let stage = try Stage { _ in
      ["/usr/bin/strace", "-D", "-f", "-e", "trace=write,fdatasync,sendto", "-s", "4096", "-o", trace]
    }
    for _ in 0..<5 { #expect(try stage.write() == 200) }
    #expect(stage.gateway.stop() == 0)
    var lines: [Substring] = []
    // The tracer ends behind the process.
    let isTraced = try eventually {
      lines = (try String(contentsOfFile: trace, encoding: .utf8)).split(separator: "\n")
      return lines.last?.contains("+++ exited") == true
    }
    #expect(isTraced)
    let ids = stage.core.requests.compactMap { $0.message["X-Request-Id"] }
    #expect(ids.count == 5)
    for id in ids {
      let written = try #require(
        lines.firstIndex { $0.contains("write(") && $0.contains(#"\"intent\",\"request_id\":\"\#(id)"#) })
      let sent = try #require(lines.firstIndex { $0.contains("sendto(") && $0.contains("X-Request-Id: \(id)") })
      let between = written < sent ? lines[written..<sent] : []
      let synchronized = between.contains { $0.contains("fdatasync") && $0.hasSuffix("= 0") }
      #expect(synchronized, "\(id)")
    }
  }

  @Test func `a gateway that is killed 100 times, at any moment, leaves an intent of every executed write`() throws {
    try KilledGateway.run(times: 100, seed: UInt64.random(in: 0...UInt64.max))
  }

  @Test(.enabled(if: MountedDisk.isPossible, "needs unshare -rm and a tmpfs"))
  func `on a full disk writes are rejected and reads continue, until there is space again`() throws {
    let stage = try Stage { folder in MountedDisk.command(at: folder.statePath, kibibytes: 128) }
    // Only the gateway sees this disk.
    let state = "/proc/\(stage.gateway.identifier)/root\(stage.folder.statePath)"
    #expect(try stage.write() == 200)
    #expect(FileManager.default.createFile(atPath: "\(state)/filler", contents: nil))
    let filler = try #require(FileHandle(forWritingAtPath: "\(state)/filler"))
    for _ in 0..<64 { try? filler.write(contentsOf: Data(count: 4_096)) }
    try filler.close()
    #expect(try stage.write(until: 503))
    #expect(stage.gateway.waitUntilSaid("No space left on device; writes are rejected"))
    #expect(try stage.read() == 200)
    #expect(try stage.write() == 503)
    try FileManager.default.removeItem(atPath: "\(state)/filler")
    #expect(try stage.write(until: 200))
    #expect(stage.gateway.waitUntilSaid("works again"))
    #expect(try stage.read() == 200)
    // The disk disappears with the process, so its files are read before that, once the last outcome is written.
    let writes = stage.core.requests.filter { $0.message.startLine.hasPrefix("PUT") }.count
    let isRecorded = try eventually {
      let records = try AuditRecords(state, stage.names(in: state))
      let ids = records.outcomes.filter { $0["outcome"] as? String == "done" }.compactMap {
        $0["request_id"] as? String
      }
      return Set(ids).count >= writes
    }
    #expect(isRecorded)
    let names = try stage.names(in: state)
    #expect(names.count == 2 && names[0].hasPrefix("audit.log.failed-"))
    #expect(try AuditRecords.findings(state, names) == [])
    try stage.check(state, names)
  }

  @Test func `a file that takes no more is set aside, and a new one continues`() throws {
    let stage = try Stage { _ in ["/usr/bin/prlimit", "--fsize=8000"] }
    for _ in 0..<3 {
      #expect(try stage.write(until: 503))
      #expect(try stage.read() == 200)
      #expect(try stage.write(until: 200))
    }
    #expect(stage.gateway.stop() == 0)
    let state = stage.folder.statePath
    let names = try stage.names(in: state)
    #expect(names.count == 4)
    // Their names do not show the order; "audit verify" finds it by their first and last entries.
    let outcome = try Self.verify(names.map { "\(state)/\($0)" })
    #expect(outcome.status == 0, "\(outcome.output)")
    try stage.check(state, names)
  }

  @Test func `a failed fdatasync is not retried; a new file is opened instead`() throws {
    let stage = try Stage { _ in
      ["/usr/bin/strace", "-D", "-f", "-o", "/dev/null", "-e", "trace=fdatasync"]
        + ["-e", "inject=fdatasync:error=EIO:when=4"]
    }
    #expect(try stage.write(until: 503))
    #expect(try stage.read() == 200)
    #expect(try stage.write(until: 200))
    #expect(stage.gateway.stop() == 0)
    let state = stage.folder.statePath
    let names = try stage.names(in: state)
    #expect(names.count == 2)
    #expect(try AuditRecords.findings(state, names) == [])
    try stage.check(state, names)
    // A rejected write has an intent in the failed file, and not_sent as its outcome in the next one.
    #expect(try AuditRecords(state, names).words().contains("not_sent"))
  }

  @Test func `a disk that hangs delays no read, and no write beyond its deadline`() throws {
    let stage = try Stage { _ in
      ["/usr/bin/strace", "-D", "-f", "-o", "/dev/null", "-e", "trace=fdatasync"]
        + ["-e", "inject=fdatasync:delay_enter=8000000:when=3"]
    }
    let held = try TestSocket(port: stage.gateway.port)
    var reader = TestMessageReader(held)
    var answer: TestMessage?
    let end = Date() + Double(TestSocket.patience)
    repeat {
      try held.send(testRequest("PUT", Self.link, body: Self.body))
      for _ in 0..<20 {
        #expect(try stage.read() == 200)
      }
      answer = try reader.next()
    } while answer?.status == 200 && Date() < end
    #expect(answer?.status == 503 && answer?.member("code") == "GATEWAY_AUDIT_UNAVAILABLE")
    #expect(try stage.write(until: 200))
    #expect(stage.gateway.stop() == 0)
    let records = try AuditRecords(stage.folder.statePath)
    #expect(try records.words().contains("not_sent"))
    #expect(try AuditRecords.findings(stage.folder.statePath) == [])
    try stage.check(stage.folder.statePath, ["audit.log"])
  }

  private static func verify(_ paths: [String]) throws -> (status: Int32, output: String) {
    let temporary = try TemporaryFolder()
    try temporary.write(TestPolicyFolder.key, to: "key")
    return try output(of: [BuiltProgram.path(), "audit", "verify", "--key-file", temporary.path("key")] + paths)
  }

  private static func output(of command: [String]) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(filePath: command[0])
    process.arguments = Array(command.dropFirst())
    process.standardInput = FileHandle.nullDevice
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: data, as: UTF8.self))
  }
}
