import Foundation
import LoopSupport
import TestSupport
import Testing

/// close_notify as the end of a response, and TLS records that carry no response.
@Suite(
  .scopedFixtures, .serialized,
  .enabled(if: TestAuthority.shared != nil && TLSCore.isAtHand, "python3 or openssl is not installed"))
struct TLSFaultTests {
  private let authority: TestAuthority

  init() throws { authority = try #require(TestAuthority.shared) }

  /// The bytes a client receives, nil after a reset, and the record of the exchange.
  private func ask(_ path: String, version: String) throws -> (text: String?, record: [String: any Sendable]) {
    let core = try TLSCore(authority)
    let folder = try core.policyFolder(authority)
    let gateway = try GatewayProcess(folder)
    let socket = try TestSocket(port: gateway.port)
    let request = testRequest("GET", "/proxy/balances/\(path)?instance_id=one", fields: ["Connection: close"])
    try socket.send(request.replacing("HTTP/1.1", with: version))
    let bytes = try? socket.receiveToEnd()
    socket.end()
    gateway.stop()
    let records = try folder.records()
    #expect(records.count == 1)
    return (bytes.map { String(decoding: $0, as: UTF8.self) }, try #require(records.first))
  }

  @Test func `a response without a length that ends without close_notify is cut`() throws {
    let (text, record) = try ask("torn", version: "HTTP/1.1")
    let seen = try #require(text)
    #expect(seen.hasPrefix("HTTP/1.1 200 OK\r\n") && seen.contains("\r\nTransfer-Encoding: chunked\r\n"))
    #expect(!seen.hasSuffix("0\r\n\r\n"), "\(seen)")
    #expect(record["code"] as? String == "GATEWAY_ANSWER_CUT")
  }

  @Test func `an HTTP/1.0 client gets a reset when close_notify is missing`() throws {
    let (text, record) = try ask("torn", version: "HTTP/1.0")
    #expect(text == nil, "\(text ?? "")")
    #expect(record["code"] as? String == "GATEWAY_ANSWER_CUT")
  }

  @Test func `a response without a length that ends with close_notify is complete`() throws {
    let (text, record) = try ask("ended", version: "HTTP/1.1")
    #expect(text?.hasSuffix("\r\n\r\na\r\nto the end\r\n0\r\n\r\n") == true, "\(text ?? "reset")")
    #expect(record["code"] == nil && record["status"] as? Int == 200)
  }

  @Test func `a response with Content-Length is complete without close_notify`() throws {
    let (text, record) = try ask("counted", version: "HTTP/1.1")
    #expect(text?.hasSuffix("\r\n\r\n{}") == true, "\(text ?? "reset")")
    #expect(record["code"] == nil && record["status"] as? Int == 200)
  }

  @Test(arguments: [(firstByte: 0.5, bodyIdle: 1.0), (firstByte: 1.5, bodyIdle: 0.5)])
  func `a session ticket does not turn a client stall into an upstream timeout`(
    firstByte: Double, bodyIdle: Double
  ) throws {
    let core = try TLSCore(authority, ticketsBehind: 30_000)
    let folder = try core.policyFolder(
      authority,
      instance: ["timeouts": ["first_byte_s": firstByte], "breaker": ["failures": 5, "open_s": 60, "open_max_s": 60]],
      gateway: ["timeouts": ["body_idle_s": bodyIdle]])
    let gateway = try GatewayProcess(folder)
    let target = "/proxy/balances?instance_id=one"
    let sockets = try (0..<5).map { _ in
      let socket = try TestSocket(port: gateway.port)
      let head = testRequest("POST", target, fields: ["Content-Length: 1000000"])
      try socket.send(head + String(repeating: " ", count: 30_000))
      return socket
    }
    for socket in sockets {
      var reader = TestMessageReader(socket)
      let answer = try reader.next()
      #expect(answer?.status == 408 && answer?.member("code") == "GATEWAY_REQUEST_TIMEOUT", "\(answer?.bodyText ?? "")")
    }
    // On a busy machine one request may exceed `first_byte_s`.
    var answer: TestMessage?
    for _ in 0..<5 where answer == nil || answer?.status == 504 {
      let other = try TestSocket(port: gateway.port)
      try other.send(testRequest("GET", target, token: TestPolicyFolder.readToken))
      var reader = TestMessageReader(other)
      answer = try reader.next()
    }
    #expect(answer?.status == 200, "\(answer?.bodyText ?? "no answer")")
  }
}
