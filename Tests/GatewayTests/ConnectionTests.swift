import TestSupport
import Testing

/// Keep-alive, pipelining and bodies, over real sockets.
@Suite(.scopedFixtures) struct ConnectionTests {
  static let target = "/proxy/balances?instance_id=one"

  /// A Core that echoes the request.
  private static func echo() throws -> ScriptedUpstream {
    try ScriptedUpstream { request in
      .bytes(ScriptedUpstream.json("\(request.message.startLine)|\(request.message.bodyText)"))
    }
  }

  @Test func `200 sequential requests open at most 2 upstream connections`() throws {
    let core = try Self.echo()
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let socket = try gateway.connect()
    var reader = TestMessageReader(socket)
    for number in 0..<200 {
      try socket.send(testRequest("GET", "/proxy/balances?n=\(number)&instance_id=one"))
      #expect(try reader.next()?.bodyText == "GET /balances?n=\(number) HTTP/1.1|")
    }
    #expect(core.connectionCount <= 2)
  }

  @Test func `pipelined requests are answered in their order`() throws {
    let core = try Self.echo()
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let socket = try gateway.connect()
    var sent = ""
    for number in 0..<50 {
      switch number % 3 {
      case 0: sent += testRequest("GET", "/proxy/balances?n=\(number)&instance_id=one")
      case 1:
        sent += testRequest("POST", "/proxy/balances?n=\(number)&instance_id=one", body: "body \(number)")
      default:
        sent += testRequest("GET", "/proxy/nothing", token: number % 2 == 0 ? nil : TestPolicyFolder.token)
      }
    }
    try socket.send(sent)
    var reader = TestMessageReader(socket)
    for number in 0..<50 {
      let answer = try #require(try reader.next())
      switch number % 3 {
      case 0: #expect(answer.bodyText == "GET /balances?n=\(number) HTTP/1.1|")
      case 1: #expect(answer.bodyText == "POST /balances?n=\(number) HTTP/1.1|body \(number)")
      default: #expect(answer.status == (number % 2 == 0 ? 401 : 404))
      }
    }
  }

  @Test func `a request cut at every byte is answered the same`() throws {
    let core = try Self.echo()
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let request = Array(testRequest("POST", Self.target, body: "hello").utf8)
    let socket = try gateway.connect()
    var reader = TestMessageReader(socket)
    for cut in 1..<request.count {
      try socket.send(Array(request[..<cut]))
      try socket.send(Array(request[cut...]))
      #expect(try reader.next()?.bodyText == "POST /balances HTTP/1.1|hello")
    }
  }

  @Test func `a chunked request body reaches Core in chunks, without extensions and trailers`() throws {
    let core = try Self.echo()
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let socket = try gateway.connect()
    try socket.send(testRequest("POST", Self.target, fields: ["Transfer-Encoding: chunked"]))
    try socket.send("4;x=\"y\"\r\nwiki\r\n5\r\npedia\r\n0\r\nX-Trailer: 1\r\n\r\n")
    var reader = TestMessageReader(socket)
    #expect(try reader.next()?.bodyText == "POST /balances HTTP/1.1|wikipedia")
    let request = try #require(core.requests.first?.message)
    #expect(request.values("Transfer-Encoding") == ["chunked"] && request.values("Content-Length") == [])
    try socket.send(testRequest("GET", Self.target))
    #expect(try reader.next()?.status == 200)
  }

  static let bodiless: [(String, String, Bool)] = [
    ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false), ("GET", "HTTP/1.1 204 No Content\r\n\r\n", true),
    ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", true),
    ("GET", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
  ]

  @Test(arguments: bodiless)
  func `an answer without a body leaves both connections usable`(method: String, answer: String, hasBody: Bool) throws {
    let core = try ScriptedUpstream(answer: answer)
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let socket = try gateway.connect()
    var reader = TestMessageReader(socket)
    for _ in 0..<3 {
      try socket.send(testRequest(method, Self.target))
      let got = try #require(try reader.next(hasBody: hasBody))
      #expect(got.status == (answer.contains(" 103 ") ? 200 : Int(answer.split(separator: " ")[1])))
    }
    #expect(core.connectionCount == 1)
  }

  @Test func `a body that ends with the connection is chunked for HTTP/1.1 and closed for HTTP/1.0`() throws {
    let core = try ScriptedUpstream { _ in .last(Array("HTTP/1.1 200 OK\r\n\r\nuntil the end".utf8)) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let answer = try gateway.ask("GET", Self.target)
    #expect(answer?.values("Transfer-Encoding") == ["chunked"] && answer?.bodyText == "until the end")
    let old = try gateway.connect()
    try old.send(testRequest("GET", Self.target).replacing("HTTP/1.1", with: "HTTP/1.0"))
    let text = String(decoding: try old.receiveToEnd(), as: UTF8.self)
    #expect(text.hasSuffix("\r\n\r\nuntil the end") && !text.contains("chunked"))
  }

  @Test func `an HTTP/1.0 connection stays open only if the client asks for it`() throws {
    let core = try Self.echo()
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let kept = try gateway.connect()
    var reader = TestMessageReader(kept)
    for _ in 0..<2 {
      try kept.send(
        testRequest("GET", Self.target, fields: ["Connection: keep-alive"]).replacing(
          "HTTP/1.1", with: "HTTP/1.0"))
      #expect(try reader.next()?.values("Connection") == ["keep-alive"])
    }
    let closed = try gateway.connect()
    try closed.send(testRequest("GET", Self.target).replacing("HTTP/1.1", with: "HTTP/1.0"))
    #expect(String(decoding: try closed.receiveToEnd(), as: UTF8.self).contains("\r\nConnection: close\r\n"))
  }

  /// The client's socket still has bytes to read when sending fails; no other connection may get them.
  @Test func `bytes that a client sent before a reset never become another client's request`() throws {
    let core = try ScriptedUpstream(answer: "{}")
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let fields = ["Expect: 100-continue", "Content-Length: 60000"]
    let head = testRequest("POST", "/proxy/balances?instance_id=one", fields: fields)
    for _ in 0..<40 {
      do {
        let leaver = try gateway.connect()
        leaver.resetOnClose()
        // Fills one read exactly, so that the rest is left for the next one.
        let body = String(repeating: " ", count: 16_384 - head.utf8.count)
        try leaver.send(head + body + "GET /stolen HTTP/1.1\r\nX-Rest: ")
      }
      let other = try gateway.connect()
      try other.send(testRequest("GET", "/nowhere", fields: ["Connection: close"]))
      #expect(String(decoding: try other.receiveToEnd(), as: UTF8.self).hasPrefix("HTTP/1.1 404 "))
    }
    let paths = try gateway.stopAndReadLog().map { $0["path"] as? String }
    #expect(paths.count { $0 == "/nowhere" } == 40 && !paths.contains("/stolen"))
  }

  @Test func `100 Continue is sent after admission, and not for a rejected request`() throws {
    let core = try Self.echo()
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let fields = ["Expect: 100-continue", "Content-Length: 5"]
    let admitted = try gateway.connect()
    var reader = TestMessageReader(admitted)
    try admitted.send(testRequest("POST", Self.target, fields: fields))
    #expect(try reader.next()?.status == 100)
    try admitted.send("hello")
    #expect(try reader.next()?.bodyText == "POST /balances HTTP/1.1|hello")
    let rejected = try gateway.connect()
    try rejected.send(testRequest("POST", Self.target, fields: fields, token: "unknown"))
    let text = String(decoding: try rejected.receiveToEnd(), as: UTF8.self)
    #expect(text.hasPrefix("HTTP/1.1 401 ") && text.contains("\r\nConnection: close\r\n"))
  }

  @Test func `a rejected request with a complete body leaves the connection usable`() throws {
    let core = try Self.echo()
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let socket = try gateway.connect()
    var reader = TestMessageReader(socket)
    for _ in 0..<3 {
      try socket.send(
        testRequest("POST", Self.target, body: "GET /proxy/balances HTTP/1.1", token: "unknown"))
      #expect(try reader.next()?.status == 401)
      try socket.send(testRequest("GET", Self.target))
      #expect(try reader.next()?.status == 200)
    }
    #expect(core.requests.count == 3)
  }

  @Test func `a request hidden in a body that was not read is never served`() throws {
    let core = try Self.echo()
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let socket = try gateway.connect()
    try socket.send(testRequest("POST", Self.target, fields: ["Content-Length: 100000"], token: "unknown"))
    try socket.send(testRequest("GET", Self.target))
    let text = String(decoding: try socket.receiveToEnd(), as: UTF8.self)
    #expect(text.hasPrefix("HTTP/1.1 401 ") && text.split(separator: "HTTP/1.1 ").count == 1)
    #expect(core.requests.isEmpty)
  }

  @Test func `a client that has closed its sending side still gets its response`() throws {
    let core = try Self.echo()
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let socket = try gateway.connect()
    try socket.send(testRequest("POST", Self.target, body: "hello"))
    socket.endOutput()
    #expect(String(decoding: try socket.receiveToEnd(), as: UTF8.self).hasSuffix("POST /balances HTTP/1.1|hello"))
  }

  @Test func `64 connections spread over two loops within 1 of evenly, and each is served`() throws {
    let core = try Self.echo()
    let gateway = try RunningGateway(upstreams: [("one", core.port)], loops: 2)
    var sockets: [TestSocket] = []
    for _ in 0..<64 { sockets.append(try gateway.connect()) }
    for socket in sockets { try socket.send(testRequest("GET", Self.target)) }
    for socket in sockets {
      var reader = TestMessageReader(socket)
      #expect(try reader.next()?.status == 200)
    }
    let counts = gateway.connectionCounts
    #expect(counts.reduce(0, +) == 64 && abs(counts[0] - counts[1]) <= 1, "\(counts)")
  }
}
