import LoopSupport
import Reactor
import Testing

@testable import Upstream

/// One after the other: descriptors of the process are counted, and times are short.
@Suite(.serialized) struct UpstreamTests {
  @Suite struct DescriptorTests {
    @Test func `every descriptor is free at the end`() throws {
      // What libcurl and the resolver open once and keep.
      try useConnections()
      let before = openDescriptors()
      for _ in 0..<5 { try useConnections() }
      #expect(descriptorsThatStay(of: openDescriptors().subtracting(before)) == [])
    }

    private func useConnections() throws {
      let full = try FullListener()
      let rig = try PoolRig(host: "twin.test", port: full.port) { $0.connectMilliseconds = 50 }
      rig.resolve("twin.test", to: "::1,127.0.0.1")
      let unresolved = rig.otherPool { $0.host = "no-such-host.invalid" }
      let good = rig.otherPool {
        $0.host = "127.0.0.1"
        $0.port = rig.listener.localAddress?.port ?? 0
      }
      let clients = (0..<6).map { _ in Client() }
      clients[0].ask(rig.pool)
      clients[1].ask(unresolved)
      for client in clients[2...] { client.ask(good) }
      #expect(
        rig.turns.run { clients[0].fault != nil && clients[1].fault != nil && clients[5].connection != nil })
      clients[2].giveBack(to: good, isReusable: false)
      for client in clients[3...] { client.giveBack(to: good) }
      good.closeIdle()
      #expect(rig.pool.count + unresolved.count + good.count == 0)
      rig.turns.run(for: 20)
    }

    @Test func `closing a connect frees its sockets`() throws {
      let full = try FullListener()
      let rig = try PoolRig(port: full.port) { $0.connectMilliseconds = 1_000 }
      let before = openDescriptors()
      let client = Client()
      client.ask(rig.pool)
      var opened: Set<String> = []
      #expect(
        rig.turns.run {
          opened.formUnion(openDescriptors().subtracting(before))
          return !opened.isEmpty || client.fault != nil
        } && !opened.isEmpty)
      #expect(rig.turns.run { client.fault != nil })
      #expect(descriptorsThatStay(of: opened) == [])
    }
  }
}
