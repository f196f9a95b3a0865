import Foundation
import TestSupport
import Testing

/// System calls and threads of the running program.
@Suite(.scopedFixtures, .serialized) struct ProcessTests {
  @Test func `a request takes at most 5 system calls`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try GatewayProcess(
      TestPolicyFolder(instances: [("one", "http://127.0.0.1:\(core.port)")], loops: 1))
    let sockets = try (0..<16).map { _ in try TestSocket(port: gateway.port) }
    try Self.askAll(sockets, times: 2)
    let calls = try SystemCallCounter(gateway.identifier).count {
      try Self.askAll(sockets, times: 50)
      gateway.stop()
    }
    let callsOfOne = Double(calls) / Double(50 * sockets.count)
    print("system calls per request: \(callsOfOne)")
    #expect(callsOfOne <= 5)
  }

  @Test(arguments: [1, 3])
  func `there are at most 4 threads besides the loops`(loops: Int) throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try GatewayProcess(
      TestPolicyFolder(instances: [("one", "http://127.0.0.1:\(core.port)")], loops: loops))
    try Self.ask(try TestSocket(port: gateway.port), times: 20)
    let status = try String(contentsOfFile: "/proc/\(gateway.identifier)/status", encoding: .utf8)
    let threads = try #require(status.firstMatch(of: /Threads:\s*([0-9]+)/).flatMap { Int($0.1) })
    #expect(threads > loops && threads <= loops + 4)
  }

  @Test func `SIGTERM ends the program with status 0, and every exchange is in the log`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let folder = try TestPolicyFolder(instances: [("one", "http://127.0.0.1:\(core.port)")])
    let gateway = try GatewayProcess(folder)
    try Self.ask(try TestSocket(port: gateway.port), times: 20)
    #expect(gateway.stop() == 0)
    #expect(try folder.records().count == 20)
  }

  @Test func `proxy variables of the environment are ignored`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let proxies = Dictionary(
      uniqueKeysWithValues: ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].map { ($0, "http://127.0.0.1:9") })
    let gateway = try GatewayProcess(
      TestPolicyFolder(instances: [("one", "http://127.0.0.1:\(core.port)")]), environment: proxies)
    try Self.ask(try TestSocket(port: gateway.port), times: 1)
  }

  /// Requests of many clients at once, as on a busy loop.
  private static func askAll(_ sockets: [TestSocket], times: Int) throws {
    for _ in 0..<times {
      for socket in sockets { try socket.send(testRequest("GET", "/proxy/balances?instance_id=one")) }
      for socket in sockets {
        var reader = TestMessageReader(socket)
        #expect(try reader.next()?.status == 200)
      }
    }
  }

  private static func ask(_ socket: TestSocket, times: Int) throws {
    var reader = TestMessageReader(socket)
    for _ in 0..<times {
      try socket.send(testRequest("GET", "/proxy/balances?instance_id=one"))
      #expect(try reader.next()?.status == 200)
    }
  }
}
