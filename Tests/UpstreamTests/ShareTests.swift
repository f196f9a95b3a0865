import LoopSupport
import Reactor
import Testing

@testable import Upstream

extension UpstreamTests {
  /// No client can occupy an upstream alone.
  @Suite struct ShareTests {
    @Test(arguments: [
      (64, 0.25, 16), (10, 0.25, 2), (3, 0.25, 1), (1, 0.25, 1), (100, 0.29, 29), (7, 1, 7), (5, 1e-9, 1),
    ])
    func `a share is rounded down, but one connection at least`(connectionsMax: Int, share: Double, most: Int) {
      var settings = UpstreamSettings(isSecure: false, host: "127.0.0.1", port: 1)
      settings.share = share
      #expect(settings.clientConnectionsMax(of: connectionsMax) == most)
    }

    @Test func `a share is one of the connections that there can be`() throws {
      for (budgetMax, most) in [(100, 16), (8, 2)] {
        let rig = try PoolRig(connectionsMax: budgetMax) { $0.connectionsMax = 64 }
        #expect(rig.pool.queue.share == most)
      }
    }

    @Test func `uploads of one client hold its share at most, and the other connections stay free`() throws {
      let rig = try PoolRig { $0.connectionsMax = 8 }
      let uploads = (0..<6).map { _ in Client(1, isUploading: true) }
      for upload in uploads { upload.ask(rig.pool) }
      #expect(uploads.map(\.isConnecting) == [true, true, false, false, false, false])
      #expect(uploads[2...].allSatisfy { $0.isQueued })
      let others = (0..<6).map { Client($0 < 2 ? 1 : 2, isUploading: $0 > 3) }
      for other in others { _ = try rig.lease(other) }
      #expect(uploads[2...].allSatisfy { $0.answers == 0 } && rig.pool.count == 8)
      // They idle, and no upload of that client takes one before one of its uploads has ended.
      for other in others { other.giveBack(to: rig.pool) }
      rig.turns.run(for: 20)
      #expect(uploads[2...].allSatisfy { $0.answers == 0 })
      uploads[1].giveBack(to: rig.pool)
      #expect(uploads.map { $0.connection != nil } == [true, false, true, false, false, false])
      uploads[0].giveBack(to: rig.pool, isReusable: false)
      #expect(uploads[3].connection?.isReused == true && uploads[4].answers == 0, "one that idles is taken")
    }

    @Test func `an upload that leaves while it connects is replaced by the next one of its client`() throws {
      let rig = try PoolRig { $0.connectionsMax = 4 }
      let uploads = [Client(1, isUploading: true), Client(1, isUploading: true)]
      for upload in uploads { upload.ask(rig.pool) }
      #expect(uploads[0].isConnecting && uploads[1].isQueued)
      rig.pool.withdraw(uploads[0])
      #expect(rig.turns.run { uploads[1].connection != nil } && uploads[0].answers == 0)
    }

    @Test func `a failed connect is followed by the next upload of its client`() throws {
      let full = try FullListener()
      let rig = try PoolRig(port: full.port) {
        $0.connectionsMax = 4
        $0.connectMilliseconds = 50
      }
      let uploads = [Client(1, isUploading: true), Client(1, isUploading: true)]
      for upload in uploads { upload.ask(rig.pool) }
      #expect(rig.turns.run { uploads.allSatisfy { $0.fault?.kind == .timedOut } })
      #expect(rig.pool.count == 0)
    }

    @Test func `clients under their share are served before one that has it, each in turn`() throws {
      let rig = try PoolRig { $0.connectionsMax = 4 }
      let greedy = (0..<8).map { _ in Client(1) }
      for client in greedy[..<4] { _ = try rig.lease(client) }
      for client in greedy[4...] { client.ask(rig.pool) }
      let others = [Client(2), Client(3), Client(2)]
      for other in others { other.ask(rig.pool) }
      for (giving, next) in zip(greedy, [others[0], others[1], greedy[4]]) {
        giving.giveBack(to: rig.pool)
        #expect(next.connection != nil)
      }
      greedy[3].giveBack(to: rig.pool)
      #expect(greedy[5].connection != nil && others[2].answers == 0, "all have their share: first come")
    }

    @Test func `a client alone has all connections`() throws {
      let rig = try PoolRig { $0.connectionsMax = 2 }
      let clients = (0..<4).map { _ in Client(1) }
      for client in clients { client.ask(rig.pool) }
      #expect(rig.turns.run { clients[0].connection != nil && clients[1].connection != nil })
      clients[0].giveBack(to: rig.pool)
      clients[1].giveBack(to: rig.pool)
      #expect(clients.allSatisfy { $0.answers == 1 })
    }

    @Test func `a full queue is shared, and the newest waiter of the client with the most is rejected`() throws {
      let rig = try PoolRig {
        $0.connectionsMax = 1
        $0.waitersMax = 4
      }
      _ = try rig.lease(Client(1))
      let greedy = (0..<5).map { _ in Client(1) }
      for client in greedy { client.ask(rig.pool) }
      #expect(greedy[3].isQueued && greedy[4].isTurnedAway)
      let others = (0..<3).map { _ in Client(2) }
      for other in others { other.ask(rig.pool) }
      #expect(greedy.map(\.wasTurnedAway) == [false, false, true, true, false])
      #expect(others[0].isQueued && others[1].isQueued && others[2].isTurnedAway, "two each")
      let third = Client(3)
      third.ask(rig.pool)
      #expect(third.isQueued && others[1].wasTurnedAway && !greedy[1].wasTurnedAway, "the newest of them all")
    }

    @Test func `a pool whose uploads have their share is due no place in the budget`() throws {
      let rig = try PoolRig(connectionsMax: 4) { $0.share = 0.25 }
      let other = rig.otherPool()
      let upload = Client(1, isUploading: true)
      let waiting = Client(1, isUploading: true)
      _ = try rig.lease(upload, from: other)
      let holders = (0..<3).map { _ in Client(2) }
      for holder in holders { _ = try rig.lease(holder) }
      waiting.ask(other)
      #expect(waiting.isQueued)
      for holder in holders { holder.giveBack(to: rig.pool) }
      #expect(rig.pool.count == 3, "they idle")
      upload.giveBack(to: other, isReusable: false)
      #expect(rig.turns.run { waiting.connection != nil })
    }
  }
}
