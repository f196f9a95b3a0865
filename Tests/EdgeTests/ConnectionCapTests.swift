import Foundation
import TestSupport
import Testing

/// What becomes of connections beyond the bounds, over real sockets.
@Suite struct ConnectionCapTests {
  private static let target = "/proxy/balances?instance_id=one"

  private func gateway(
    _ core: ScriptedUpstream, limits: [String: Int], loops: Int = 1, trusted: [String] = []
  ) throws -> RunningGateway {
    try RunningGateway(
      upstreams: [("one", core.port)], loops: loops,
      gateway: ["limits": limits.merging(["upstream_connections": 10]) { $1 }, "trusted_proxies": trusted])
  }

  /// The answer that a connection gets without having asked.
  private func refusal(_ socket: TestSocket) throws -> TestMessage {
    var reader = TestMessageReader(socket)
    let answer = try #require(try reader.next())
    #expect(try socket.receive().isEmpty)
    return answer
  }

  private func isServed(_ socket: TestSocket) throws -> Bool {
    try socket.send(testRequest("GET", Self.target))
    var reader = TestMessageReader(socket)
    return try reader.next()?.status == 200
  }

  @Test(arguments: [1, 2])
  func `a connection beyond the bound is told so and closed, and leaves the others alone`(loops: Int) throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    defer { core.stop() }
    let gateway = try gateway(core, limits: ["connections": 4], loops: loops)
    var held: [TestSocket] = []
    for _ in 0..<4 {
      held.append(try gateway.connect())
      #expect(try isServed(held[held.count - 1]))
    }
    for _ in 0..<200 {
      let answer = try refusal(try gateway.connect())
      #expect(answer.status == 503 && answer.member("code") == "GATEWAY_OVERLOADED")
      #expect(answer["Connection"] == "close" && answer["Retry-After"] == "1" && answer["X-Request-Id"] != nil)
      #expect(answer.member("outcome") == "not_sent")
    }
    for socket in held { #expect(try isServed(socket)) }
    held[0].end()
    #expect(try eventually { try isServed(try gateway.connect()) })
    let records = try gateway.stopAndReadLog()
    let refused = records.filter { $0["code"] as? String == "GATEWAY_OVERLOADED" }
    #expect(refused.count >= 200 && refused.allSatisfy { $0["status"] as? Int == 503 && $0["peer"] != nil })
  }

  @Test func `refused clients that stay hold no more than a bounded number of descriptors`() throws {
    let folder = try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:1")], gateway: ["limits": ["connections": 1, "upstream_connections": 10]])
    let gateway = try GatewayProcess(folder)
    defer { gateway.stop() }
    let held = try TestSocket(port: gateway.port)
    // Once it is answered it is counted, and what is opened at first use is open.
    try held.send(testRequest("GET", "/nope"))
    #expect(String(decoding: try held.receive(), as: UTF8.self).hasPrefix("HTTP/1.1 404 "))
    let before = try openDescriptors(of: gateway)
    var stayed: [TestSocket] = []
    for _ in 0..<300 { stayed.append(try TestSocket(port: gateway.port)) }
    #expect(try refusal(stayed[299]).status == 503)
    // The one that makes room is freed at the end of the turn, which may come after the answer.
    #expect(try eventually { (1...64).contains(try openDescriptors(of: gateway) - before) })
    // Each of them was answered, also those that had to make room.
    for socket in stayed.dropLast() { #expect(try refusal(socket).status == 503) }
  }

  @Test func `one address has its own bound, which does not hold for trusted proxies`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    defer { core.stop() }
    let bounded = try gateway(core, limits: ["connections": 100, "connections_per_address": 2], loops: 2)
    defer { bounded.stop() }
    let first = try bounded.connect()
    let second = try bounded.connect()
    #expect(try isServed(first) && isServed(second))
    #expect(try refusal(try bounded.connect()).member("code") == "GATEWAY_OVERLOADED")
    // A reset leaves no address behind to ask for, and counts all the same.
    first.resetOnClose()
    second.end()
    let trusted = try gateway(
      core, limits: ["connections": 100, "connections_per_address": 2], trusted: ["127.0.0.0/8"])
    defer { trusted.stop() }
    var sockets: [TestSocket] = []
    for _ in 0..<5 { sockets.append(try trusted.connect()) }
    for socket in sockets { #expect(try isServed(socket)) }
  }

  @Test func `an address whose connections were reset may come again`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    defer { core.stop() }
    let gateway = try gateway(core, limits: ["connections": 100, "connections_per_address": 3])
    defer { gateway.stop() }
    for _ in 0..<30 {
      #expect(
        try eventually {
          let socket = try gateway.connect()
          socket.resetOnClose()
          return try isServed(socket)
        })
    }
  }

  /// Whether it holds within a test's patience: another thread may have to come to it first.
  private func eventually(_ holds: () throws -> Bool) throws -> Bool {
    for _ in 0..<100 {
      if (try? holds()) == true { return true }
      Thread.sleep(forTimeInterval: 0.02)
    }
    return try holds()
  }

  private func openDescriptors(of gateway: GatewayProcess) throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/\(gateway.identifier)/fd").count
  }
}
