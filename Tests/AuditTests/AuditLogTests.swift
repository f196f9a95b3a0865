import Bytes
import Dispatch
import Foundation
import Synchronization
import TestFolders
import TestSupport
import TestValues
import Testing

@testable import Audit
@testable import System
@testable import Telemetry

@Suite struct AuditLogTests {
  private func declare(_ loop: TestLoop, _ number: UInt64) -> Bool {
    loop.declare(AuditFolder.intent(number), number)
  }

  @Test func `settles an intent once it is in the file, and ends its chain with an end entry`() throws {
    let folder = try AuditFolder()
    let log = try AuditLog(path: folder.path("audit.log"), key: nil) { _ in }
    let loop = TestLoop(log)
    for ticket in UInt64(1)...5 {
      #expect(declare(loop, ticket))
    }
    let settled = loop.settled(count: 5)
    #expect(settled.map(\.number) == [1, 2, 3, 4, 5])
    #expect(settled.map(\.result) == [.durable, .durable, .durable, .durable, .durable])
    #expect(try folder.entries("audit.log") == ["start", "intent", "intent", "intent", "intent", "intent"])
    loop.record(AuditFolder.outcome(1))
    #expect(log.close())
    #expect(try folder.entries("audit.log").suffix(2) == ["outcome", "end"])
    #expect(try folder.verify(["audit.log"]).isEmpty)
    #expect(log.state.head?.sequence == 8)
    #expect(log.state.lostOutcomes == 0)
  }

  @Test func `continues a file that another process left, complete or with an incomplete line`() throws {
    let folder = try AuditFolder()
    for _ in 0..<3 {
      let log = try AuditLog(path: folder.path("audit.log"), key: nil) { _ in }
      #expect(log.close())
      let handle = try #require(FileHandle(forWritingAtPath: folder.path("audit.log")))
      try handle.seekToEnd()
      try handle.write(contentsOf: Data(#"{"writer":"0123"#.utf8))
    }
    #expect(try folder.entries("audit.log") == ["start", "end", "start", "end", "start", "end"])
    #expect(try folder.verify(["audit.log"]).isEmpty)
  }

  @Test func `keeps the chain over rotations, and loses nothing`() throws {
    let folder = try AuditFolder()
    let log = try AuditLog(path: folder.path("audit.log"), key: nil) { _ in }
    let loop = TestLoop(log)
    for round in UInt64(1)...3 {
      #expect(declare(loop, round))
      #expect(loop.settled(count: 1).map(\.result) == [.durable])
      try FileManager.default.moveItem(atPath: folder.path("audit.log"), toPath: folder.path("audit.log.\(round)"))
      log.reopen()
      #expect(eventually { FileManager.default.fileExists(atPath: folder.path("audit.log")) })
    }
    // The file has not moved, so this has no effect.
    log.reopen()
    #expect(log.close())
    let files = ["audit.log.1", "audit.log.2", "audit.log.3", "audit.log"]
    #expect(try files.flatMap { try folder.entries($0) }.filter { $0 == "start" }.count == 4)
    #expect(try folder.verify(files).isEmpty)
    #expect(log.state.head?.sequence == 8)
  }

  @Test func `rejects a path that is not a regular file, and reports it`() throws {
    let folder = try AuditFolder()
    #expect(unsafe mkfifo(folder.path("pipe"), 0o600) == 0)
    for (name, reason) in [
      ("pipe", "it is not a regular file"), ("", "directory"), ("missing/audit.log", "No such file"),
    ] {
      let path = folder.path(name)
      let fault = #expect(throws: AuditFault.self) { _ = try AuditLog(path: path, key: nil) { _ in } }
      #expect(fault?.description.contains(reason) == true, "\(fault.map(\.description) ?? "")")
      #expect(fault?.description.contains(path) == true)
    }
  }

  @Test func `creates its file readable for its group only`() throws {
    let folder = try AuditFolder()
    let log = try AuditLog(path: folder.path("audit.log"), key: nil) { _ in }
    #expect(log.close())
    let mode =
      try FileManager.default.attributesOfItem(atPath: folder.path("audit.log"))[.posixPermissions] as? NSNumber
    #expect(mode?.intValue == 0o640)
  }
}

/// Takes the results of intents, as a loop does.
final class TestLoop {
  /// A waiting intent, by its number.
  final class Waiter {
    let number: UInt64

    init(_ number: UInt64) { self.number = number }
  }

  let channel: AuditChannel
  private let port: CompletionPort<Waiter, IntentResult>
  private let wakes = DispatchSemaphore(value: 0)

  init(_ log: AuditLog) {
    channel = log.makeChannel { [wakes] in wakes.signal() }
    port = CompletionPort(channel.completions)
  }

  func declare(_ members: [UInt8], _ number: UInt64) -> Bool {
    defer { channel.wakeThread() }
    return channel.declare(members.span, ticket: port.ticket(for: Waiter(number)))
  }

  func record(_ members: [UInt8]) { channel.record(members.span) }

  func settled(count: Int) -> [(number: UInt64, result: IntentResult)] {
    var all: [(number: UInt64, result: IntentResult)] = []
    while all.count < count {
      wakes.wait()
      port.deliver { waiter, result in all.append((waiter.number, result)) }
    }
    return all
  }
}

/// When entries wake the thread that writes them.
@Suite struct AuditQueueTests {
  private let queue = AuditQueue()
  private let woken = DispatchSemaphore(value: 0)

  private func declare() {
    let isAppended = queue.append(durably: .intent, Span(), channel: 0, ticket: Ticket(slot: 0, generation: 0))
    #expect(isAppended)
    queue.wakeThread()
  }

  /// Waits on another thread, until `declare` or another entry can wake it.
  private func wait(for intents: Int, orAny: Bool = false, atMost seconds: Double?) {
    startThread(named: "waiter") { [queue, woken] in
      queue.wait(for: intents, orAny: orAny, atMost: seconds)
      woken.signal()
    }
    #expect(eventually { queue.isAwaited })
  }

  private var isWoken: Bool { woken.wait(timeout: .now() + 0.1) == .success }

  @Test func `a thread that gathers is woken by the last intent that it waits for`() {
    wait(for: 3, atMost: nil)
    for _ in 0..<2 {
      declare()
      #expect(!isWoken)
    }
    declare()
    #expect(isWoken && queue.intents == 3)
    #expect(queue.wait(for: 3, atMost: nil) == 3)
  }

  @Test func `an outcome wakes only a thread that waits for any entry`() {
    wait(for: 1, atMost: nil)
    queue.append(.outcome, Span())
    #expect(!isWoken)
    declare()
    #expect(isWoken)
    var batch = AuditBatch()
    queue.take(&batch)
    wait(for: 1, orAny: true, atMost: nil)
    queue.append(.outcome, Span())
    #expect(isWoken)
    #expect(queue.wait(for: 1, orAny: true, atMost: nil) == 0)
  }

  @Test func `the time limit ends a wait for intents that do not come`() {
    declare()
    #expect(queue.wait(for: 2, atMost: 0.01) == 1)
  }
}

/// A folder of audit files.
final class AuditFolder {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  func path(_ name: String) -> String { name.isEmpty ? folder.path : folder.path(name) }

  static func intent(_ number: UInt64) -> [UInt8] {
    let out = ByteBuffer(capacity: 1 << 10)
    AuditIntent(0, number, to: out).append(AuditedBody?.none)
    return out.bytes
  }

  static func outcome(_ number: UInt64) -> [UInt8] {
    let out = ByteBuffer(capacity: 1 << 10)
    AuditOutcome(requestIDHigh: 0, requestIDLow: number, kind: .done, status: 200, code: nil, body: nil).append(
      to: out)
    return out.bytes
  }

  /// The kinds of its entries.
  func entries(_ name: String) throws -> [String] {
    var kinds: [String] = []
    try forEachLine(name) { line, _ in
      if let entry = AuditEntry(line) { kinds.append(entry.kind.rawValue) }
    }
    return kinds
  }

  func verify(_ names: [String]) throws -> [String] {
    var verifier = AuditVerifier(AuditChain(key: nil))
    for name in names {
      verifier.begin(file: name)
      try forEachLine(name) { line, isWhole in verifier.read(line, isWhole: isWhole) }
    }
    verifier.end()
    return verifier.findings.map(\.description)
  }

  private func forEachLine(_ name: String, _ body: (Span<UInt8>, Bool) -> Void) throws {
    var lines = LogLines(try InputFile(path: path(name)))
    while try lines.next() { lines.withLine { body($0, lines.isWhole) } }
  }
}
