import Foundation
import TestSupport
import Testing

/// Cores that have names: their addresses change, and some of them do not answer.
@Suite(
  .scopedFixtures, .serialized, .timeLimit(.minutes(10)),
  .enabled(if: NameServer.isPossible, "port 53 and a mount namespace take rights that this machine does not give"))
struct NameTests {
  /// A gateway whose one instance has a name, on a port that all its addresses share.
  private final class Stage {
    let server: NameServer
    let folder: TestPolicyFolder
    let gateway: GatewayProcess
    private var sockets: [TestSocket] = []

    init(_ addresses: [LoopbackAddress], port: UInt16, timeouts: [String: any Sendable] = [:], loops: Int = 1) throws {
      server = try NameServer(addresses)
      // Each request opens a new connection.
      let own: [String: any Sendable] = ["pool_idle_s": 0, "dns_cache_s": 3_600]
      folder = try TestPolicyFolder(
        instances: [("one", "http://core.test:\(port)")], loops: loops,
        instance: ["timeouts": own.merging(timeouts) { $1 }, "breaker": ["failures": 0]])
      gateway = try GatewayProcess(folder, wrapper: server.wrapper(in: folder.statePath))
    }

    /// The status of one request on a new connection.
    func ask() throws -> Int? {
      let socket = try TestSocket(port: gateway.port)
      // Kept open, so that the next one goes to another loop.
      sockets.append(socket)
      try socket.send(testRequest("GET", "/proxy/balances?instance_id=one"))
      var reader = TestMessageReader(socket)
      return try reader.next()?.status
    }
  }

  private func core(at address: LoopbackAddress, port: UInt16 = 0) throws -> ScriptedUpstream {
    try ScriptedUpstream(at: address, port: port) { _ in .bytes(ScriptedUpstream.json("{}")) }
  }

  @Test func `a name is cached for dns_cache_s, then resolved again`() throws {
    let (old, new) = (LoopbackAddress.random(), LoopbackAddress.random())
    let first = try core(at: old)
    let second = try core(at: new, port: first.port)
    let stage = try Stage([old], port: first.port)
    for _ in 0..<5 { #expect(try stage.ask() == 200) }
    stage.server.answer([new])
    for _ in 0..<5 { #expect(try stage.ask() == 200) }
    #expect(stage.server.questions == 1 && second.requests.isEmpty)
    try stage.folder.writeInstances(changes: ["timeouts": ["pool_idle_s": 0, "dns_cache_s": 0.5]])
    stage.gateway.signal(SIGHUP)
    #expect(stage.gateway.waitUntilSaid("generation 2"))
    #expect(try eventually { try stage.ask() == 200 && !second.requests.isEmpty })
    stage.server.answer([old])
    let before = first.requests.count
    #expect(try eventually { try stage.ask() == 200 && first.requests.count > before })
  }

  @Test func `every reload resolves the name again`() throws {
    let (old, new) = (LoopbackAddress.random(), LoopbackAddress.random())
    let first = try core(at: old)
    let second = try core(at: new, port: first.port)
    let stage = try Stage([old], port: first.port)
    #expect(try stage.ask() == 200)
    stage.server.answer([new])
    #expect(try stage.ask() == 200 && second.requests.isEmpty)
    stage.gateway.signal(SIGHUP)
    #expect(stage.gateway.waitUntilSaid("generation 2"))
    #expect(try eventually { try stage.ask() == 200 && !second.requests.isEmpty })
  }

  @Test func `a Core that moved to another address is reached after one failed connect`() throws {
    let (old, new) = (LoopbackAddress.random(), LoopbackAddress.random())
    let first = try core(at: old)
    let second = try core(at: new, port: first.port)
    let stage = try Stage([old], port: first.port)
    #expect(try stage.ask() == 200)
    stage.server.answer([new])
    first.stop()
    #expect(try stage.ask() == 502)
    for _ in 0..<3 { #expect(try stage.ask() == 200) }
    #expect(second.requests.count == 3)
  }

  @Test func `an address that refuses is skipped on all loops as long as there is another`() throws {
    let (bad, good) = (LoopbackAddress.random(), LoopbackAddress.random())
    let core = try core(at: good)
    let stage = try Stage([bad, good], port: core.port, timeouts: ["dns_cache_s": 0], loops: 3)
    #expect(try stage.ask() == 200)
    // The skipped address would answer now.
    let other = try self.core(at: bad, port: core.port)
    for _ in 0..<9 { #expect(try stage.ask() == 200) }
    #expect(other.requests.isEmpty && core.requests.count == 10)
    // It is the only one left, so it is used.
    core.stop()
    for _ in 0..<6 { #expect(try stage.ask() == 200) }
    #expect(other.requests.count == 6)
  }

  @Test func `no address is skipped if all have failed`() throws {
    let addresses = (0..<3).map { _ in LoopbackAddress.random() }
    let blocked = try core(at: addresses[0])
    blocked.stop()
    let port = blocked.port
    let stage = try Stage(addresses, port: port)
    #expect(try stage.ask() == 502)
    let core = try core(at: addresses[1], port: port)
    #expect(try stage.ask() == 200)
    #expect(core.requests.count == 1)
  }

  @Test func `the timeout of an address that never answers is spent once`() throws {
    let (bad, good) = (LoopbackAddress.random(), LoopbackAddress.random())
    let core = try core(at: good)
    _ = try FullBacklog(at: bad, port: core.port)
    // The first address gets half of the time.
    let stage = try Stage([bad, good], port: core.port, timeouts: ["connect_s": 6], loops: 2)
    let start = ContinuousClock.now
    for _ in 0..<10 { #expect(try stage.ask() == 200) }
    #expect(ContinuousClock.now - start < .seconds(15))
  }
}
