import Digests
import Foundation
import Policies
import TestSupport
import Testing

/// What an access log line says of an exchange.
@Suite(.scopedFixtures) struct AccessLogFieldTests {
  private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"

  private func digits(_ token: String) -> String {
    String(SHA256.digest(of: Array(token.utf8).span).hex.prefix(8))
  }

  @Test func `a line has the client's request id and trace id besides the gateway's`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let long = String(repeating: "l", count: 4_000)
    for fields in [
      ["X-Request-Id: mine \"1\" \u{e9}", "traceparent: 00-\(Self.trace)-00f067aa0ba902b7-01"],
      ["x_request_id: \(long)", "traceparent: 00-\(Self.trace)-0000000000000000-01"], [],
    ] {
      _ = try gateway.ask("GET", "/proxy/balances?instance_id=one", fields: fields)
    }
    let records = try gateway.stopAndReadLog()
    #expect(records.count == 3)
    #expect(records[0]["client_request_id"] as? String == "mine \"1\" é")
    #expect(records[0]["trace_id"] as? String == Self.trace)
    #expect(records[1]["client_request_id"] as? String == String(long.prefix(128)))
    #expect(records[2]["client_request_id"] == nil)
    for (record, message) in zip(records, core.requests.map(\.message)) {
      #expect(message["X-Request-Id"] == record["request_id"] as? String)
      #expect(message["traceparent"]?.split(separator: "-")[1] == (record["trace_id"] as? String)?[...])
      #expect(message.values("X-Request-Id").count == 1)
    }
    for record in records[1...] { #expect(record["trace_id"] as? String == record["request_id"] as? String) }
  }

  @Test func `every rejection logs the token's digest`() throws {
    let gateway = try RunningGateway(upstreams: [("one", 1)])
    let unknown = "blnk_at_unknown-token"
    let expected: [(token: String?, method: String, target: String, code: String)] = [
      (unknown, "GET", "/proxy/balances?instance_id=one", "GATEWAY_TOKEN_INVALID"),
      (TestPolicyFolder.readToken, "POST", "/proxy/balances?instance_id=one", "GATEWAY_SCOPE_INSUFFICIENT"),
      (TestPolicyFolder.token, "GET", "/proxy/nowhere?instance_id=one", "GATEWAY_ROUTE_UNKNOWN"),
      (TestPolicyFolder.token, "GET", "/proxy/balances?instance_id=two", "GATEWAY_INSTANCE_FORBIDDEN"),
      (TestPolicyFolder.token, "GET", "/proxy/balances", "GATEWAY_INSTANCE_REQUIRED"),
      (nil, "GET", "/proxy/balances?instance_id=one", "GATEWAY_TOKEN_REQUIRED"),
    ]
    for request in expected { _ = try gateway.ask(request.method, request.target, token: request.token) }
    let records = try gateway.stopAndReadLog()
    for (record, request) in zip(records, expected) {
      #expect(record["code"] as? String == request.code)
      #expect(record["token_sha256"] as? String == request.token.map(digits))
      #expect(record["token"] as? String == (request.token == nil || request.token == unknown ? nil : "of the tests"))
    }
    let text = "\(records)"
    for token in expected.compactMap(\.token) { #expect(!text.contains(token)) }
  }

  @Test func `a full disk loses lines and no request`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], gateway: ["access_log": "/dev/full"])
    for _ in 0..<20 { #expect(try gateway.ask("GET", "/proxy/balances?instance_id=one")?.status == 200) }
  }

  /// Each line has a path of 7 KiB and the pipe holds 64 KiB, so the log blocks long before the end.
  @Test func `a pipe without a reader loses lines and no request`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let pipe = Pipe()
    let gateway = try RunningGateway(
      upstreams: [("one", core.port)],
      gateway: ["access_log": "/proc/self/fd/\(pipe.fileHandleForWriting.fileDescriptor)"])
    let id = String(repeating: "a", count: 7_000)
    for _ in 0..<100 {
      #expect(try gateway.ask("GET", "/proxy/balances/\(id)?instance_id=one")?.status == 200)
    }
    #expect(gateway.stop())
    try pipe.fileHandleForWriting.close()
    // To the end: otherwise the writer could write to a closed pipe, and SIGPIPE would end the tests.
    let lines = try pipe.fileHandleForReading.readToEnd()?.split(separator: UInt8(ascii: "\n")) ?? []
    #expect((8..<100).contains(lines.count))
  }
}
