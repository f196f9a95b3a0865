import TestValues
import Testing

@testable import Upstream

extension UpstreamTests {
  /// How pools share the connections of a loop, over a simulated time.
  @Suite struct BudgetSharesTests {
    @Test func `a pool that wakes up has its share within one response time, although all others wait`() {
      let run = SharesRun(connectionsMax: 100, pools: 20, responseMilliseconds: 50, waiting: 20)
      run.pools[0].isAsleep = true
      run.go(for: 1_000)
      #expect(run.pools[0].held == 0 && run.count == 100)
      run.pools[0].isAsleep = false
      run.go(for: 55)
      #expect(run.pools[0].held >= run.share && run.share == 5)
      #expect(run.pools.allSatisfy { $0.held >= run.share })
    }

    @Test func `a pool that never answers gets at most twice its share while others wait, and they keep theirs`() {
      let run = SharesRun(connectionsMax: 100, pools: 10, responseMilliseconds: 20, waiting: 30)
      run.pools[3].responseMilliseconds = 1_000_000
      run.go(for: 4_000)
      #expect(run.share == 10 && run.pools[3].held <= 20, "\(run.pools[3].held)")
      for (index, pool) in run.pools.enumerated() where index != 3 {
        #expect(pool.held >= run.share - 1 && pool.responses > 1_500, "\(index): \(pool.held), \(pool.responses)")
      }
    }

    @Test func `while all want as much, hardly a connection is moved, and none has twice as many as another`() {
      let run = SharesRun(connectionsMax: 150, pools: 20, responseMilliseconds: 20, waiting: 30)
      run.go(for: 500)
      let before = run.moves
      run.go(for: 2_000)
      #expect(run.moves - before < 20 && run.pools.allSatisfy { (7...14).contains($0.held) }, "\(run.moves)")
    }

    @Test func `however demand varies, the rate of moves is bounded, and no pool is starved`() {
      let seed = UInt64.random(in: 0..<1 << 40)
      let run = SharesRun(connectionsMax: 60, pools: 12, responseMilliseconds: 15, waiting: 0, seed: seed)
      run.go(for: 1_000)
      let before = run.moves
      run.go(for: 4_000)
      let responses = run.pools.reduce(0) { $0 + $1.responses }
      // One every 8 ms, and at most one more for each of them, back to a pool below its share.
      #expect(run.moves - before < 2 * (500 + 32), "seed \(seed): \(run.moves) moves, \(responses) responses")
      #expect(run.longestWait < 300, "seed \(seed): \(run.longestWait) ms")
      #expect(run.fault == nil, "seed \(seed): \(run.fault ?? "")")
    }

    @Test func `more pools than connections take turns`() {
      let run = SharesRun(connectionsMax: 10, pools: 40, responseMilliseconds: 5, waiting: 3)
      run.go(for: 2_000)
      #expect(run.pools.allSatisfy { $0.responses > 10 }, "\(run.pools.map(\.responses))")
    }

    @Test func `a burst of moves is bounded, and more follow with time`() {
      var moves = MoveAllowance()
      #expect((0..<40).count { _ in moves.take(1_000) } == 32)
      #expect(!moves.take(1_007) && moves.take(1_008) && !moves.take(1_015))
      #expect((0..<40).count { _ in moves.take(1_120) } == 14)
      #expect((0..<40).count { _ in moves.take(100_000) } == 32)
    }
  }
}

/// Pools whose connections and waiters are numbers, a millisecond a step.
private final class SharesRun {
  struct Simulated {
    let id: Int32
    var responseMilliseconds: Int64
    /// How many requests wait at any time; 0: as many as come.
    let waiting: Int
    var isAsleep = false
    /// When each lease ends.
    var leases: [Int64] = []
    var idle: [Int64] = []
    var queue: [Int64] = []
    var isQueued = false
    var responses = 0
    var held: Int { leases.count + idle.count }
  }

  private var budget: BudgetShares
  var pools: [Simulated] = []
  private var now: Int64 = 1_000
  private var random: SeededGenerator
  private(set) var moves = 0
  private(set) var longestWait: Int64 = 0
  private(set) var fault: String?

  var count: Int { budget.count }
  var share: Int { budget.share }

  init(connectionsMax: Int, pools count: Int, responseMilliseconds: Int64, waiting: Int, seed: UInt64 = 1) {
    budget = BudgetShares(connectionsMax: connectionsMax)
    random = SeededGenerator(state: seed)
    for _ in 0..<count {
      pools.append(Simulated(id: budget.join(), responseMilliseconds: responseMilliseconds, waiting: waiting))
    }
  }

  func go(for milliseconds: Int) {
    for _ in 0..<milliseconds where fault == nil { step() }
  }

  private func step() {
    now += 1
    for index in pools.indices.shuffled(using: &random) {
      arrive(index)
      for place in pools[index].leases.indices.reversed() where pools[index].leases[place] <= now {
        pools[index].leases.remove(at: place)
        pools[index].responses += 1
        if pools[index].waiting > 0 { arrive(index) }
        release(index)
      }
    }
    serve()
    if let pool = pools.first(where: { !$0.queue.isEmpty && (!$0.idle.isEmpty || !$0.isQueued) }) {
      fault = "pool \(pool.id) waits without need"
    }
    if budget.count > budget.connectionsMax || budget.count != pools.reduce(0, { $0 + $1.held }) {
      fault = "\(budget.count) connections"
    }
    if !budget.isFull, !budget.waiting.isEmpty { fault = "a place stays free" }
  }

  private func arrive(_ index: Int) {
    guard !pools[index].isAsleep else { return }
    if pools[index].waiting > 0 {
      while pools[index].queue.count < pools[index].waiting { request(index) }
    } else {
      // Pools in phases of 200 ms want more or less.
      let phase = UInt64(now / 200) &* 7 &+ UInt64(index) &* 5
      let likelihood = [5, 20, 50, 10][Int(phase % 4)]
      for _ in 0..<2 where Int.random(in: 0..<100, using: &random) < likelihood / 2 { request(index) }
    }
  }

  private func request(_ index: Int) {
    if let _ = pools[index].idle.popLast() { return lease(index) }
    if pools[index].queue.isEmpty, hasPlace(index) { return open(index) }
    pools[index].queue.append(now)
    enqueue(index)
  }

  private func enqueue(_ index: Int) {
    guard !pools[index].isQueued else { return }
    pools[index].isQueued = true
    budget.enqueue(pools[index].id, since: pools[index].queue[0])
  }

  private func lease(_ index: Int) { pools[index].leases.append(now + pools[index].responseMilliseconds) }

  private func open(_ index: Int) {
    budget.opened(pools[index].id)
    lease(index)
  }

  private func serveOne(_ index: Int) {
    longestWait = max(longestWait, now - pools[index].queue.removeFirst())
  }

  private func first() -> Int? {
    while let id = budget.waiting.first {
      let index = Int(id)
      guard let since = pools[index].queue.first else {
        budget.dequeue(id)
        pools[index].isQueued = false
        continue
      }
      if budget.confirmFirst(id, since: since) { return index }
    }
    return nil
  }

  private func hasPlace(_ index: Int) -> Bool {
    guard budget.isFull else { return true }
    if let first = first(), first != index, !budget.comesFirst(pools[index].id, since: now) { return false }
    return takeIdle(for: index)
  }

  private func takeIdle(for index: Int) -> Bool {
    while let id = budget.idle.first {
      guard let since = pools[Int(id)].idle.first else {
        budget.unlistIdle(id)
        continue
      }
      guard Int64(budget.idle.rank(of: id)?.order ?? 0) == since else {
        budget.listIdle(id, since: since)
        continue
      }
      guard budget.mayTakeIdle(of: id, since: since, for: pools[index].held, now: now) else { return false }
      pools[Int(id)].idle.removeFirst()
      budget.closed(id)
      moves += 1
      return true
    }
    return false
  }

  private func serve() {
    while let index = first() {
      guard !budget.isFull || takeIdle(for: index) else { return }
      budget.dequeue(pools[index].id)
      pools[index].isQueued = false
      serveOne(index)
      open(index)
      if !pools[index].queue.isEmpty { enqueue(index) }
    }
  }

  private func release(_ index: Int) {
    let since = pools[index].queue.first
    if let first = first(), first != index,
      budget.yields(
        pools[index].id, since: since, to: pools[first].id, since: pools[first].queue[0], now: now)
    {
      budget.closed(pools[index].id)
      moves += 1
      return serve()
    }
    if since != nil {
      serveOne(index)
      return lease(index)
    }
    pools[index].idle.append(now)
    if budget.idle.rank(of: pools[index].id) == nil { budget.listIdle(pools[index].id, since: now) }
    serve()
  }
}
