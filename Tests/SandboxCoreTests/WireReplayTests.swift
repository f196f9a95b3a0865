import Foundation
import Reactor
import TestSupport
import Testing

@testable import SandboxCore

/// Recorded exchanges through a real socket: status, every field with its order, and the body.
@Suite(.timeLimit(.minutes(10))) struct WireReplayTests {
  private static let titles: [String] = [
    "GET /health (no key)", "missing key", "wrong key", "two X-Blnk-Key headers, wrong one first",
    "POST /ledgers without name", "POST /identities bad dob",
    "GET /identities/:id unknown", "POST /balances both missing", "GET /balances/:id with encoded slash",
    "GET /balances/ (trailing slash)", "404 route with key", "HEAD /balances/:id no key", "TRACE",
    "POST /balances/ (trailing slash)",
    "GET /balances/ with X-Forwarded-Prefix: /proxy",
  ]

  @Test func `answers on the wire as Core did`() throws {
    let recordings = try Recording.all(.routes).filter { Self.titles.contains($0.title) }
    #expect(recordings.count == Self.titles.count)
    let server = try SandboxServer(listen: .tcp(host: "127.0.0.1", port: 0), key: "core-master-key-0001")
    defer { server.stop() }
    for recording in recordings {
      var parser = TestMessageParser()
      parser.append(Array(try exchange(server, [recording.wireRequest]).utf8))
      let comment = Comment(rawValue: recording.title)
      let message = parser.next(hasBody: recording.request.method != "HEAD")
      let answer = try #require(message, comment)
      #expect(answer.startLine.hasPrefix("HTTP/1.1 \(recording.response.status) "), comment)
      let fields = answer.fields.map { "\($0.name): \($0.value)" }
      let expected = recording.response.headers.map { "\($0[0]): \($0[1])" }
      #expect(fields.filter { !$0.isConnectionsOwn }.map(\.settled) == expected.map(\.settled), comment)
      #expect(answer.bodyText == recording.response.body && parser.rest.isEmpty, comment)
    }
  }
}

extension Recording {
  /// The request as curl sent it, on a new connection.
  fileprivate var wireRequest: String {
    let body = request.body ?? ""
    let length = body.isEmpty ? [] : ["Content-Length: \(body.utf8.count)"]
    let lines = ["\(request.method) \(request.target) HTTP/1.1", "Host: core"] + request.headers + length
    return (lines + ["Connection: close"]).map { "\($0)\r\n" }.joined() + "\r\n" + body
  }
}

extension String {
  /// Fields that the recording lacks: the date, and the close that this test asks for.
  fileprivate var isConnectionsOwn: Bool { hasPrefix("Date: ") || self == "Connection: close" }

  /// Without what counts requests or names the caller's port.
  fileprivate var settled: String {
    replacing(/Remaining: [0-9]+/, with: "Remaining: N").replacing(/127\.0\.0\.1:[0-9]+/, with: "127.0.0.1:PORT")
  }
}
