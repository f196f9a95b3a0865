import Bytes
import CLibcurl
import Counters
import Glibc
import LoopSupport
import Reactor
import TestValues
import Testing

@testable import Upstream

/// Some pools under one budget, with simulated connections, and clients that do what they like; after each step all that
/// pools promise is checked.
final class PoolRun {
  private let turns: Turns
  private let budget: ConnectionBudget
  private let budgetMax: Int
  private var pools: [PoolOfRun] = []
  private var clients: [ClientOfRun] = []
  private var random: SeededGenerator
  private(set) var faults: [String] = []
  /// How often the interesting cases occurred.
  private(set) var seen: [String: Int] = [:]

  init(seed: UInt64) throws {
    try #require(PoolRig.isLibcurlReady)
    random = SeededGenerator(state: seed)
    turns = try Turns()
    budgetMax = Int.random(in: 1...12, using: &random)
    budget = ConnectionBudget(connectionsMax: budgetMax, loop: turns.loop)
    for _ in 0..<Int.random(in: 1...3, using: &random) { pools.append(makePool()) }
  }

  private func makePool() -> PoolOfRun {
    let host = Bool.random(using: &random) ? "127.0.0.1" : "core.test"
    var settings = UpstreamSettings(isSecure: false, host: host, port: 1)
    settings.connectionsMax = Int.random(in: 1...8, using: &random)
    settings.waitersMax = Int.random(in: 0...8, using: &random)
    settings.share = [0.01, 0.25, 0.3, 0.5, 1].randomElement(using: &random)!
    // No deadline ever comes.
    settings.connectMilliseconds = 1_000_000
    settings.idleMilliseconds = Int64.random(in: 0..<4, using: &random) == 0 ? 0 : 1_000_000
    settings.ageMilliseconds = 1_000_000
    return PoolOfRun(settings, turns.loop, budget)
  }

  private func expect(_ holds: Bool, _ fault: @autoclosure () -> String) {
    if !holds { faults.append(fault()) }
  }

  private func saw(_ what: String) { seen[what, default: 0] += 1 }

  // MARK: Steps

  func run(steps: Int) {
    for step in 0..<steps where faults.isEmpty {
      let queues = pools.map { $0.pool.queue.waiters }
      act()
      check(queues)
      if step % 8 == 0 { turn() }
    }
    if faults.isEmpty { drain() }
  }

  private func act() {
    switch Int.random(in: 0..<20, using: &random) {
    case 0..<7: ask()
    case 7..<12: connectSome()
    case 12..<16: giveBack()
    case 16: pick(\.waits)?.withdraw()
    case 17:
      guard let client = pick({ $0.connection != nil }) else { return }
      saw("replaced")
      client.replaceConnection()
    case 18: endSome()
    default: turn()
    }
  }

  private func pick(_ condition: (ClientOfRun) -> Bool) -> ClientOfRun? {
    clients.filter(condition).randomElement(using: &random)
  }

  private func ask() {
    guard let pool = pools.randomElement(using: &random) else { return }
    // One client asks for half of all.
    let key = UInt32([1, 1, 1, 2, 3, 4].randomElement(using: &random)!)
    let client = ClientOfRun(pool, key, isUploading: Int.random(in: 0..<3, using: &random) == 0)
    let queue = pool.pool.queue.waiters
    let most = Dictionary(grouping: queue, by: \.client).values.map(\.count).max() ?? 0
    let own = queue.count { $0.client == key }
    let isFull = queue.count >= pool.pool.settings.waitersMax
    let evicted = queue.last { waiter in queue.count { $0.client == waiter.client } == most }
    clients.append(client)
    client.ask(isWrite: Bool.random(using: &random), fresh: Int.random(in: 0..<8, using: &random) == 0)
    switch client.acquisition {
    case .full:
      saw("full")
      expect(isFull && own + 1 >= most, "rejected with \(own) waiters, though a client has \(most)")
    case .queued where isFull:
      saw("evicted")
      expect(own + 1 < most, "queued beyond the bound with \(own) waiters, the most being \(most)")
      expect((evicted?.delegate as? ClientOfRun)?.wasTurnedAway == true, "another than the newest had to yield")
    case .queued where client.isUploading && pool.held(by: key).uploads >= pool.shareMax: saw("upload beyond the share")
    case .leased, .connecting, .queued, nil: break
    }
  }

  private func connectSome() {
    guard let link = pools.flatMap(\.openLinks).filter({ !$0.isDone }).randomElement(using: &random) else { return }
    switch Int.random(in: 0..<6, using: &random) {
    case 0: link.goOn(.failed)
    case 1: link.goOn(.resolved)
    default: link.goOn(.connected)
    }
  }

  /// A peer ends a connection that idles, or is leased and not looked at.
  private func endSome() {
    pools.flatMap(\.openLinks).filter(\.isDone).randomElement(using: &random)?.endPeer()
    if Bool.random(using: &random) { turn() }
  }

  private func giveBack() {
    guard let client = pick({ $0.connection != nil }), let connection = client.connection else { return }
    let count = connectionCount
    let share = budget.shares.share
    let held = client.pool.pool.count
    let poorWaits = pools.contains { $0.pool.needsBudgetSince != nil && $0.pool.count < share && $0 !== client.pool }
    let isFit = connection.faultBeforeFirstByte() == nil && client.pool.pool.settings.idleMilliseconds > 0
    let isReusable = Int.random(in: 0..<4, using: &random) > 0
    client.giveBack(isReusable: isReusable)
    if poorWaits, held > share {
      saw("gave a place to one below its share")
      expect(connection.phase == .closed, "a pool above its share kept its connection while one below it waits")
    }
    guard isReusable, isFit, connection.phase == .closed else { return }
    saw("gave a place up")
    expect(connectionCount == count, "a connection was closed without need")
  }

  private func turn() { _ = turns.run { true } }

  // MARK: Checks

  private var connectionCount: Int { pools.reduce(0) { $0 + $1.pool.count } }

  private func check(_ queuesBefore: [[Waiter]]) {
    expect(connectionCount <= budgetMax, "more connections than the budget has")
    if pools.contains(where: { $0.pool.needsBudgetSince != nil && $0.idleCount == 0 }),
      pools.contains(where: { $0.idleCount > 0 })
    {
      saw("waits for an idle connection of another pool")
      expect(budget.isTimerSet, "a pool waits, a connection of another idles, and nothing will look again")
    }
    for (pool, before) in zip(pools, queuesBefore) {
      pool.check(hasRoom: connectionCount < budgetMax) { self.faults.append($0) }
      checkOrder(pool, before)
    }
    for client in clients { client.check { self.faults.append($0) } }
    clients.removeAll(where: \.isOver)
  }

  /// No client was served in this step before another whose turn it was.
  private func checkOrder(_ pool: PoolOfRun, _ before: [Waiter]) {
    guard !before.isEmpty else { return }
    let queue = pool.pool.queue.waiters
    let served = before.enumerated().filter { _, waiter in
      !queue.contains { $0.delegate === waiter.delegate }
        && pool.connections.contains { $0.delegate === waiter.delegate }
    }
    for (place, waiter) in served {
      if waiter.isUpload { saw("upload served") }
      let heldBefore = pool.held(by: waiter.client).all - served.count { $0.element.client == waiter.client }
      let hadShare = heldBefore >= pool.shareMax
      for (other, passed) in before.enumerated() where queue.contains(where: { $0.delegate === passed.delegate }) {
        if other < place { saw("passed over") }
        guard pool.isEligible(passed) else { continue }
        let hasShare = pool.held(by: passed.client).all >= pool.shareMax
        expect(hasShare || !hadShare, "a client with its share came before one that has less")
        expect(other > place || hasShare && !hadShare, "a client was passed over without need")
      }
    }
  }

  /// When all connections are returned, no client is left waiting.
  private func drain() {
    for _ in 0..<1_000 where faults.isEmpty {
      let queues = pools.map { $0.pool.queue.waiters }
      let link = pools.flatMap(\.openLinks).first { !$0.isDone }
      if clients.isEmpty, link == nil { break }
      if let link {
        link.goOn(.connected)
      } else if let client = pick({ $0.connection != nil }) {
        client.giveBack(isReusable: Bool.random(using: &random))
      } else {
        // A connection that idles may be moved to another pool later.
        _ = turns.run(within: 20) { self.pools.contains { $0.openLinks.contains { !$0.isDone } } }
      }
      check(queues)
    }
    expect(clients.isEmpty, "\(clients.count) clients wait forever")
    for pool in pools { pool.pool.closeIdle() }
    expect(pools.allSatisfy { $0.pool.count == 0 && $0.counters.waiting.current == 0 }, "connections are left")
    // A loop that takes no more turns holds what has ended, which holds the loop.
    turn()
  }
}

/// A pool with its links, and what it promises.
final class PoolOfRun {
  let counters = PoolCounters()
  private let links = Links()
  let pool: Pool

  /// Those that live.
  private final class Links {
    var all: [ScriptedLink] = []
  }

  init(_ settings: UpstreamSettings, _ loop: EventLoop, _ budget: ConnectionBudget) {
    pool = Pool(settings: settings, loop: loop, budget: budget, counters: counters) { [links] settings in
      let link = ScriptedLink(hasName: settings.hasName)
      links.all.append(link)
      return link
    }
  }

  var connections: [UpstreamConnection] { pool.connections }
  var shareMax: Int { pool.queue.share }
  var idleCount: Int { connections.count { $0.phase == .idle } }

  var openLinks: [ScriptedLink] {
    links.all.removeAll { $0.owner == nil || $0.owner?.phase == .closed }
    return links.all
  }

  func held(by client: UInt32) -> (all: Int, uploads: Int) {
    let held = connections.filter { $0.delegate?.clientKey == client }
    return (held.count, held.count(where: \.carriesUpload))
  }

  func isEligible(_ waiter: Waiter) -> Bool { !waiter.isUpload || held(by: waiter.client).uploads < shareMax }

  /// - Parameter hasRoom: whether the budget has a place, or could get one.
  func check(hasRoom: Bool, _ fault: (String) -> Void) {
    let phases = connections.map(\.phase)
    let connecting = phases.count { $0 == .connecting }
    if pool.count > pool.settings.connectionsMax { fault("too many connections") }
    if phases.contains(.closed) { fault("a closed connection is kept") }
    if counters.open.current != pool.count || counters.idle.current != idleCount
      || counters.connecting.current != connecting
      || counters.waiting.current != pool.queue.count
    {
      fault("miscounted")
    }
    for client in UInt32(1)...4 where held(by: client).uploads > shareMax {
      fault("uploads of client \(client) hold more than its share")
    }
    guard !pool.queue.isEmpty, let waiter = pool.queue.waiters.first(where: isEligible) else { return }
    if idleCount > 0 { fault("client \(waiter.client) waits while a connection idles") }
    let resolving = connections.count { $0.phase == .connecting && $0.isResolving }
    if pool.count < pool.settings.connectionsMax, resolving < 4, hasRoom {
      fault("client \(waiter.client) waits while a connection can be made")
    }
  }
}

extension WaitQueue {
  /// Oldest first.
  var waiters: [Waiter] { slots.filter { $0.waiter != nil }.sorted { $0.order < $1.order }.compactMap(\.waiter) }
}

/// Who asks a pool of a run for a connection, once.
final class ClientOfRun: ConnectionDelegate {
  let clientKey: UInt32
  let isUploading: Bool
  var poolPlace = PoolPlace.none
  let pool: PoolOfRun
  private(set) var acquisition: Acquisition?
  private(set) var connection: UpstreamConnection?
  private(set) var wasTurnedAway = false
  /// Whether nothing more comes.
  private(set) var isOver = false
  private var answers = 0
  /// Whether it knows that a connect is under way for it.
  private var isConnecting = false
  private var connectBeganAtWrongTime = false
  private var isAsking = false
  private var wasAnsweredWhileAsking = false

  init(_ pool: PoolOfRun, _ clientKey: UInt32, isUploading: Bool) {
    self.pool = pool
    self.clientKey = clientKey
    self.isUploading = isUploading
  }

  var waits: Bool { !isOver && connection == nil }

  func ask(isWrite: Bool, fresh: Bool) {
    isAsking = true
    take(fresh ? pool.pool.acquireFresh(for: self) : pool.pool.acquire(for: self, isWrite: isWrite))
  }

  func replaceConnection() {
    guard let unfit = connection else { return }
    (connection, answers, isAsking, isConnecting) = (nil, 0, true, false)
    take(pool.pool.replace(unfit, for: self))
  }

  private func take(_ acquisition: Acquisition) {
    isAsking = false
    self.acquisition = acquisition
    switch acquisition {
    case .leased(let connection):
      answers += 1
      self.connection = connection
    case .full: isOver = true
    case .connecting: isConnecting = true
    case .queued: break
    }
  }

  func giveBack(isReusable: Bool) {
    guard let connection else { return }
    self.connection = nil
    isOver = true
    connection.release(isReusable: isReusable)
  }

  func withdraw() {
    isOver = true
    pool.pool.withdraw(self)
  }

  func connectBegan() {
    if !isAsking, isConnecting || !waits { connectBeganAtWrongTime = true }
    isConnecting = true
  }

  func leaseGranted(_ connection: UpstreamConnection) {
    if !connection.isReused, !isConnecting { connectBeganAtWrongTime = true }
    answered()
    self.connection = connection
  }

  func connectFailed(_ fault: ConnectFault) {
    answered()
    isOver = true
  }

  func evictedFromQueue() {
    answered()
    (wasTurnedAway, isOver) = (true, true)
  }

  func upstreamReady(_ connection: UpstreamConnection) {}

  private func answered() {
    answers += 1
    wasAnsweredWhileAsking = wasAnsweredWhileAsking || isAsking
  }

  func check(_ fault: (String) -> Void) {
    if answers > 1 { fault("a client was answered \(answers) times") }
    if wasAnsweredWhileAsking { fault("a client was called from within its own call") }
    if connectBeganAtWrongTime { fault("a client was notified of its connect too often, or not at all") }
    let isQueued = pool.pool.queue.slots.contains { $0.waiter?.delegate === self }
    let holds = pool.connections.count { $0.delegate === self }
    if isOver {
      if isQueued || holds > 0 { fault("who is gone is still served") }
    } else if connection == nil {
      if isQueued == (holds == 1) || holds > 1 { fault("a client waits for nothing") }
    } else if holds != 1 || isQueued {
      fault("a client has more than its connection")
    }
  }
}

/// A link over a socket pair, which connects on demand.
final class ScriptedLink: Link {
  enum Step { case resolved, connected, failed }

  private(set) weak var owner: UpstreamConnection?
  /// Whether it has connected, or failed to.
  private(set) var isDone = false
  private let hasName: Bool
  private var isResolved = false
  private var ends: SocketPair?
  private var step: Step?

  init(hasName: Bool) { self.hasName = hasName }

  func begin(for owner: UpstreamConnection) { self.owner = owner }

  func goOn(_ step: Step) {
    self.step = step
    owner?.drive(CURL_SOCKET_TIMEOUT, 0)
  }

  func endPeer() { ends?.far.endOutput() }

  func drive(_ socket: Int32, _ ready: Int32) -> LinkOutcome? {
    guard let step = step.take() else { return nil }
    if hasName, !isResolved, let owner {
      isResolved = true
      close(owner.openSocket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, nil))
    }
    switch step {
    case .resolved: return nil
    case .failed:
      isDone = true
      return .failed(.refused, "simulated")
    case .connected:
      isDone = true
      ends = try? SocketPair()
      return .connected
    }
  }

  func driveAll() -> LinkOutcome? { nil }
  var activeSocket: Int32? { ends?.near.number }
  var readsAhead: Bool { true }
  func receive(into buffer: ByteBuffer) -> Transfer { preconditionFailure("no TLS is simulated") }
  func send(_ buffer: ByteBuffer, _ range: Range<Int>) -> Transfer { preconditionFailure("no TLS is simulated") }
  var failure: String? { nil }
}
