import Bytes
import HTTP1
import Reactor
import SmallServer
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct SmallServerTests {
  /// Responds with the request's body, else with the path; to `/`, with a long body in parts; to `/stream`, with a stream
  /// of two parts; to `/endless`, with a stream of long ones; to `/ticks`, with an endless stream of short ones.
  private final class Echo: RequestHandler {
    func respond(
      to head: borrowing RequestHead, _ bytes: Span<UInt8>, _ request: SmallRequest, _ output: ByteBuffer
    ) -> SmallResponse {
      output.append(statusLine: request.isReserved ? 503 : 200)
      let path = String(decoding: head.path.map { bytes[$0] }, as: UTF8.self)
      if ["/stream", "/endless", "/ticks"].contains(path) {
        guard request.mayStream else {
          output.append(contentLength: 4)
          output.appendHeadEnd()
          output.append("full")
          return SmallResponse(keepsAlive: true)
        }
        output.appendHeadEnd()
        var parts = 0
        return SmallResponse(keepsAlive: false, isStream: true) { output in
          parts += 1
          output.append(path == "/endless" ? [UInt8](repeating: 97, count: 8 << 20) : [48 + UInt8(parts % 10)])
          return path != "/stream" || parts < 2
        }
      }
      guard head.path.count > 1 else {
        output.append(contentLength: 1_000_000)
        output.appendHeadEnd()
        var parts = 0
        return SmallResponse(keepsAlive: head.keepAlive) { output in
          output.append([UInt8](repeating: 97, count: 10_000))
          parts += 1
          return parts < 100
        }
      }
      output.append(contentLength: request.body.isEmpty ? head.path.count : request.body.count)
      output.appendHeadEnd()
      if request.body.isEmpty { output.append(bytes, head.path) } else { output.append(request.body) }
      return SmallResponse(keepsAlive: head.keepAlive)
    }

    func reject(_ fault: SmallRequestFault, isHead: Bool, at seconds: Int64, to output: ByteBuffer) {
      output.append(statusLine: 400)
      output.append(contentLength: 0)
      output.appendConnection(keepsAlive: false, version: .http11)
      output.appendHeadEnd()
    }
  }

  private func withServer(
    connectionsMax: Int = 4, reserved: Int = 0, streams: Int = 0, timeoutMilliseconds: Int64? = nil,
    _ body: (_ port: UInt16) throws -> Void
  ) throws {
    let bounds = SmallServerBounds(
      connectionsMax: connectionsMax, reservedConnectionsMax: reserved, streamsMax: streams, bodyBytesMax: 10,
      timeoutMilliseconds: timeoutMilliseconds)
    let server = try SmallHTTPServer(listen: .tcp(host: "127.0.0.1", port: 0), name: "test", bounds: bounds) { Echo() }
    defer { server.stop() }
    try body(try #require(server.address.port))
  }

  @Test func `answers several requests on a connection`() throws {
    try withServer { port in
      let socket = try TestSocket(port: port)
      var reader = TestMessageReader(socket)
      try socket.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /bc HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(try reader.next()?.bodyText == "/a")
      #expect(try reader.next()?.bodyText == "/bc")
    }
  }

  @Test func `a long response is sent in parts, and other requests are served meanwhile`() throws {
    try withServer { port in
      let slow = try TestSocket(port: port, receiveBuffer: 4_096)
      try slow.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(slow.waitUntilReadable())
      let other = try TestSocket(port: port)
      var reader = TestMessageReader(other)
      try other.send("GET /other HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(try reader.next()?.bodyText == "/other")
      var slowReader = TestMessageReader(slow)
      #expect(try slowReader.next()?.body.count == 1_000_000)
    }
  }

  @Test(arguments: ["", "GET / HT", "GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"])
  func `a request not received within the time limit closes the connection`(begun: String) throws {
    try withServer(timeoutMilliseconds: 50) { port in
      let socket = try TestSocket(port: port)
      if !begun.isEmpty { try socket.send(begun) }
      #expect(try socket.receive().isEmpty)
    }
  }

  @Test func `a response that the peer does not read closes the connection`() throws {
    try withServer(timeoutMilliseconds: 50) { port in
      let socket = try TestSocket(port: port, receiveBuffer: 4_096)
      // More than the system's buffers hold.
      try socket.send(String(repeating: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", count: 20))
      #expect(socket.waitUntilReadable())
      // Each of these idle connections ends by the same time limit: they measure time on the server's clock.
      for _ in 0..<5 {
        var reader = TestMessageReader(try TestSocket(port: port))
        #expect(try reader.next() == nil)
      }
      var count = 0
      while let more = try? socket.receive(), !more.isEmpty { count += more.count }
      #expect(count < 20_000_000)
    }
  }

  private func open(_ path: String, _ port: UInt16) throws -> TestSocket {
    let socket = try TestSocket(port: port, receiveBuffer: 4_096)
    try socket.send("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
    return socket
  }

  /// What a new connection gets for `/stream` at once.
  private func beginning(_ port: UInt16) throws -> String {
    String(decoding: try open("/stream", port).receive(), as: UTF8.self)
  }

  @Test func `a stream sends a part at once, the next one in another second, and then ends`() throws {
    try withServer(streams: 1) { port in
      let stream = try open("/stream", port)
      var text = String(decoding: try stream.receive(), as: UTF8.self)
      #expect(text.hasSuffix("\r\n\r\n1"))
      text += String(decoding: try stream.receiveToEnd(), as: UTF8.self)
      #expect(text.hasSuffix("12"))
    }
  }

  @Test func `streams do not count as other connections, and their number is bounded`() throws {
    try withServer(connectionsMax: 1, streams: 2) { port in
      let streams = try (0..<2).map { _ in
        let stream = try open("/endless", port)
        // Until its request is read, it counts as any other connection.
        #expect(stream.waitUntilReadable())
        return stream
      }
      var reader = TestMessageReader(try open("/a", port))
      #expect(try reader.next()?.bodyText == "/a")
      #expect(try beginning(port).hasSuffix("full"))
      withExtendedLifetime(streams) {}
    }
  }

  @Test(arguments: [false, true]) func `the peer of a stream that leaves or speaks makes room for another`(
    speaks: Bool
  ) throws {
    try withServer(streams: 1) { port in
      var stream: TestSocket? = try open("/ticks", port)
      #expect(try stream?.receive().isEmpty == false)
      if speaks { try stream?.send("x") } else { stream = nil }
      #expect(try eventually { try beginning(port).hasSuffix("\r\n\r\n1") })
      withExtendedLifetime(stream) {}
    }
  }

  @Test func `a peer that does not read its stream is closed`() throws {
    try withServer(streams: 1, timeoutMilliseconds: 50) { port in
      let stream = try open("/endless", port)
      #expect(stream.waitUntilReadable())
      #expect(try eventually { try beginning(port).hasSuffix("\r\n\r\n1") })
      withExtendedLifetime(stream) {}
    }
  }

  private static let request = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"

  /// A connection that does not read its response.
  private func busyConnection(_ port: UInt16) throws -> TestSocket {
    let socket = try TestSocket(port: port, receiveBuffer: 4_096)
    try socket.send(String(repeating: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", count: 20))
    #expect(socket.waitUntilReadable())
    return socket
  }

  @Test(arguments: ["", "GET /a HTTP/1.1\r\nHost:", "GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"])
  func `a new connection evicts the one that has waited longest for a request`(begun: String) throws {
    try withServer(connectionsMax: 3) { port in
      let silent = try (0..<3).map { _ in try TestSocket(port: port) }
      for socket in silent where !begun.isEmpty { try socket.send(begun) }
      var others: [TestSocket] = []
      for index in 0..<3 {
        let other = try TestSocket(port: port)
        var reader = TestMessageReader(other)
        try other.send(Self.request)
        #expect(try reader.next()?.status == 200)
        // Kept open: the connection just served has waited for the shortest time.
        others.append(other)
        #expect((try? silent[index].receive())?.isEmpty != false)
        for later in silent.dropFirst(index + 1) { #expect(later.isQuiet(milliseconds: 0)) }
      }
      for other in others { #expect(other.isQuiet(milliseconds: 0)) }
    }
  }

  @Test func `a received request is served however many connections follow`() throws {
    try withServer(connectionsMax: 2) { port in
      // Opened faster than they are served, so that the others wait to be accepted.
      let sockets = try (0..<40).map { _ in
        let socket = try TestSocket(port: port)
        try socket.send(Self.request)
        return socket
      }
      for socket in sockets {
        var reader = TestMessageReader(socket)
        #expect(try reader.next()?.status == 200)
      }
    }
  }

  @Test func `a new connection is closed if all others are busy`() throws {
    try withServer(connectionsMax: 2) { port in
      let busy = try (0..<2).map { _ in try busyConnection(port) }
      let third = try TestSocket(port: port)
      #expect((try? third.receive())?.isEmpty != false)
      withExtendedLifetime(busy) {}
    }
  }

  @Test func `a reserved connection is accepted while all others are busy, and evicted while it is idle`() throws {
    try withServer(connectionsMax: 2, reserved: 1) { port in
      var busy = try (0..<2).map { _ in try busyConnection(port) }
      let silent = try TestSocket(port: port)
      for _ in 0..<3 {
        let socket = try TestSocket(port: port)
        var reader = TestMessageReader(socket)
        try socket.send(Self.request)
        #expect(try reader.next()?.status == 503)
      }
      #expect((try? silent.receive())?.isEmpty != false)
      // Once a busy connection has ended, the next one is regular.
      busy.removeFirst()
      #expect(
        try eventually {
          let socket = try TestSocket(port: port)
          var reader = TestMessageReader(socket)
          try socket.send(Self.request)
          return try reader.next()?.status == 200
        })
      withExtendedLifetime(busy) {}
    }
  }

  @Test(arguments: [
    "Content-Length: 11\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nb\r\n",
    "Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n5\r\n", "Transfer-Encoding: chunked\r\n\r\nz",
  ])
  func `a malformed or oversized body is rejected`(rest: String) throws {
    try withServer { port in
      let socket = try TestSocket(port: port)
      var reader = TestMessageReader(socket)
      try socket.send("GET /a HTTP/1.1\r\nHost: a\r\n" + rest)
      #expect(try reader.next()?.status == 400)
    }
  }

  @Test(arguments: [
    "Content-Length: 10\r\n\r\n0123456789", "Transfer-Encoding: chunked\r\n\r\n1\r\n0\r\n9;x\r\n123456789\r\n0\r\n\r\n",
  ])
  func `a body is read whole, in one piece or byte by byte, and so is the request after it`(rest: String) throws {
    try withServer { port in
      let socket = try TestSocket(port: port)
      var reader = TestMessageReader(socket)
      let request = "POST /a HTTP/1.1\r\nHost: a\r\n" + rest
      try socket.send(request + request + "GET /b HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(try reader.next()?.bodyText == "0123456789")
      #expect(try reader.next()?.bodyText == "0123456789")
      #expect(try reader.next()?.bodyText == "/b")
      for byte in request { try socket.send(String(byte)) }
      #expect(try reader.next()?.bodyText == "0123456789")
    }
  }
}
