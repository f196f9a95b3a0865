import Bytes
import HTTP1
import Reactor
import SmallServer
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct SmallServerTests {
  /// Answers with the path, or with a long answer in parts.
  private final class Echo: Site {
    func answer(
      _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ request: SmallRequest, to output: ByteBuffer
    ) -> SmallAnswer {
      guard head.path.count > 1 else {
        output.append("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        var parts = 0
        return SmallAnswer(keepsAlive: head.keepAlive) { output in
          output.append([UInt8](repeating: 97, count: 10_000))
          parts += 1
          return parts < 100
        }
      }
      output.append("HTTP/1.1 200 OK\r\nContent-Length: ")
      output.append(decimal: head.path.count)
      output.append("\r\n\r\n")
      output.append(bytes, head.path)
      return SmallAnswer(keepsAlive: head.keepAlive)
    }

    func refuse(_ fault: SmallRequestFault, at seconds: Int64, to output: ByteBuffer) {
      output.append("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    }
  }

  private func withServer(
    connectionsMax: Int = 4, milliseconds: Int64? = nil, _ body: (_ port: UInt16) throws -> Void
  ) throws {
    let bounds = SmallServerBounds(connectionsMax: connectionsMax, bodyBytesMax: 10, milliseconds: milliseconds)
    let server = try SiteServer(listen: .tcp(host: "127.0.0.1", port: 0), name: "test", bounds: bounds) { Echo() }
    defer { server.stop() }
    try body(try #require(server.address.port))
  }

  @Test func `answers one request after the other on a connection`() throws {
    try withServer { port in
      let socket = try TestSocket(port: port)
      var reader = TestMessageReader(socket)
      try socket.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /bc HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(try reader.next()?.bodyText == "/a")
      #expect(try reader.next()?.bodyText == "/bc")
    }
  }

  @Test func `a long answer comes part by part, and others are answered meanwhile`() throws {
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
  func `a request that does not come in its time ends the connection`(begun: String) throws {
    try withServer(milliseconds: 50) { port in
      let socket = try TestSocket(port: port)
      if !begun.isEmpty { try socket.send(begun) }
      #expect(try socket.receive().isEmpty)
    }
  }

  @Test func `an answer that nobody takes ends the connection`() throws {
    try withServer(milliseconds: 50) { port in
      let socket = try TestSocket(port: port, receiveBuffer: 4_096)
      // More than all buffers of the system hold.
      try socket.send(String(repeating: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", count: 20))
      #expect(socket.waitUntilReadable())
      // Others end by themselves meanwhile, one after the other: the server's own clock.
      for _ in 0..<5 {
        var reader = TestMessageReader(try TestSocket(port: port))
        #expect(try reader.next() == nil)
      }
      var count = 0
      while let more = try? socket.receive(), !more.isEmpty { count += more.count }
      #expect(count < 20_000_000)
    }
  }

  @Test func `more connections than there are places for are closed`() throws {
    try withServer(connectionsMax: 2) { port in
      let held = try (0..<2).map { _ in try TestSocket(port: port) }
      for socket in held {
        var reader = TestMessageReader(socket)
        try socket.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try reader.next()?.status == 200)
      }
      let third = try TestSocket(port: port)
      #expect((try? third.receive())?.isEmpty != false)
    }
  }

  @Test func `a body beyond the bound is refused`() throws {
    try withServer { port in
      let socket = try TestSocket(port: port)
      var reader = TestMessageReader(socket)
      try socket.send("GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n")
      #expect(try reader.next()?.status == 400)
    }
  }
}
