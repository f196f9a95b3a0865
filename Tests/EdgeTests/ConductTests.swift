import Foundation
import TestSupport
import Testing

/// Clients that pipeline, flood, drip or disconnect.
@Suite(.scopedFixtures) struct ConductTests {
  private static let head = "POST {T} HTTP/1.1\r\n{H}"

  struct Flood: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let start: String
    let piece: String
    let count: Int
    let status: Int
  }

  static let floods = [
    Flood(testDescription: "a line of 64 KiB", start: "GET /", piece: "aaaaaaaa", count: 8_192, status: 414),
    Flood(
      testDescription: "a line of 1 MB that never ends", start: "GET /", piece: "aaaaaaaaaa", count: 100_000,
      status: 414),
    Flood(testDescription: "a field of 256 KiB", start: head + "X: ", piece: "aaaaaaaa", count: 32_768, status: 431),
    Flood(testDescription: "20000 fields", start: head, piece: "X: a\r\n", count: 20_000, status: 431),
    Flood(testDescription: "fields without end", start: head, piece: "X-1: a\r\n", count: 200_000, status: 431),
    Flood(
      testDescription: "a body of 20 MB", start: head + "Content-Length: 20000000\r\n\r\n", piece: "aaaaaaaaaa",
      count: 2_000_000, status: 413),
    Flood(
      testDescription: "chunks of 20 MB", start: head + "Transfer-Encoding: chunked\r\n\r\n",
      piece: "10000\r\n" + String(repeating: "a", count: 65_536) + "\r\n", count: 300, status: 413),
  ]

  @Test(arguments: floods)
  func `a client that sends too much gets a response before all of it is read`(flood: Flood) throws {
    let stage = try Stage.shared.get()
    let tag = stage.newTag()
    let start = flood.start.replacing("{T}", with: Stage.target(tag)).replacing("{H}", with: Stage.lines)
    let socket = try stage.gateway.connect()
    try socket.send(start)
    let piece = Array(String(repeating: flood.piece, count: 1 + 65_536 / flood.piece.utf8.count).utf8)
    // Sending may fail: the gateway reads only part of what follows its response.
    for _ in 0...flood.count * flood.piece.utf8.count / piece.count {
      guard (try? socket.send(piece)) != nil else { break }
    }
    var reader = TestMessageReader(socket)
    let answer = try? reader.next()
    #expect(answer?.status == flood.status)
    // A chunked body is forwarded until it exceeds the bound; it never reaches Core complete.
    #expect(stage.requests(tag) == 0)
  }

  @Test func `pipelined requests of every kind are answered in order`() throws {
    let stage = try Stage.shared.get()
    let tag = stage.newTag()
    let target = Stage.target(tag)
    let socket = try stage.gateway.connect()
    try socket.send(
      testRequest("GET", target) + testRequest("POST", target, body: "{}") + "\r\n" + testRequest("HEAD", target)
        + testRequest("GET", "/nope") + testRequest("HEAD", "/nope") + testRequest("DELETE", target)
        + testRequest("GET", target, token: nil) + testRequest("HEAD", target, token: nil) + testRequest("GET", target)
    )
    var reader = TestMessageReader(socket)
    for (hasBody, status) in [
      (true, 200), (true, 200), (false, 200), (true, 404), (false, 404), (true, 405), (true, 401), (false, 401),
      (true, 200),
    ] {
      #expect(try reader.next(hasBody: hasBody)?.status == status)
    }
    #expect(stage.requests(tag) == 4)
  }

  @Test func `a request that arrives byte by byte is one request`() throws {
    let stage = try Stage.shared.get()
    let tag = stage.newTag()
    let socket = try stage.gateway.connect()
    for byte in testRequest("POST", Stage.target(tag), fields: ["Transfer-Encoding: chunked"]).utf8 {
      try socket.send([byte])
    }
    for byte in "1\r\n{\r\n1;x=y\r\n}\r\n0\r\nT: 1\r\n\r\n".utf8 { try socket.send([byte]) }
    var reader = TestMessageReader(socket)
    #expect(try reader.next()?.bodyText.hasSuffix("\n\n{}") == true)
    #expect(stage.requests(tag) == 1)
  }

  static let slowBodies = [
    "Content-Length: 100\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n5\r\nhe",
    "Content-Length: 100000\r\n\r\n" + String(repeating: "b", count: 12_000),
  ]

  @Test(arguments: slowBodies, [0, 7_900])
  func `a slow body holds no connection to Core, however large the head`(slowly: String, large: Int) throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], instance: ["limits": ["connections": 1]])
    let target = "/proxy/balances?instance_id=one"
    var slow: [TestSocket] = []
    for _ in 0..<3 {
      slow.append(try gateway.connect())
      let much = String(repeating: "a", count: large)
      let fields = (0..<4).map { "X-\($0): \(much)\r\n" }.joined()
      try slow[slow.count - 1].send("POST \(target)&x=\(much) HTTP/1.1\r\n\(Stage.lines)\(fields)\(slowly)")
    }
    #expect(try gateway.ask("GET", target)?.status == 200)
    #expect(core.requests.count == 1)
    for socket in slow { socket.end() }
  }

  @Test func `clients that disconnect leave no descriptor open`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try GatewayProcess(
      TestPolicyFolder(
        instances: [("one", "http://127.0.0.1:\(core.port)")], instance: ["limits": ["connections": 4]]))
    let target = "/proxy/balances?instance_id=one"
    try expectServed(gateway, target)
    let before = try descriptors(of: gateway)
    let whole = [testRequest("GET", target), testRequest("POST", target, body: "{\"a\": 1}")]
    for number in 0..<120 {
      let socket = try TestSocket(port: gateway.port)
      let bytes = Array(whole[number % 2].utf8)
      try socket.send(number % 4 < 2 ? bytes : Array(bytes.prefix(1 + number * 7 % bytes.count)))
      if number % 3 == 0 { socket.resetOnClose() }
    }
    var idle: [TestSocket] = []
    for _ in 0..<400 { idle.append(try TestSocket(port: gateway.port)) }
    try expectServed(gateway, target)
    idle = []
    try expectServed(gateway, target)
    // Connections to Core may stay: 4 with 3 descriptors each.
    #expect(try eventually { try descriptors(of: gateway) <= before + 12 })
  }

  private func expectServed(_ gateway: GatewayProcess, _ target: String) throws {
    let socket = try TestSocket(port: gateway.port)
    try socket.send(testRequest("GET", target))
    var reader = TestMessageReader(socket)
    #expect(try reader.next()?.status == 200)
  }

  private func descriptors(of gateway: GatewayProcess) throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/\(gateway.identifier)/fd").count
  }
}
