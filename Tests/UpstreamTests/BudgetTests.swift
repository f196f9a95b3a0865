import LoopSupport
import Testing

@testable import Upstream

extension UpstreamTests {
  /// The bound over all upstreams of a loop.
  @Suite struct BudgetTests {
    @Test func `the connection that idled longest goes first`() throws {
      let rig = try PoolRig(connectionsMax: 3)
      let (second, third) = (rig.otherPool(), rig.otherPool())
      let clients = [Client(), Client(), Client()]
      let pools = [rig.pool, second, rig.pool]
      let connections = try zip(clients, pools).map { try rig.lease($0, from: $1) }
      for (client, pool) in zip(clients, pools).dropFirst() {
        client.giveBack(to: pool)
        rig.turns.run(for: 15)
      }
      clients[0].giveBack(to: rig.pool)
      #expect(connections.allSatisfy { $0.phase == .idle })
      let next = Client()
      _ = try rig.lease(next, from: third)
      #expect(connections[1].phase == .closed && connections[0].phase == .idle && connections[2].phase == .idle)
      #expect((rig.pool.count, second.count, third.count) == (2, 0, 1))
    }

    @Test(arguments: [true, false])
    func `a pool without a place in the budget gets the next one that another pool releases`(isReusable: Bool) throws {
      let rig = try PoolRig(connectionsMax: 1)
      let other = rig.otherPool()
      let (holder, waiter) = (Client(), Client())
      _ = try rig.lease(holder)
      waiter.ask(other)
      #expect(waiter.isQueued)
      holder.giveBack(to: rig.pool, isReusable: isReusable)
      #expect(rig.turns.run { waiter.connection != nil })
      #expect((rig.pool.count, other.count) == (0, 1))
    }

    @Test func `pools take turns for the places that become free`() throws {
      let rig = try PoolRig(connectionsMax: 1)
      let pools = [rig.pool, rig.otherPool(), rig.otherPool()]
      let holder = Client()
      _ = try rig.lease(holder)
      let waiters = (0..<6).map { _ in Client() }
      // Two of each pool, the pools one after the other.
      for (index, waiter) in waiters.enumerated() { waiter.ask(pools[index / 2]) }
      holder.giveBack(to: rig.pool, isReusable: false)
      var served: [Int] = []
      for _ in waiters {
        var turn: Int?
        try #require(
          rig.turns.run {
            turn = waiters.firstIndex { $0.connection != nil }
            return turn != nil
          })
        let index = try #require(turn)
        served.append(index / 2)
        waiters[index].giveBack(to: pools[index / 2], isReusable: false)
      }
      #expect(served == [0, 1, 2, 0, 1, 2])
      #expect(waiters.allSatisfy { $0.answers == 1 } && pools.allSatisfy { $0.count == 0 })
    }

    @Test func `a busy pool gives a connection up to one that holds less, though its own wait too`() throws {
      let rig = try PoolRig(connectionsMax: 3)
      let other = rig.otherPool()
      let holders = [Client(), Client(), Client()]
      for holder in holders { _ = try rig.lease(holder) }
      let own = [Client(), Client(), Client()]
      let starved = Client()
      starved.ask(other)
      for client in own { client.ask(rig.pool) }
      #expect(starved.isQueued && own.allSatisfy(\.isQueued))
      holders[0].giveBack(to: rig.pool)
      #expect(rig.turns.run { starved.connection != nil })
      #expect(own.allSatisfy { $0.answers == 0 } && (rig.pool.count, other.count) == (2, 1))
      holders[1].giveBack(to: rig.pool)
      #expect(own[0].connection != nil)
    }

    @Test func `a pool is freed with its last connection`() throws {
      let rig = try PoolRig(connectionsMax: 1)
      weak var forgotten: Pool?
      let (client, waiter) = (Client(), Client())
      do {
        let pool = rig.otherPool()
        forgotten = pool
        _ = try rig.lease(client, from: pool)
        client.giveBack(to: pool)
      }
      #expect(forgotten != nil)
      _ = try rig.lease(waiter)
      rig.turns.run(for: 20)
      #expect(forgotten == nil)
    }
  }
}
