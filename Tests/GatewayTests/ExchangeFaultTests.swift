import Foundation
import TestSupport
import Testing

/// Requests sent twice, outcomes claimed after a retry, and responses without framing.
@Suite(.scopedFixtures) struct ExchangeFaultTests {
  private static let read = "/proxy/balances?instance_id=one"
  /// A write by its route, although its method is GET.
  private static let write = "/proxy/balances/b?instance_id=one"
  private static let routes: [String: any Sendable] = [
    "/proxy/balances": ["GET": ["scope": "proxy:read", "operation": "balances.list"]],
    "/proxy/balances/:id": ["GET": ["scope": "proxy:write", "operation": "balances.touch"]],
  ]
  private static let audit: [String: any Sendable] = ["audit_log": "audit.log", "audit_key": ["env": "TEST_KEY"]]

  /// Answers the first request of each connection; reads the second and closes or resets the connection.
  private static func dyingCore(byReset: Bool) throws -> ScriptedUpstream {
    try ScriptedUpstream { request in
      if request.number == 0 { return .bytes(ScriptedUpstream.json("{}")) }
      return byReset ? .reset([]) : .last([])
    }
  }

  // MARK: Writes by GET

  @Test(arguments: ["GET", "HEAD"], [true, false])
  func `a GET on a write route is sent once, even when its pooled connection dies`(method: String, byReset: Bool) throws
  {
    let core = try Self.dyingCore(byReset: byReset)
    let gateway = try RunningGateway(upstreams: [("one", core.port)], gateway: Self.audit, routes: Self.routes)
    #expect(try gateway.ask("GET", Self.read)?.status == 200)
    let answer = try gateway.ask(method, Self.write)
    #expect(core.requests.map(\.message.startLine) == ["GET /balances HTTP/1.1", "\(method) /balances/b HTTP/1.1"])
    #expect(answer?.status == 502)
    if method == "GET" {
      #expect(answer?.member("code") == "GATEWAY_UPSTREAM_BROKEN" && answer?.member("outcome") == "unknown")
    }
    let record = try #require(try gateway.stopAndReadLog().last)
    #expect(record["code"] as? String == "GATEWAY_UPSTREAM_BROKEN" && record["outcome"] as? String == "unknown")
    #expect(record["tries"] as? Int == 1)
    #expect(try AuditRecords(gateway.statePath).words() == ["unknown"])
  }

  @Test(arguments: ["GET", "HEAD"])
  func `a GET on a write route is not retried with another key`(method: String) throws {
    let refusal = #"{"error":"Invalid API key","error_detail":{"code":"AUTH_INVALID_API_KEY"}}"#
    let core = try ScriptedUpstream { request in
      let isRight = request.message["X-Blnk-Key"] == TestPolicyFolder.secondKey
      let isHead = request.message.startLine.hasPrefix("HEAD ")
      let bytes =
        isRight ? ScriptedUpstream.json("{}") : ScriptedUpstream.json(refusal, status: "401 Unauthorized")
      return .bytes(isHead ? Array(bytes.dropLast(isRight ? 2 : refusal.utf8.count)) : bytes)
    }
    let gateway = try RunningGateway(
      upstreams: [("one", core.port)], instance: ["key": [["env": "TEST_KEY"], ["env": "TEST_KEY_2"]]],
      gateway: Self.audit, routes: Self.routes)
    let answer = try gateway.ask(method, Self.write)
    #expect(core.requests.count == 1)
    #expect(answer?.status == 502)
    if method == "GET" {
      #expect(answer?.member("code") == "GATEWAY_UPSTREAM_KEY_REJECTED" && answer?.member("outcome") == "not_sent")
    }
    // The next request uses the next key.
    #expect(try gateway.ask(method, Self.write)?.status == 200)
    #expect(core.requests.map { $0.message["X-Blnk-Key"] } == [TestPolicyFolder.key, TestPolicyFolder.secondKey])
    let records = try gateway.stopAndReadLog()
    #expect(records.map { $0["tries"] as? Int } == [1, 1])
    #expect(records.first?["outcome"] as? String == "not_sent")
    #expect(try AuditRecords(gateway.statePath).words() == ["not_sent", "done"])
  }

  // MARK: Outcome after a retry

  @Test(arguments: [true, false])
  func `a retried read whose second connect is refused is unknown, not not_sent`(byReset: Bool) throws {
    let core = try Self.dyingCore(byReset: byReset)
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    #expect(try gateway.ask("GET", Self.read)?.status == 200)
    core.stopListening()
    let answer = try gateway.ask("GET", Self.read)
    #expect(core.requests.count == 2 && core.connectionCount == 1)
    #expect(answer?.status == 502)
    #expect(answer?.member("outcome") == "unknown", "\(answer?.bodyText ?? "no answer")")
    let record = try #require(try gateway.stopAndReadLog().last)
    #expect(record["status"] as? Int == 502 && record["outcome"] as? String == "unknown")
  }

  // MARK: Framing

  @Test(arguments: ["content-length", "Content-Length", "keep-alive, Content-Length"])
  func `a response whose Connection field lists Content-Length is malformed, not relayed without framing`(
    options: String
  ) throws {
    let core = try ScriptedUpstream { request in
      guard request.message.startLine.contains("/odd ") else { return .bytes(ScriptedUpstream.json("own")) }
      return .bytes(Array("HTTP/1.1 200 OK\r\nConnection: \(options)\r\nContent-Length: 3\r\n\r\nodd".utf8))
    }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let socket = try gateway.connect()
    try socket.send(testRequest("GET", "/proxy/balances/odd?instance_id=one"))
    var reader = TestMessageReader(socket)
    // Only the head: a response without framing would be read until the connection closes.
    let head = try #require(try reader.next(hasBody: false))
    try #require(head.status == 502, "\(head.startLine), Content-Length: \(head.values("Content-Length"))")
    try socket.send(testRequest("GET", Self.read, fields: ["Connection: close"]))
    let rest = String(decoding: try reader.rest + socket.receiveToEnd(), as: UTF8.self)
    #expect(rest.hasPrefix("{") && rest.contains("GATEWAY_UPSTREAM_MALFORMED"), "\(rest)")
    #expect(rest.ranges(of: "HTTP/1.1 200 OK\r\n").count == 1 && rest.hasSuffix("\r\n\r\nown"), "\(rest)")
  }
}
