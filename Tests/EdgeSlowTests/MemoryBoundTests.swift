import Foundation
import System
import TestSupport
import Testing

/// Holds a gateway at its limits to the table "Memory" of `deploy/operations.md`.
@Suite(.scopedFixtures, .serialized) struct MemoryBoundTests {
  private static let kibibytesOfProcess = 50 * 1_024
  private static let kibibytesOfLoop = 40 * 1_024
  private static let kibibytesOfIdleConnection = 3
  private static let kibibytesOfRequest = 140
  private static let kibibytesOfUpstreamConnection = 450

  private static let target = "/proxy/balances?instance_id=one"

  @Test func `5000 idle connections`() throws {
    _ = DescriptorLimit.raise()
    let gateway = try GatewayProcess(
      TestPolicyFolder(
        instances: [("one", "http://127.0.0.1:1")],
        gateway: ["limits": ["connections": 6_000, "upstream_connections": 10]]))
    let before = try gateway.residentKibibytes()
    var sockets: [TestSocket] = []
    for _ in 0..<5_000 { sockets.append(try TestSocket(port: gateway.port)) }
    // Each has been served once, so that the memory of its request was released.
    for socket in sockets {
      try socket.send(testRequest("GET", Self.target, token: nil))
      var reader = TestMessageReader(socket)
      #expect(try reader.next()?.status == 401)
    }
    let grown = try gateway.residentKibibytes() - before
    print("5000 idle connections: \(grown) KiB, \(grown * 1_024 / 5_000) bytes each")
    #expect(grown < 5_000 * Self.kibibytesOfIdleConnection)
  }

  @Test func `every bound at once`() throws {
    _ = DescriptorLimit.raise()
    let (connections, upstream) = (1_000, 40)
    let body = [UInt8](repeating: UInt8(ascii: "x"), count: 16 << 20)
    let whole = Array("HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\n\r\n".utf8) + body
    let chunked =
      Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\(String(body.count, radix: 16))\r\n".utf8) + body
    let core = try ScriptedUpstream { .bytes($0.connection % 2 == 0 ? whole : chunked) }
    let gateway = try GatewayProcess(
      TestPolicyFolder(
        instances: [("one", "http://127.0.0.1:\(core.port)")], instance: ["limits": ["connections": upstream]],
        gateway: ["limits": ["connections": connections, "upstream_connections": upstream]]))
    var sockets: [TestSocket] = []
    // Readers that do not read: each holds a connection to Core and the largest buffer.
    for _ in 0..<upstream {
      sockets.append(try TestSocket(port: gateway.port, receiveBuffer: 4_096))
      try sockets[sockets.count - 1].send(testRequest("GET", Self.target))
    }
    // Writers with the largest heads, whose bodies do not end.
    let fields = (0..<4).map { "X-\($0): \(String(repeating: "a", count: 7_900))" } + ["Content-Length: 100000"]
    let large = testRequest("POST", Self.target + "&x=\(String(repeating: "b", count: 7_900))", fields: fields)
    for _ in upstream..<connections {
      sockets.append(try TestSocket(port: gateway.port))
      try sockets[sockets.count - 1].send(large + String(repeating: "c", count: 12_000))
    }
    var most = 0
    for _ in 0..<50 {
      most = max(most, try gateway.residentKibibytes())
      // Samples over 2.5 s.
      Thread.sleep(forTimeInterval: 0.05)
    }
    let bound =
      Self.kibibytesOfProcess + Self.kibibytesOfLoop + connections * Self.kibibytesOfRequest
      + upstream * Self.kibibytesOfUpstreamConnection
    print("\(connections) connections, \(upstream) upstream connections: \(most) KiB, at most \(bound)")
    #expect(most < bound && most > bound / 3, "the formula is wrong, or of no use")
  }
}
