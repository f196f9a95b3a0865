import Foundation
import Reactor
import System
import Testing

@testable import SandboxCore

@Suite(.timeLimit(.minutes(10))) struct SandboxServerTests {
  @Test func `answers requests that come in one piece, in their order`() throws {
    try withSandbox { server in
      let answers = try exchange(
        server,
        [
          request("GET /", closes: false)
            + request("GET /nope", ["Transfer-Encoding: chunked"], closes: false) + "3\r\nabc\r\n0\r\n\r\n"
            + request("GET /health")
        ])
      #expect(answers.count(of: "HTTP/1.1 ") == 3)
      let statuses = answers.ranges(of: "HTTP/1.1 ").map { answers[$0.upperBound...].prefix(3) }
      #expect(statuses == ["200", "404", "200"])
      #expect(answers.contains("Connection: close\r\nContent-Length") == false)
      #expect(answers.hasSuffix(#"{"status":"UP"}"#))
    }
  }

  @Test func `reads a message cut at every byte`() throws {
    let body = #"{"ledger_id":"general_ledger_id","currency":"USD"}"#
    let chunked =
      "5\r\n\(body.prefix(5))\r\n\(String(body.count - 5, radix: 16));x=y\r\n\(body.dropFirst(5))\r\n0\r\n\r\n"
    let messages = [
      request("POST /balances", body: body),
      request("POST /balances", ["Transfer-Encoding: chunked"]) + chunked,
    ]
    try withSandbox { server in
      for message in messages {
        for cut in stride(from: 1, to: message.utf8.count, by: 3) {
          let answer = try exchange(server, [String(message.prefix(cut)), String(message.dropFirst(cut))])
          #expect(answer.hasPrefix("HTTP/1.1 201 Created\r\n"), "cut at \(cut)")
          #expect(server.received.last?.body == Array(body.utf8))
        }
      }
    }
  }

  @Test func `keeps what it got byte for byte`() throws {
    try withSandbox { server in
      let body = #"{ "amount": 19050.340000000000001 }"#
      let sent = request("POST /balances?a=%40&b=+", ["x-ODD:  a\tb  "], body: body)
      _ = try exchange(server, [sent])
      let received = try #require(server.received.first)
      #expect(String(decoding: received.head + received.body, as: UTF8.self) == sent)
      #expect(received.target == "/balances?a=%40&b=+")
      #expect(received.values(of: "X-Odd") == ["a\tb"])
    }
  }

  @Test func `keeps the last requests only`() throws {
    try withSandbox { server in
      let many = (0..<300).map { request("GET /\($0)", closes: $0 == 299) }.joined()
      _ = try exchange(server, [many])
      #expect(server.received.count == 256)
      #expect(server.received.first?.target == "/44")
      #expect(server.received.last?.target == "/299")
    }
  }

  @Test(arguments: [(2, false), (20, true)])
  func `sends an answer of more than 2 kB in chunks`(balances: Int, isChunked: Bool) throws {
    try withSandbox { server in
      let create = request(
        "POST /balances", body: #"{"ledger_id":"general_ledger_id","currency":"USD"}"#, closes: false)
      let answers = try exchange(
        server, Array(repeating: create, count: balances) + [request("GET /balances?limit=20")])
      let last = try #require(answers.ranges(of: "HTTP/1.1 200").last)
      let answer = String(answers[last.lowerBound...])
      #expect(answer.contains("Transfer-Encoding: chunked\r\n") == isChunked)
      #expect(answer.contains("Content-Length") == !isChunked)
      #expect(answer.hasSuffix("]\r\n0\r\n\r\n") == isChunked)
    }
  }

  @Test func `sends no body to HEAD`() throws {
    try withSandbox { server in
      let answer = try exchange(server, [request("HEAD /")])
      #expect(answer.hasPrefix("HTTP/1.1 404 Not Found\r\n"))
      #expect(answer.contains("Content-Length: 18\r\n"))
      #expect(answer.hasSuffix("\r\n\r\n"))
    }
  }

  @Test func `sends 100 Continue to a caller that waits for it`() throws {
    try withSandbox { server in
      let body = #"{"ledger_id":"general_ledger_id","currency":"USD"}"#
      let whole = request("POST /balances", ["Expect: 100-continue"], body: body)
      let answer = try exchange(server, [String(whole.dropLast(body.count)), body])
      #expect(answer.hasPrefix("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\n"))
    }
  }

  @Test(arguments: [
    "Content-Length: \(5 << 20 + 1)\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n500001\r\n" + String(repeating: "a", count: 0x500001),
  ])
  func `refuses a body of more than 5 MiB`(rest: String) throws {
    try withSandbox { server in
      let answer = try exchange(server, ["POST /balances HTTP/1.1\r\nHost: core\r\nX-Blnk-Key: secret\r\n" + rest])
      #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
      #expect(answer.contains("http: request body too large"))
      #expect(answer.contains("Connection: close\r\n"))
      #expect(server.received.isEmpty)
    }
  }

  @Test(arguments: [
    ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/2.0\r\n\r\n", 505), ("\u{16}\u{3}\u{1}", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZ\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nExpect: cake\r\n\r\n", 417),
  ])
  func `ends a connection that does not speak HTTP`(bytes: String, status: Int) throws {
    try withSandbox { server in
      // A TLS hello has no line end, so the end of the stream would be the only way to tell; a line end makes it one.
      let answer = try exchange(server, [bytes + "\r\n"])
      #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
      #expect(server.received.isEmpty)
    }
  }

  @Test func `takes the first of two keys, of any case, and refuses without one`() throws {
    try withSandbox { server in
      let both = ["x-blnk-key: secret", "X-Blnk-Key: other"]
      let right = try exchange(server, [request("GET /balances", both, key: nil)])
      let wrong = try exchange(server, [request("GET /balances", both.reversed(), key: nil)])
      let none = try exchange(server, [request("GET /balances", key: nil)])
      #expect(right.hasPrefix("HTTP/1.1 200 "))
      #expect(wrong.contains("AUTH_INVALID_API_KEY"))
      #expect(none.contains("AUTH_MISSING_API_KEY"))
    }
  }

  @Test func `answers HTTP 1.0 and closes`() throws {
    try withSandbox { server in
      let answer = try exchange(server, ["GET / HTTP/1.0\r\n\r\n"])
      #expect(answer.contains("Content-Length: 58\r\nConnection: close\r\n"))
      #expect(answer.afterEmptyLine == #""sandbox for Blnk Core, in memory only: server running...""#)
    }
  }

  @Test func `shows who called as Core's limiter does`() throws {
    try withSandbox { server in
      let answer = try exchange(server, [request("GET /", ["X-Forwarded-For: 192.0.2.7"])])
      #expect(
        answer.contains("X-Rate-Limit-Request-Forwarded-For: 192.0.2.7\r\nX-Rate-Limit-Request-Remote-Addr: 127.0.0.1:")
      )
    }
  }

  @Test func `says when its address is in use`() throws {
    try withSandbox { server in
      let port = try #require(server.address.port)
      #expect(throws: Errno.addressInUse) { () throws in
        try SandboxServer(listen: .tcp(host: "127.0.0.1", port: port), key: "k")
      }
    }
  }

  /// A connection of another test may take the port in between, and a process that one starts holds it until its own
  /// program runs; but not every time, and not for long.
  @Test func `gives its address back when it stops`() throws {
    let isGivenBack = try (0..<10).contains { _ in
      var port: UInt16?
      try withSandbox { server in port = server.address.port }
      guard let next = try? SandboxServer(listen: .tcp(host: "127.0.0.1", port: try #require(port)), key: "k") else {
        Thread.sleep(forTimeInterval: 0.2)
        return false
      }
      next.stop()
      return true
    }
    #expect(isGivenBack)
  }
}
