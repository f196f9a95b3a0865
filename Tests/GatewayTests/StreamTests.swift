import Foundation
import TestSupport
import Testing

/// Large bodies stream through bounded buffers, both ways.
@Suite(.scopedFixtures) struct StreamTests {
  static let target = "/proxy/balances?instance_id=one"

  @Test(arguments: [false, true])
  func `a large response reaches a slow reader complete`(isChunked: Bool) throws {
    let body = Self.pattern(6 << 20)
    let core = try ScriptedUpstream { _ in .bytes(isChunked ? Self.chunked(body) : Self.withLength(body)) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let socket = try gateway.connect(receiveBuffer: 8_192)
    try socket.send(testRequest("GET", Self.target))
    // Meanwhile all buffers fill up, so that the gateway has to stop reading from Core.
    Thread.sleep(forTimeInterval: 0.2)
    var reader = TestMessageReader(socket)
    let answer = try #require(try reader.next())
    #expect(answer.body.count == body.count && answer.body == body)
    #expect(answer.values("Transfer-Encoding") == (isChunked ? ["chunked"] : []))
    try socket.send(testRequest("GET", Self.target))
    #expect(try reader.next()?.body.count == body.count)
    #expect(core.connectionCount == 1)
  }

  @Test(arguments: [false, true])
  func `a large request reaches a slow Core complete`(isChunked: Bool) throws {
    let body = Self.pattern(4 << 20)
    let core = try ScriptedUpstream { request in
      .bytes(ScriptedUpstream.json(request.message.body == body ? "same" : "different"))
    }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let socket = try gateway.connect()
    let framing = isChunked ? "Transfer-Encoding: chunked" : "Content-Length: \(body.count)"
    try socket.send(testRequest("POST", Self.target, fields: [framing]))
    try socket.send(isChunked ? Self.chunks(body) : body)
    var reader = TestMessageReader(socket)
    #expect(try reader.next()?.bodyText == "same")
    try socket.send(testRequest("POST", Self.target, body: "small"))
    #expect(try reader.next()?.bodyText == "different")
  }

  @Test func `a declared body over the bound is 413 before anything is sent to Core`() throws {
    let core = try ScriptedUpstream(answer: "")
    let gateway = try RunningGateway(upstreams: [("one", core.port)], gateway: ["limits": ["body_bytes": 1_000]])
    let answer = try gateway.ask("POST", Self.target, body: String(repeating: "x", count: 1_001))
    #expect(answer?.status == 413 && answer?.member("code") == "GATEWAY_BODY_TOO_LARGE")
    #expect(core.connectionCount == 0)
  }

  @Test func `a chunked body over the bound never reaches Core complete`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], gateway: ["limits": ["body_bytes": 1_000]])
    let socket = try gateway.connect()
    try socket.send(testRequest("POST", Self.target, fields: ["Transfer-Encoding: chunked"]))
    try socket.send("1f4\r\n\(String(repeating: "x", count: 500))\r\n1f5\r\n")
    let text = String(decoding: try socket.receiveToEnd(), as: UTF8.self)
    #expect(text.hasPrefix("HTTP/1.1 413 ") && core.requests.isEmpty)
  }

  private static func pattern(_ count: Int) -> [UInt8] {
    var generator = Counter()
    return (0..<count).map { _ in generator.next() }
  }

  /// Bytes whose period no buffer size divides.
  private struct Counter {
    var state: UInt64 = 42
    mutating func next() -> UInt8 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(truncatingIfNeeded: state >> 56)
    }
  }

  private static func withLength(_ body: [UInt8]) -> [UInt8] {
    Array("HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\n\r\n".utf8) + body
  }

  private static func chunked(_ body: [UInt8]) -> [UInt8] {
    Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".utf8) + chunks(body)
  }

  private static func chunks(_ body: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = body[...]
    var size = 1
    while !rest.isEmpty {
      let chunk = rest.prefix(size)
      bytes += Array("\(String(chunk.count, radix: 16))\r\n".utf8) + chunk + Array("\r\n".utf8)
      rest = rest.dropFirst(size)
      size = size % 70_000 * 3 + 1
    }
    return bytes + Array("0\r\n\r\n".utf8)
  }
}
