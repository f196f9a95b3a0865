import Foundation
import TestSupport
import Testing

/// Connections over the bounds, with real sockets.
@Suite(.scopedFixtures) struct ConnectionCapTests {
  private static let target = "/proxy/balances?instance_id=one"

  private func gateway(
    _ core: ScriptedUpstream, limits: [String: Int], loops: Int = 1, trusted: [String] = []
  ) throws -> RunningGateway {
    try RunningGateway(
      upstreams: [("one", core.port)], loops: loops,
      gateway: ["limits": limits.merging(["upstream_connections": 10]) { $1 }, "trusted_proxies": trusted])
  }

  /// The response that a connection gets without a request.
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
  func `a connection over the bound gets 503 and is closed, and does not affect the others`(loops: Int) throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
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
    #expect(eventually { (try? isServed(gateway.connect())) == true })
    let records = try gateway.stopAndReadLog()
    let refused = records.filter { $0["code"] as? String == "GATEWAY_OVERLOADED" }
    #expect(refused.count >= 200 && refused.allSatisfy { $0["status"] as? Int == 503 && $0["peer"] != nil })
  }

  @Test func `rejected clients that stay connected hold a bounded number of descriptors`() throws {
    let folder = try TestPolicyFolder(
      instances: [("one", "http://127.0.0.1:1")], gateway: ["limits": ["connections": 1, "upstream_connections": 10]])
    let gateway = try GatewayProcess(folder)
    let held = try TestSocket(port: gateway.port)
    // Once it is answered it is counted, and files opened at first use are open.
    try held.send(testRequest("GET", "/nope"))
    #expect(String(decoding: try held.receive(), as: UTF8.self).hasPrefix("HTTP/1.1 404 "))
    let before = try openDescriptors(of: gateway)
    var stayed: [TestSocket] = []
    for _ in 0..<300 { stayed.append(try TestSocket(port: gateway.port)) }
    #expect(try refusal(stayed[299]).status == 503)
    // The connection that is closed for a new one is freed at the end of the turn, maybe after the response.
    #expect(try eventually { (1...64).contains(try openDescriptors(of: gateway) - before) })
    // Each of them got its response, including those that were closed early.
    for socket in stayed.dropLast() { #expect(try refusal(socket).status == 503) }
  }

  @Test func `each address has its own bound, except for trusted proxies`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let bounded = try gateway(core, limits: ["connections": 100, "connections_per_address": 2], loops: 2)
    let first = try bounded.connect()
    let second = try bounded.connect()
    #expect(try isServed(first) && isServed(second))
    #expect(try refusal(try bounded.connect()).member("code") == "GATEWAY_OVERLOADED")
    // After a reset the peer address cannot be queried, but the connection is counted.
    first.resetOnClose()
    second.end()
    let trusted = try gateway(
      core, limits: ["connections": 100, "connections_per_address": 2], trusted: ["127.0.0.0/8"])
    var sockets: [TestSocket] = []
    for _ in 0..<5 { sockets.append(try trusted.connect()) }
    for socket in sockets { #expect(try isServed(socket)) }
  }

  @Test func `an address whose connections were reset may connect again`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try gateway(core, limits: ["connections": 100, "connections_per_address": 3])
    for _ in 0..<30 {
      #expect(
        try eventually {
          let socket = try gateway.connect()
          socket.resetOnClose()
          return (try? isServed(socket)) == true
        })
    }
  }

  private func openDescriptors(of gateway: GatewayProcess) throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/\(gateway.identifier)/fd").count
  }
}
