import Bytes
import Foundation
import Reactor
import Synchronization
import TestSupport
import Upstream

@testable import Gateway
@testable import Policies
@testable import Telemetry

/// One run of a worker with its connections, exchanges and pools, between simulated clients and Cores.
final class SimulationRun {
  let kernel: SimulatedKernel
  /// The faults that were found.
  private(set) var faults: [String] = []
  private let log = SimulatedLog()
  private let mailbox = Mailbox()
  private let handle: LoopHandle
  private weak var server: Worker?
  private var clients: [SimulatedClient] = []
  private var cores: [SimulatedCore] = []
  private var seenByClients: [String] = []
  private var seenByCores: [(tag: String, id: String)] = []
  private var writes: Set<String> = []
  private(set) var isDraining = false
  var isHarmed: Bool { kernel.calls.harm != .none }
  /// How much of a response a worker reads at once.
  private(set) var readBytes = 0

  /// How long a client may be silent, and a connection to Core be idle.
  static let idleMilliseconds: Int64 = 5_000
  /// How long a drain keeps a connection for its last request.
  static let drainIdleMilliseconds: Int64 = 1_000

  /// The policy of all runs; timeouts are short although simulated time costs nothing.
  private static let policy = Result {
    let folder = try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:1")],
      instance: [
        "limits": ["connections": 2, "queue": 2], "breaker": ["failures": 0],
        "timeouts": [
          "connect_s": 1, "queue_s": 2, "first_byte_s": 2, "between_bytes_s": 2, "total_s": 10, "pool_idle_s": 1,
        ],
      ],
      gateway: [
        "timeouts": [
          "head_s": 3, "body_idle_s": 3, "idle_s": idleMilliseconds / 1_000,
          "drain_idle_s": drainIdleMilliseconds / 1_000,
        ],
        "access_log": NSNull(),
      ])
    let loaded = Policy.load(
      PolicyFolder(
        path: folder.path, stateFolder: folder.statePath, environment: ["TEST_KEY": TestPolicyFolder.key]),
      now: UnixSeconds(1_800_000_000))
    guard let policy = loaded.policy else { throw BadPolicy(findings: loaded.findings.map(\.description)) }
    return policy
  }

  private struct BadPolicy: Error {
    let findings: [String]
  }

  init(seed: UInt64, harm: SimulatedCalls.Harm = .none, call: Int = .max) throws {
    kernel = SimulatedKernel(seed: seed)
    kernel.calls.harm = harm
    kernel.calls.harmedCall = call
    handle = try LoopHandle()
  }

  func expect(_ holds: Bool, _ fault: @autoclosure () -> String) {
    if !holds { faults.append(fault()) }
  }

  func clientSaw(_ id: String) { seenByClients.append(id) }

  func coreSaw(_ request: TestMessage, _ tag: String) {
    seenByCores.append((tag, request["X-Request-Id"] ?? ""))
    guard request.startLine.hasPrefix("POST ") else { return }
    expect(writes.insert(tag).inserted, "the write \(tag) was put on the wire twice")
  }

  // MARK: Running

  func run() throws {
    try serve()
    judge()
  }

  private func serve() throws {
    let policy = try Self.policy.get()
    let worker = try Worker(
      handle: handle, loops: 1, generation: Generation(policy, following: nil), mailbox: mailbox,
      gate: ConnectionGate(policy.settings), log: log.buffer(), kernel: kernel,
      makeLink: { [unowned self] _ in makeLink() },
      report: { _ in })
    kernel.onSilence = { [unowned self] in endOrStop() }
    kernel.onStuck = { [unowned self] in tell(.stop) }
    for number in 0..<Int.random(in: 1...8, using: &kernel.random) {
      kernel.after(kernel.someTime()) { [unowned self] in connect(number) }
    }
    if Int.random(in: 0..<4, using: &kernel.random) == 0 {
      kernel.after(Int64.random(in: 0...8_000, using: &kernel.random)) { [unowned self] in drain() }
    }
    readBytes = worker.buffers.capacity
    worker.run([], sharedBy: [handle])
    server = worker
  }

  private func connect(_ number: Int) {
    guard !isDraining else { return }
    let end = kernel.calls.open(room: [100, 2_000, 60_000].randomElement(using: &kernel.random)!)
    let count = Int.random(in: 1...5, using: &kernel.random)
    let client = SimulatedClient(self, number: number, requests: count, end)
    clients.append(client)
    handle.connections.add(1, ordering: .relaxed)
    handle.arriving.add(1, ordering: .relaxed)
    do {
      try kernel.calls.watch(end.number, EventTag(newDescriptor: end.number, listener: 0))
      client.begin()
    } catch {
      // Like the acceptor if a loop does not accept one.
      handle.connections.subtract(1, ordering: .relaxed)
      handle.arriving.subtract(1, ordering: .relaxed)
      kernel.calls.close(end.number)
    }
  }

  private func makeLink() -> any Link {
    SimulatedLink(kernel) { [unowned self] end in cores.append(SimulatedCore(self, end)) }
  }

  /// Peers are done and no deadline is left: all connections must be closed, and the worker may end.
  private func endOrStop() -> Bool {
    guard !isDraining, clients.allSatisfy({ !kernel.calls.isOpen($0.end) }) else { return false }
    expect(kernel.calls.openCount == 0, "\(kernel.calls.openCount) connections to Core are never closed")
    drain()
    return true
  }

  private func drain() {
    guard !isDraining else { return }
    isDraining = true
    tell(.drain)
  }

  private func tell(_ message: Mailbox.Message) {
    mailbox.post(message)
    kernel.tell(EventTag(slot: 0, generation: 0), .readable)
  }

  // MARK: Judging

  private func judge() {
    expect(!kernel.isStuck, "nothing more would ever happen")
    expect(isDraining, "it did not end")
    expect(server == nil, "the worker, its loop and their descriptors are never released")
    expect(kernel.calls.violations.isEmpty, "\(kernel.calls.violations.prefix(3))")
    expect(kernel.calls.openCount == 0, "\(kernel.calls.openCount) descriptors are left open")
    expect(handle.connections.load(ordering: .relaxed) == 0, "connections are miscounted")
    let ids = log.recordedIDs()
    expect(Set(ids).count == ids.count, "an exchange was recorded twice")
    for id in seenByClients { expect(ids.contains(id), "an answer was not recorded") }
    for (tag, id) in seenByCores { expect(ids.contains(id), "what Core got as \(tag) was not recorded") }
    expect(Set(seenByClients).count == seenByClients.count, "two responses have the same id")
  }
}

/// The access log's writer.
private final class SimulatedLog: Sendable {
  private let channel = AccessLogChannel()
  private let written = Mutex("")

  func buffer() -> AccessLogBuffer { AccessLogBuffer(channel) { [self] in write() } }

  private func write() {
    var bytes: [UInt8] = []
    _ = channel.take(&bytes)
    written.withLock { $0 += String(decoding: bytes, as: UTF8.self) }
  }

  func recordedIDs() -> [String] {
    write()
    return written.withLock { $0.matches(of: /"request_id":"([0-9a-f]{32})"/).map { String($0.1) } }
  }
}
