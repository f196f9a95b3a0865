import Digests
import Dispatch
import Foundation
import Synchronization
import System
import TestFolders
import Testing

@testable import Journal

/// A folder for a journal, with clocks and faults that tests set.
final class JournalFolder {
  let folder: TemporaryFolder
  let clocks = TestClocks()
  let faults = TestFaults()
  let reports = TestReports()
  var settings: JournalSettings

  init(
    ttlSeconds: Int = 86_400, keysMax: Int = 1_000_000, keysPerClientMax: Int = 1_000_000,
    diskBytesMax: Int = 1 << 40
  ) throws {
    folder = try TemporaryFolder()
    settings = JournalSettings(
      folder: folder.path("keys"), ttlSeconds: ttlSeconds, keysMax: keysMax, keysPerClientMax: keysPerClientMax,
      diskBytesMax: diskBytesMax)
  }

  func open() throws -> RunningJournal {
    try open(JournalLock(settings.folder), nil)
  }

  func open(_ lock: JournalLock, _ inherited: InheritedKeys?) throws -> RunningJournal {
    let (faults, reports) = (faults, reports)
    return try RunningJournal(
      Journal(
        settings, lock: lock, inherited: inherited, clocks: clocks.clocks,
        faults: JournalFaults { step, name in faults.fault(step, name) },
        report: { text in reports.add(text) }), in: self)
  }

  func path(_ name: String) -> String { "\(settings.folder)/\(name)" }

  func bytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: path))) }

  /// What was written to a file, without the zeros behind it.
  func written(_ path: String) throws -> [UInt8] {
    let bytes = try bytes(path)
    return Array(bytes.prefix((bytes.lastIndex { $0 != 0 } ?? -1) + 1))
  }

  /// The names of its files with an ending, in order.
  func names(_ ending: String) throws -> [String] {
    try SharedFolder(settings.folder).entries().filter { $0.hasSuffix(ending) }.sorted()
  }
}

final class TestReports: Sendable {
  private let reports = Mutex<[String]>([])

  func add(_ text: String) { reports.withLock { $0.append(text) } }

  var texts: [String] { reports.withLock { $0 } }
}

/// Clocks that move only when a test says so.
final class TestClocks: Sendable {
  private struct Times {
    var wall: Int64 = 1_800_000_000_000_000
    var boot: Int64 = 5_000_000_000
    var bootID = BootID(high: 1, low: 1)
  }

  private let times = Mutex(Times())

  var clocks: JournalClocks {
    JournalClocks(
      wallMicroseconds: { self.times.withLock { $0.wall } }, bootMicroseconds: { self.times.withLock { $0.boot } },
      boot: times.withLock { $0.bootID })
  }

  func advance(seconds: Int) {
    times.withLock { times in
      times.wall += Int64(seconds) * 1_000_000
      times.boot += Int64(seconds) * 1_000_000
    }
  }

  func setWall(forwardBy seconds: Int) { times.withLock { $0.wall += Int64(seconds) * 1_000_000 } }

  func restartSystem() {
    times.withLock { times in
      times.boot = 10_000_000
      times.bootID = BootID(high: 1, low: times.bootID.low + 1)
    }
  }
}

final class TestFaults: Sendable {
  typealias Rule = @Sendable (JournalFaults.Step, String) -> JournalFaults.Fault?

  private let rule = Mutex<Rule?>(nil)

  func set(_ new: Rule?) { rule.withLock { $0 = new } }

  /// Steps of one kind fail, on files with an ending.
  func fail(_ step: JournalFaults.Step, _ ending: String = "", _ error: Errno = .inputOutput, written: Int = 0) {
    set { other, name in
      other == step && name.hasSuffix(ending) ? JournalFaults.Fault(error: error, written: written) : nil
    }
  }

  func fault(_ step: JournalFaults.Step, _ name: String) -> JournalFaults.Fault? {
    rule.withLock { $0 }?(step, name)
  }
}

/// What a claim led to.
enum Answer: Equatable {
  case durable, failed, inProgress, reused
  case unavailable(JournalFullness)
  case stored(StoredResponse)
  case notKept(status: Int, UInt64)
  case unknown(UInt64)
  case unreadable
}

extension Answer: CustomStringConvertible {
  var description: String {
    switch self {
    case .durable: "durable"
    case .failed: "failed"
    case .inProgress: "in progress"
    case .reused: "reused"
    case .unavailable(let why): "unavailable: \(why)"
    case .stored(let response): "stored(\(response.requestIDLow), \(response.body.count) bytes)"
    case .notKept(let status, let id): "not kept(\(id), \(status))"
    case .unknown(let id): "unknown(\(id))"
    case .unreadable: "unreadable"
    }
  }
}

extension Answer {
  init(_ result: JournalResult) {
    switch result {
    case .durable: self = .durable
    case .failed: self = .failed
    case .reused: self = .reused
    case .stored(let response): self = .stored(response)
    case .notKept(let status, _, let id): self = .notKept(status: status, id)
    case .unknown(let write): self = .unknown(write.requestIDLow)
    case .unreadable: self = .unreadable
    }
  }
}

/// A journal, and one loop that uses it and waits for each result.
final class RunningJournal {
  final class Waiter {
    var result: JournalResult?
  }

  let folder: JournalFolder
  let journal: Journal
  let channel: JournalChannel
  private let port: CompletionPort<Waiter, JournalResult>
  private let wakes = DispatchSemaphore(value: 0)
  private var isEnded = false

  init(_ journal: Journal, in folder: JournalFolder) {
    self.folder = folder
    self.journal = journal
    channel = journal.makeChannel { [wakes] in wakes.signal() }
    port = CompletionPort(channel.completions)
  }

  deinit { stop() }

  func claim(_ write: KeyedWrite) -> Answer {
    let waiter = Waiter()
    let ticket = port.ticket(for: waiter)
    switch channel.claim(write, ticket: ticket) {
    case .claimed, .reading:
      channel.wakeThread()
      return wait(waiter).map { Answer($0) } ?? .unavailable(.cannotWrite)
    case .inProgress: port.withdraw(ticket); return .inProgress
    case .reused: port.withdraw(ticket); return .reused
    case .unavailable(let why): port.withdraw(ticket); return .unavailable(why)
    }
  }

  /// The result; nil if the outcome was not accepted.
  func record(_ outcome: KeyedOutcome, _ write: KeyedWrite) -> Answer? {
    let waiter = Waiter()
    let ticket = port.ticket(for: waiter)
    guard channel.record(outcome, of: write, ticket: ticket) else {
      port.withdraw(ticket)
      return nil
    }
    channel.wakeThread()
    return wait(waiter).map { Answer($0) }
  }

  /// Hands an outcome over and does not wait for it; false if it is not accepted.
  func recordsWithoutWaiting(_ outcome: KeyedOutcome, _ write: KeyedWrite) -> Bool {
    defer { channel.wakeThread() }
    return channel.record(outcome, of: write, ticket: nil)
  }

  /// Hands a claim over and does not wait for it; false if it is not accepted.
  func claimsWithoutWaiting(_ write: KeyedWrite) -> Bool {
    guard case .claimed = channel.claim(write, ticket: port.ticket(for: Waiter())) else { return false }
    channel.wakeThread()
    return true
  }

  private func wait(_ waiter: Waiter) -> JournalResult? {
    let end = DispatchTime.now() + 30
    while waiter.result == nil {
      guard wakes.wait(timeout: end) == .success else {
        Issue.record("no result within 30 s")
        return nil
      }
      port.deliver { waiter, result in waiter.result = result }
    }
    return waiter.result
  }

  /// Waits until the thread has done its turns, with expiry.
  func settle() {
    for _ in 0..<2 { _ = show(KeyedWrite(client: "no", key: "no")) }
  }

  private func completed<Result: Sendable>(_ call: (@escaping @Sendable (Result) -> Void) -> Void) -> Result? {
    let result = SharedResult<Result>()
    call { result.set($0) }
    guard let value = result.wait() else {
      Issue.record("no completion within 30 s")
      return nil
    }
    return value
  }

  func show(_ write: KeyedWrite) -> ShowResult? {
    completed { journal.show(client: write.client, instance: write.instance, key: write.key, completion: $0) }
  }

  func resolve(_ write: KeyedWrite, _ resolution: KeyResolution, minimumAge: Int = 0) -> ResolveResult? {
    completed { completion in
      journal.resolve(
        client: write.client, instance: write.instance, key: write.key, as: resolution, minimumAge: minimumAge,
        completion: completion)
    }
  }

  func reconcile(_ write: KeyedWrite, _ response: StoredResponse) -> Bool? {
    completed { journal.reconcile(write, response, completion: $0) }
  }

  func forget(_ write: KeyedWrite, minimumAge: Int = 0, isTrial: Bool = false) -> ForgetResult? {
    completed { completion in
      journal.forget(
        client: write.client, instance: write.instance, key: write.key, minimumAge: minimumAge, isTrial: isTrial,
        completion: completion)
    }
  }

  func forget(instance: String, minimumAge: Int = 0) -> ForgetResult? {
    completed { journal.forget(instance: instance, minimumAge: minimumAge, completion: $0) }
  }

  func list(
    client: String? = nil, instance: String? = nil, states: Set<JournalKey.State> = Set(JournalKey.State.allCases),
    limit: Int = 1_000
  ) -> (keys: [JournalKey], isComplete: Bool)? {
    let found: Listed? = completed { completion in
      _ = journal.list(client: client, instance: instance, states: states, limit: limit) { keys, isComplete in
        completion(Listed(keys: keys, isComplete: isComplete))
      }
    }
    return found.map { ($0.keys, $0.isComplete) }
  }

  private struct Listed: Sendable {
    let keys: [JournalKey]
    let isComplete: Bool
  }

  /// Ends it as `kill -9` does.
  func stop() {
    if !isEnded { journal.stop() }
    isEnded = true
  }

  func close() {
    #expect(journal.close(within: 30))
    isEnded = true
  }
}

/// Passes one value from another thread.
final class SharedResult<Value: Sendable>: Sendable {
  private let box = Mutex<Value?>(nil)
  private let done = DispatchSemaphore(value: 0)

  func set(_ value: Value) {
    box.withLock { $0 = value }
    done.signal()
  }

  /// Nil after 30 s.
  func wait() -> Value? {
    _ = done.wait(timeout: .now() + 30)
    return box.withLock { $0 }
  }
}

extension [UInt8] {
  func contains(sequence: [UInt8]) -> Bool {
    indices.contains { self[$0...].starts(with: sequence) }
  }

  /// Where the batches of a segment start.
  var batchOffsets: [Int] { indices.filter { BatchHeader(span.extracting($0...))?.offset == $0 } }

  /// With zeros in place of some bytes.
  func without(_ range: Range<Int>) -> [UInt8] {
    var bytes = self
    bytes.replaceSubrange(range, with: [UInt8](repeating: 0, count: range.count))
    return bytes
  }
}

extension KeyedWrite {
  convenience init(
    client: String = "client", instance: String = "instance", key: String, body: UInt64 = 0, id: UInt64 = 1
  ) {
    self.init(
      client: client, instance: instance, key: key, fingerprint: Digest(words: (body, 2, 3, 4)), requestIDHigh: 7,
      requestIDLow: id)
  }
}

extension KeyedOutcome {
  static func created(_ text: String) -> KeyedOutcome {
    .response(status: 201, fields: Array("Content-Type: text/plain\r\n".utf8), body: Array(text.utf8))
  }
}

extension Answer {
  static func created(_ text: String, id: UInt64 = 1) -> Answer {
    .stored(
      StoredResponse(
        status: 201, fields: Array("Content-Type: text/plain\r\n".utf8), body: Array(text.utf8), requestIDHigh: 7,
        requestIDLow: id))
  }
}
