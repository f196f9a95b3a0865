import TestValues
import Testing

@testable import Upstream

extension UpstreamTests {
  /// Who is next in a pool's queue.
  @Suite struct WaitQueueTests {
    @Test func `whatever comes and goes, the next waiter and the one to evict are those of a plain list`() {
      let seed = UInt64.random(in: 0..<1 << 40)
      var random = SeededGenerator(state: seed)
      for _ in 0..<40 {
        let run = WaitQueueRun(share: Int.random(in: 1...4, using: &random))
        for _ in 0..<150 {
          run.step(using: &random)
          guard run.fault == nil else { break }
        }
        #expect(run.fault == nil, "seed \(seed)")
      }
    }

    @Test func `leases are counted until as many without a waiter have followed as the pool has connections`() {
      var queue = WaitQueue(share: 1, connectionsMax: 3)
      #expect(queue.isCounting == false)
      queue.beginCounting()
      let slot = queue.append(Waiter(Client(1), now: 0))
      var holds = (0..<5).map { _ in queue.hold(2, isUpload: false) }
      #expect(queue.isCounting == true)
      _ = queue.remove(slot)
      for _ in 0..<3 {
        #expect(queue.isCounting == true)
        holds.append(queue.hold(2, isUpload: false))
      }
      #expect(queue.isCounting == false)
      for hold in holds { queue.endHold(hold, isUpload: false) }
    }
  }

  /// Numbers in the order of their ranks.
  @Suite struct RankedHeapTests {
    @Test func `the lowest rank is first, whatever is set and removed`() {
      let seed = UInt64.random(in: 0..<1 << 40)
      var random = SeededGenerator(state: seed)
      var heap = RankedHeap()
      var ranks: [Int32: Rank] = [:]
      for _ in 0..<3_000 {
        let id = Int32.random(in: 0..<40, using: &random)
        if Int.random(in: 0..<3, using: &random) == 0 {
          heap.remove(id)
          ranks[id] = nil
        } else {
          let rank = Rank(level: Int.random(in: 0..<3, using: &random), order: Int.random(in: 0..<50, using: &random))
          heap.set(id, to: rank)
          ranks[id] = rank
        }
        #expect(heap.first.flatMap { ranks[$0] } == ranks.values.min(), "seed \(seed)")
        #expect(heap.rank(of: id) == ranks[id] && heap.isEmpty == ranks.isEmpty, "seed \(seed)")
      }
    }
  }
}

/// A queue with a plain list that is searched from its begin.
private final class WaitQueueRun {
  private var queue: WaitQueue
  private var list: [(waiter: Waiter, slot: Int32)] = []
  private var holds: [(client: UInt32, isUpload: Bool, account: Int32)] = []
  private(set) var fault: String?

  init(share: Int) {
    queue = WaitQueue(share: share, connectionsMax: 1_000_000)
    queue.beginCounting()
  }

  func step(using random: inout SeededGenerator) {
    let client = Client(UInt32.random(in: 1...5, using: &random), isUploading: Bool.random(using: &random))
    let waiter = Waiter(client, now: Int64(list.count))
    switch Int.random(in: 0..<9, using: &random) {
    case 0..<3: list.append((waiter, queue.append(waiter)))
    case 3: list.insert((waiter, queue.prepend(waiter)), at: 0)
    case 4:
      guard let index = list.indices.randomElement(using: &random) else { return }
      let removed = queue.remove(list.remove(at: index).slot)
      if removed.client == 0 { fault = "another was removed" }
    case 5: holds.append((client.clientKey, false, queue.hold(client.clientKey, isUpload: false)))
    case 6:
      guard let index = holds.indices.randomElement(using: &random) else { return }
      let hold = holds.remove(at: index)
      queue.endHold(hold.account, isUpload: hold.isUpload)
    default:
      guard let slot = queue.next, let index = list.firstIndex(where: { $0.slot == slot }) else { return }
      let (waiter, account) = queue.serve(slot)
      if list.remove(at: index).waiter.delegate !== waiter.delegate { fault = "another was served" }
      holds.append((waiter.client, waiter.isUpload, account))
    }
    check()
  }

  private func held(_ client: UInt32) -> Int { holds.count { $0.client == client } }
  private func mayUpload(_ client: UInt32) -> Bool {
    holds.count { $0.client == client && $0.isUpload } < queue.share
  }

  private func check() {
    let below = list.first { held($0.waiter.client) < queue.share }
    let next = below ?? list.first { !$0.waiter.isUpload || mayUpload($0.waiter.client) }
    if queue.next != next?.slot { fault = "another is next" }
    if queue.nextSince != next?.waiter.since { fault = "a wrong time" }
    if queue.count != list.count { fault = "miscounted" }
    let counts = Dictionary(grouping: list, by: \.waiter.client).mapValues(\.count)
    let most = counts.values.max() ?? 0
    for client in UInt32(1)...6 {
      let newest = list.last { counts[$0.waiter.client] == most }
      let expected = counts[client, default: 0] < most - 1 ? newest?.slot : nil
      if queue.slotToEvict(for: client) != expected { fault = "another would be evicted for client \(client)" }
      if queue.mayUpload(client) != mayUpload(client) { fault = "uploads are miscounted" }
    }
  }
}
