import Bytes
import Glibc
import LoopSupport
import Reactor
import System
import TestValues
import Testing

@testable import Upstream

extension UpstreamTests {
  /// Everything that a pool does over plain sockets.
  @Suite struct PoolTests {
    @Test func `a returned connection is reused`() throws {
      let rig = try PoolRig()
      let (first, second) = (Client(), Client())
      let connection = try rig.lease(first)
      #expect(first.isConnecting && !connection.isReused)
      let core = try rig.accept()
      try exchange(on: connection, core, rig)
      first.giveBack(to: rig.pool)
      #expect(connection.phase == .idle)
      second.ask(rig.pool)
      #expect(second.isLeased && second.connection === connection && connection.isReused)
      try exchange(on: connection, core, rig)
      #expect(rig.pool.count == 1)
      second.giveBack(to: rig.pool, isReusable: false)
      #expect(rig.pool.count == 0 && core.receive() == nil)
    }

    /// One small request and answer over a leased connection.
    private func exchange(on connection: UpstreamConnection, _ core: Peer, _ rig: PoolRig) throws {
      let request = ByteBuffer("GET / HTTP/1.1\r\n\r\n")
      #expect(connection.isWritable && connection.send(request, 0..<request.count) == .bytes(request.count))
      #expect(core.receive() == request.text)
      #expect(core.send("HTTP/1.1 204 No Content\r\n\r\n"))
      let answer = ByteBuffer(capacity: 256)
      try #require(
        rig.turns.run { connection.isReadable && connection.receive(into: answer) != .wouldBlock || !answer.isEmpty })
      #expect(answer.text == "HTTP/1.1 204 No Content\r\n\r\n" && !connection.isReadable)
    }

    @Test func `the connection used last is used first`() throws {
      let rig = try PoolRig()
      let clients = [Client(), Client(), Client()]
      let connections = try clients.map { try rig.lease($0) }
      for client in clients { client.giveBack(to: rig.pool) }
      let next = Client()
      next.ask(rig.pool)
      #expect(next.connection === connections[2])
      rig.pool.closeIdle()
      #expect(rig.pool.count == 1 && connections[0].phase == .closed && connections[2].phase == .leased)
      next.giveBack(to: rig.pool)
      rig.pool.closeIdle()
      #expect(rig.pool.count == 0)
    }

    enum Death: CaseIterable { case end, bytes, bytesAndEnd }

    @Test(arguments: Death.allCases)
    func `any event on an idle connection discards it`(death: Death) throws {
      let rig = try PoolRig()
      let client = Client()
      let connection = try rig.lease(client)
      let core = try rig.accept()
      client.giveBack(to: rig.pool)
      if death != .end { #expect(core.send("HTTP/1.1 200 OK\r\n\r\n")) }
      if death != .bytes { core.endOutput() }
      #expect(rig.turns.run { connection.phase == .closed })
      #expect(rig.pool.count == 0)
    }

    @Test func `bytes after the response keep a connection out of the pool`() throws {
      let rig = try PoolRig()
      let client = Client()
      let connection = try rig.lease(client)
      let core = try rig.accept()
      #expect(core.send("x"))
      #expect(rig.turns.run { client.readies > 0 && connection.isReadable })
      client.giveBack(to: rig.pool)
      #expect(connection.phase == .closed && rig.pool.count == 0)
    }

    @Test(arguments: [(true, 150, true), (true, 0, false), (false, 150, false)])
    func `a write takes a connection that idled only once it was seen to be open`(
      isWrite: Bool, idled: Int64, isNoticed: Bool
    ) throws {
      let rig = try PoolRig()
      let client = Client()
      let connection = try rig.lease(client)
      let core = try rig.accept()
      rig.turns.run(for: 20)
      client.giveBack(to: rig.pool)
      rig.turns.run(for: idled)
      // No turn happens in between, so the loop has no event yet.
      core.endOutput()
      let next = Client()
      next.ask(rig.pool, isWrite: isWrite)
      #expect((next.connection === connection) == !isNoticed)
      if !isNoticed { #expect(connection.receive(into: ByteBuffer(capacity: 8)) == .ended) }
    }

    @Test func `a refused connect fails its client and all that wait`() throws {
      let port: UInt16
      do { port = try #require(try Reactor.Listener(.tcp(host: "127.0.0.1", port: 0)).localAddress?.port) }
      let rig = try PoolRig(port: port) { $0.connectionsMax = 2 }
      let clients = (0..<8).map { _ in Client() }
      for client in clients { client.ask(rig.pool) }
      #expect(clients[1].isConnecting && clients[2].isQueued)
      #expect(clients.allSatisfy { $0.answers == 0 }, "never from within the asking")
      #expect(rig.turns.run { clients.allSatisfy { $0.fault?.kind == .refused } })
      #expect(clients.allSatisfy { $0.answers == 1 } && rig.pool.count == 0)
      #expect(clients[0].fault?.detail.contains("127.0.0.1") == true)
    }

    @Test func `a connect that never completes ends at its deadline`() throws {
      let full = try FullListener()
      let rig = try PoolRig(port: full.port) {
        $0.connectMilliseconds = 120
        $0.connectionsMax = 1
      }
      let (client, waiter) = (Client(), Client())
      let begun = SystemClock.nanoseconds
      client.ask(rig.pool)
      waiter.ask(rig.pool)
      #expect(rig.turns.run { client.fault != nil })
      let took = (SystemClock.nanoseconds - begun) / 1_000_000
      #expect(client.fault?.kind == .timedOut && (110..<400).contains(took))
      #expect(rig.turns.run { waiter.fault?.kind == .timedOut })
      #expect(rig.pool.count == 0)
    }

    @Test func `a name that does not resolve is reported as such`() throws {
      let rig = try PoolRig(host: "no-such-host.invalid")
      let client = Client()
      client.ask(rig.pool)
      #expect(rig.turns.run { client.fault != nil })
      #expect(client.fault?.kind == .unresolved && client.fault?.detail.contains("no-such-host.invalid") == true)
      #expect(rig.pool.count == 0)
    }

    @Test func `at most four resolutions run at once, and waiters follow as names are resolved`() throws {
      let full = try FullListener()
      let rig = try PoolRig(host: "slow.test", port: full.port) { $0.connectMilliseconds = 2_000 }
      rig.resolve("slow.test", to: "127.0.0.1")
      let clients = (0..<10).map { _ in Client() }
      for client in clients { client.ask(rig.pool) }
      #expect(clients.count(where: \.isConnecting) == 4 && rig.pool.count == 4)
      // The connects hang, their names do not.
      #expect(rig.turns.run(within: 500) { rig.pool.count == 10 })
      for client in clients { rig.pool.withdraw(client) }
      #expect(rig.turns.run { rig.pool.count == 0 })
      #expect(clients.allSatisfy { $0.answers == 0 }, "a client that has withdrawn gets no result")
    }

    @Test(arguments: ["127.0.0.1,127.0.0.2", "::1,127.0.0.2", "127.0.0.2,::1"])
    func `an address that refuses is followed by the next immediately`(addresses: String) throws {
      let rig = try PoolRig(host: "twin.test", port: try portFreeOn127001())
      let listener = try Reactor.Listener(.tcp(host: "127.0.0.2", port: rig.pool.settings.port))
      rig.resolve("twin.test", to: addresses)
      let client = Client()
      client.ask(rig.pool)
      #expect(rig.turns.run(within: 150) { client.connection != nil }, "no waiting for a timer")
      #expect(try listener.next() != nil)
      client.giveBack(to: rig.pool)
      rig.pool.closeIdle()
    }

    @Test func `an address that never answers does not use up the time of the next`() throws {
      let full = try FullListener()
      let rig = try PoolRig(host: "twin.test", port: full.port) { $0.connectMilliseconds = 600 }
      let listener = try Reactor.Listener(.tcp(host: "127.0.0.2", port: full.port))
      rig.resolve("twin.test", to: "127.0.0.1,127.0.0.2")
      let client = Client()
      client.ask(rig.pool)
      #expect(rig.turns.run { client.connection != nil || client.fault != nil })
      #expect(client.connection != nil)
      #expect(try listener.next() != nil)
      client.giveBack(to: rig.pool)
      rig.pool.closeIdle()
    }

    private func portFreeOn127001() throws -> UInt16 {
      try #require(try Reactor.Listener(.tcp(host: "127.0.0.1", port: 0)).localAddress?.port)
    }

    @Test func `a full queue rejects`() throws {
      let rig = try PoolRig {
        $0.connectionsMax = 1
        $0.waitersMax = 1
      }
      let clients = [Client(), Client(), Client()]
      for client in clients { client.ask(rig.pool) }
      #expect(clients[0].isConnecting && clients[1].isQueued && clients[2].isTurnedAway)
      rig.pool.withdraw(clients[1])
      clients[2].ask(rig.pool)
      #expect(clients[2].isQueued)
    }

    @Test(arguments: [60_000, 0] as [Int64])
    func `waiters get released connections in order`(idleMilliseconds: Int64) throws {
      let rig = try PoolRig {
        $0.connectionsMax = 1
        $0.idleMilliseconds = idleMilliseconds
      }
      let clients = (0..<4).map { _ in Client() }
      let connection = try rig.lease(clients[0])
      for client in clients.dropFirst() { client.ask(rig.pool) }
      for (giving, taking) in zip(clients, clients.dropFirst()) {
        giving.giveBack(to: rig.pool)
        #expect(taking.connection === connection)
      }
      #expect(clients.allSatisfy { $0.answers == 1 } && rig.pool.count == 1)
    }

    enum Stray: CaseIterable { case none, bytes, end }

    @Test(arguments: Stray.allCases)
    func `an event between a waiter's lease and its first byte makes the connection unfit`(stray: Stray) throws {
      let rig = try PoolRig { $0.connectionsMax = 1 }
      let (client, waiter, later) = (Client(), Client(), Client())
      let connection = try rig.lease(client)
      let core = try rig.accept()
      waiter.ask(rig.pool)
      later.ask(rig.pool)
      client.giveBack(to: rig.pool)
      #expect(waiter.connection === connection)
      switch stray {
      case .none: break
      case .bytes: #expect(core.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
      case .end: core.endOutput()
      }
      rig.turns.run(for: 20)
      #expect((connection.faultBeforeFirstByte() == nil) == (stray == .none))
      guard stray != .none else { return }
      waiter.replaceConnection(in: rig.pool)
      #expect(connection.phase == .closed && waiter.isConnecting && rig.pool.count == 1)
      #expect(rig.turns.run { waiter.connection != nil })
      #expect(waiter.connection?.isReused == false && later.answers == 0, "the longest waiter comes first")
    }

    @Test func `a waiter gets a new connection for one that was closed`() throws {
      let rig = try PoolRig { $0.connectionsMax = 1 }
      let (client, waiter) = (Client(), Client())
      let old = try rig.lease(client)
      waiter.ask(rig.pool)
      client.giveBack(to: rig.pool, isReusable: false)
      #expect(old.phase == .closed && waiter.connection == nil && waiter.connectsBegun == 1)
      #expect(rig.turns.run { waiter.connection != nil && waiter.connection !== old })
      #expect(rig.pool.count == 1)
    }

    @Test func `a connect whose client has left serves the next one`() throws {
      let rig = try PoolRig { $0.connectionsMax = 1 }
      let (client, waiter) = (Client(), Client())
      client.ask(rig.pool)
      waiter.ask(rig.pool)
      rig.pool.withdraw(client)
      #expect(rig.turns.run { waiter.connection != nil })
      #expect(client.answers == 0 && rig.pool.count == 1)
    }

    @Test func `a connection ends when it has idled too long`() throws {
      let rig = try PoolRig { $0.idleMilliseconds = 60 }
      let client = Client()
      let connection = try rig.lease(client)
      rig.turns.run(for: 100)
      #expect(connection.phase == .leased)
      let idleSince = rig.turns.loop.now
      client.giveBack(to: rig.pool)
      #expect(connection.phase == .idle)
      #expect(rig.turns.run { connection.phase == .closed })
      #expect(rig.turns.loop.now - idleSince >= 60)
    }

    @Test func `a connection ends at its age, but not under an exchange`() throws {
      let rig = try PoolRig { $0.ageMilliseconds = 60 }
      let (client, other) = (Client(), Client())
      let connection = try rig.lease(client)
      let young = try rig.lease(other)
      other.giveBack(to: rig.pool)
      #expect(rig.turns.run { young.phase == .closed })
      #expect(connection.phase == .leased)
      client.giveBack(to: rig.pool)
      #expect(connection.phase == .closed && rig.pool.count == 0)
    }

    @Test func `a large body arrives complete, however its events are batched`() throws {
      let rig = try PoolRig()
      let client = Client()
      let connection = try rig.lease(client)
      let core = try rig.accept()
      let piece = ByteBuffer(String(repeating: "x", count: 700_001))
      let room = ByteBuffer(capacity: 16 << 10)
      var (sent, received, isEnded) = (0, 0, false)
      let isWhole = rig.turns.run {
        while sent < piece.count, case .bytes(let count) = core.socket.send(piece, sent..<piece.count, isLast: false) {
          sent += count
        }
        if sent == piece.count { core.endOutput() }
        while connection.isReadable, !isEnded {
          room.removeAll()
          switch connection.receive(into: room) {
          case .bytes(let count): received += count
          case .ended: isEnded = true
          case .wouldBlock, .failed: break
          }
        }
        return isEnded
      }
      #expect(isWhole && received == piece.count)
      client.giveBack(to: rig.pool, isReusable: false)
    }

    @Test(arguments: [true, false])
    func `bytes that arrived before a failed write can be read, and an end differs from a reset`(hasEnded: Bool) throws
    {
      let rig = try PoolRig()
      let client = Client()
      let connection = try rig.lease(client)
      let text = "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n\r\ntoo large"
      let body = ByteBuffer(String(repeating: "x", count: 64 << 10))
      var core: Peer? = try rig.accept()
      // The last condition still holds the peer.
      rig.turns.run(for: 1)
      #expect(connection.send(body, 0..<body.count) != .wouldBlock)
      #expect(core?.send(text) == true)
      if hasEnded { core?.endOutput() }
      // With unread bytes this is a reset.
      core = nil
      // No turn happens in between, so the loop gets no event.
      #expect(!connection.isReadable)
      let failure = Transfer.failed(Errno(hasEnded ? EPIPE : ECONNRESET))
      let hasFailed = (0..<1_000).contains { _ in
        usleep(1_000)
        return connection.send(body, 0..<body.count) == failure
      }
      #expect(hasFailed && connection.isReadable)
      let answer = ByteBuffer(capacity: 4_096)
      #expect(connection.receive(into: answer) == .bytes(text.utf8.count) && answer.text == text)
      #expect(connection.isReadable)
      #expect(connection.receive(into: answer) == (hasEnded ? .ended : failure))
      client.giveBack(to: rig.pool, isReusable: false)
    }

    @Test func `a large request is sent completely, however its events are batched`() throws {
      let rig = try PoolRig()
      let client = Client()
      let connection = try rig.lease(client)
      let core = try rig.accept()
      let body = ByteBuffer(String(repeating: "x", count: 9_000_001))
      let room = ByteBuffer(capacity: 64 << 10)
      var (sent, received, blocked) = (0, 0, 0)
      let isWhole = rig.turns.run {
        while connection.isWritable, sent < body.count {
          if case .bytes(let count) = connection.send(body, sent..<body.count) { sent += count }
          if !connection.isWritable { blocked += 1 }
        }
        room.removeAll()
        while case .bytes(let count) = core.receive(into: room) {
          received += count
          room.removeAll()
        }
        return received == body.count
      }
      #expect(isWhole && blocked > 0)
    }
  }
}
