import Foundation
import Synchronization
import TestSupport
import Testing

/// A client that stalls in its body is not Core's fault, and does not affect other clients.
@Suite(.scopedFixtures) struct UploadTests {
  private static let target = "/proxy/balances?instance_id=one"
  /// More than the gateway buffers before it acquires an upstream connection.
  private static let begunBytes = 30_000

  private static func head(_ framing: String, token: String? = TestPolicyFolder.token) -> String {
    testRequest("POST", target, fields: [framing], token: token)
  }

  /// Sends the head and the first part of the body, then stalls.
  private static func stalledUpload(to gateway: RunningGateway) throws -> TestSocket {
    let socket = try gateway.connect()
    try socket.send(
      head("Content-Length: 1000000") + String(repeating: " ", count: begunBytes))
    return socket
  }

  // MARK: Stalls

  @Test(arguments: [(firstByte: 0.5, bodyIdle: 1.0), (firstByte: 1.5, bodyIdle: 0.5)])
  func `a 100 Continue from Core does not turn a client stall into an upstream timeout`(
    firstByte: Double, bodyIdle: Double
  ) throws {
    let core = try UploadCore(bytes: Self.begunBytes) { socket in
      try? socket.send("HTTP/1.1 100 Continue\r\n\r\n")
      return true
    }
    let gateway = try RunningGateway(
      upstreams: [("one", core.port)],
      instance: ["timeouts": ["first_byte_s": firstByte], "breaker": ["failures": 5, "open_s": 60, "open_max_s": 60]],
      gateway: ["timeouts": ["body_idle_s": bodyIdle]])
    let sockets = try (0..<5).map { _ in try Self.stalledUpload(to: gateway) }
    for socket in sockets {
      var reader = TestMessageReader(socket)
      let answer = try reader.next()
      #expect(answer?.status == 408 && answer?.member("code") == "GATEWAY_REQUEST_TIMEOUT", "\(said(answer))")
    }
    #expect(core.begun == 5)
    // On a busy machine one request may exceed `first_byte_s`.
    var other: TestMessage?
    for _ in 0..<5 where other == nil || other?.status == 504 {
      other = try gateway.ask("GET", Self.target, token: TestPolicyFolder.readToken)
    }
    #expect(other?.status == 200, "\(said(other))")
    let uploads = try gateway.stopAndReadLog().filter { $0["method"] as? String == "POST" }
    #expect(uploads.map { $0["status"] as? Int } == Array(repeating: 408, count: 5))
    #expect(!uploads.contains { $0["outcome"] as? String == "not_sent" })
  }

  @Test(arguments: [false, true])
  func `Core closing a stalled upload does not count against the breaker`(byReset: Bool) throws {
    let core = try UploadCore(bytes: Self.begunBytes) { socket in
      if byReset { socket.resetOnClose() } else { socket.end() }
      return false
    }
    let gateway = try RunningGateway(
      upstreams: [("one", core.port)], instance: ["breaker": ["failures": 3, "open_s": 60, "open_max_s": 60]],
      gateway: ["timeouts": ["body_idle_s": 0.5]])
    for _ in 0..<3 {
      let socket = try Self.stalledUpload(to: gateway)
      var reader = TestMessageReader(socket)
      let answer = try reader.next()
      let code = answer?.member("code")
      #expect(
        answer?.status == 502 && code == "GATEWAY_UPSTREAM_BROKEN"
          || answer?.status == 408 && code == "GATEWAY_REQUEST_TIMEOUT", "\(said(answer))")
      #expect(answer?.member("outcome") == "unknown")
    }
    #expect(core.begun == 3)
    for method in ["GET", "POST"] {
      let next = try gateway.ask(method, Self.target, body: method == "POST" ? "{}" : nil)
      #expect(next?.status == 200, "\(said(next))")
    }
    let uploads = try gateway.stopAndReadLog().filter { $0["status"] as? Int != 200 }
    #expect(uploads.map { $0["outcome"] as? String } == Array(repeating: "unknown", count: 3))
  }

  // MARK: Fairness

  @Test func `one client's slow uploads do not starve other clients of the instance`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(
      upstreams: [("one", core.port)], instance: ["limits": ["connections": 4], "timeouts": ["queue_s": 2]])
    let uploads = try (0..<8).map { number in
      let socket = try gateway.connect()
      let isChunked = number % 2 == 1
      let begun = String(repeating: " ", count: Self.begunBytes)
      let head = Self.head(isChunked ? "Transfer-Encoding: chunked" : "Content-Length: 4000000")
      try socket.send(head + (isChunked ? "\(String(4_000_000, radix: 16))\r\n" : "") + begun)
      return socket
    }
    // At least one upload holds a connection.
    #expect(eventually { core.connectionCount >= 1 })
    for _ in 0..<20 {
      for upload in uploads { try? upload.send(" ") }
      let answer = try gateway.ask("GET", Self.target, token: TestPolicyFolder.readToken)
      #expect(answer?.status == 200, "\(said(answer))")
      if answer?.status != 200 { break }
      // Keeps the uploads at 50 bytes a second.
      Thread.sleep(forTimeInterval: 0.02)
    }
  }
}

/// Minimum rate of an upload that holds an upstream connection; averaged over 5 s, so this is slow.
@Suite(.scopedFixtures) struct UploadSlowTests {
  @Test func `an upload below the minimum upstream rate is 408`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(
      upstreams: [("one", core.port)],
      gateway: ["limits": ["body_bytes_per_second_min_upstream": 100_000, "body_bytes_per_second_min": 500]])
    let head = testRequest(
      "POST", "/proxy/balances?instance_id=one", fields: ["Content-Length: 5000000", "Connection: close"])
    let slow = try gateway.connect()
    try slow.send(head + String(repeating: " ", count: 30_000))
    // 20 kB/s until the gateway replies.
    let end = Date() + Double(TestSocket.patience)
    while slow.isQuiet(milliseconds: 50), Date() < end { try? slow.send([UInt8](repeating: 0x20, count: 1_000)) }
    var reader = TestMessageReader(slow)
    let rejected = try reader.next()
    #expect(rejected?.status == 408 && rejected?.member("code") == "GATEWAY_REQUEST_TIMEOUT", "\(said(rejected))")
    slow.end()
    let fast = try gateway.connect()
    try fast.send(head)
    try fast.send([UInt8](repeating: 0x20, count: 5_000_000))
    reader = TestMessageReader(fast)
    #expect(try reader.next()?.status == 200)
  }
}

/// Admission is repeated before the first byte is sent, when the policy has changed or the token has expired.
@Suite(.scopedFixtures) struct RepeatedAdmissionTests {
  private static let target = "/proxy/balances?instance_id=one"
  private static let audit: [String: any Sendable] = ["audit_log": "audit.log", "audit_key": ["env": "TEST_KEY"]]

  struct Change: Sendable, CustomTestStringConvertible {
    let testDescription: String
    var client: [String: any Sendable] = [:]
    var instance: [String: any Sendable] = [:]
    let status: Int
    let code: String
  }

  static let changes = [
    Change(
      testDescription: "the client is revoked", client: ["revoked": true], status: 401, code: "GATEWAY_TOKEN_REVOKED"),
    Change(
      testDescription: "the token is gone", client: ["tokens": [any Sendable]()], status: 401,
      code: "GATEWAY_TOKEN_INVALID"),
    Change(
      testDescription: "the scope is gone", client: ["scopes": ["proxy:read"]], status: 403,
      code: "GATEWAY_SCOPE_INSUFFICIENT"),
    Change(
      testDescription: "the instance is no longer the client's", client: ["instances": [String]()], status: 403,
      code: "GATEWAY_INSTANCE_FORBIDDEN"),
    Change(
      testDescription: "the instance takes no writes", instance: ["writes": false], status: 503,
      code: "GATEWAY_INSTANCE_READ_ONLY"),
  ]

  /// Sends the head and half the body of a 10,000-byte write, once it is admitted; returns the interim response.
  private static func begin(_ socket: TestSocket, _ reader: inout TestMessageReader) throws -> TestMessage? {
    try socket.send(testRequest("POST", target, fields: ["Content-Length: 10000", "Expect: 100-continue"]))
    let interim = try reader.next()
    if interim?.status == 100 { try socket.send(String(repeating: " ", count: 5_000)) }
    return interim
  }

  /// Sends the other half and expects a rejection with nothing sent to Core.
  private static func expectRejection(
    _ socket: TestSocket, _ reader: inout TestMessageReader, _ status: Int, _ code: String, _ gateway: RunningGateway,
    _ core: ScriptedUpstream, isAudited: Bool
  ) throws {
    try socket.send(String(repeating: " ", count: 5_000))
    let answer = try reader.next()
    #expect(answer?.status == status && answer?.member("code") == code, "\(said(answer))")
    #expect(core.connectionCount == 0)
    let records = try gateway.stopAndReadLog()
    #expect(records.map { $0["status"] as? Int } == [status])
    #expect(records.first?["code"] as? String == code)
    if isAudited { #expect(try AuditRecords(gateway.statePath).intents.isEmpty) }
  }

  @Test(arguments: changes, [false, true])
  func `a reload during body buffering rejects the request`(change: Change, isAudited: Bool) throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], gateway: isAudited ? Self.audit : [:])
    let socket = try gateway.connect()
    var reader = TestMessageReader(socket)
    #expect(try Self.begin(socket, &reader)?.status == 100)
    try gateway.reload(client: change.client, instance: change.instance)
    try Self.expectRejection(
      socket, &reader, change.status, change.code, gateway, core, isAudited: isAudited)
  }

  @Test(arguments: [false, true])
  func `a token that expires during body buffering is rejected`(isAudited: Bool) throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    // On a busy machine the token may expire before the request begins; try again with a longer lifetime.
    for seconds in [2.0, 4, 8] {
      let gateway = try RunningGateway(upstreams: [("one", core.port)], gateway: isAudited ? Self.audit : [:])
      let expiry = Date() + seconds
      try gateway.reload(client: ["tokens": [TestPolicyFolder.entry(of: TestPolicyFolder.token, expires: expiry)]])
      let socket = try gateway.connect()
      var reader = TestMessageReader(socket)
      guard try Self.begin(socket, &reader)?.status == 100 else { continue }
      // Nothing but time ends a token.
      Thread.sleep(until: expiry)
      return try Self.expectRejection(
        socket, &reader, 401, "GATEWAY_TOKEN_EXPIRED", gateway, core, isAudited: isAudited)
    }
    Issue.record("no request began before its token expired")
  }

  @Test(arguments: ["GET", "POST"], [false, true])
  func `a queued request is rejected once its token is revoked, or its lifetime cut short`(
    method: String, expires: Bool
  ) throws {
    let isHeld = DispatchSemaphore(value: 0)
    let core = try ScriptedUpstream { request in
      if request.message.startLine.contains("/hold ") { isHeld.wait() }
      return .bytes(ScriptedUpstream.json("{}"))
    }
    let gateway = try RunningGateway(
      upstreams: [("one", core.port)], instance: ["limits": ["connections": 1], "timeouts": ["queue_s": 30]],
      gateway: ["admin": "127.0.0.1:0"])
    let holder = try gateway.connect()
    try holder.send(testRequest("GET", "/proxy/balances/hold?instance_id=one", token: TestPolicyFolder.directToken))
    #expect(eventually { !core.requests.isEmpty })
    let waiter = try gateway.connect()
    try waiter.send(testRequest(method, Self.target, body: method == "POST" ? "{}" : nil))
    #expect(try eventually { try gateway.askAdmin("/metrics")?.queued(for: "one") == 1 })
    if expires {
      let expiry = Date() + 1
      try gateway.reload(client: ["tokens": [TestPolicyFolder.entry(of: TestPolicyFolder.token, expires: expiry)]])
      // Nothing but time ends a token.
      Thread.sleep(until: expiry)
    } else {
      try gateway.reload(client: ["revoked": true])
    }
    isHeld.signal()
    var reader = TestMessageReader(holder)
    #expect(try reader.next()?.status == 200)
    reader = TestMessageReader(waiter)
    let answer = try reader.next()
    let code = expires ? "GATEWAY_TOKEN_EXPIRED" : "GATEWAY_TOKEN_REVOKED"
    #expect(answer?.status == 401 && answer?.member("code") == code, "\(said(answer))")
    #expect(core.requests.count == 1)
    // The pooled connection stays usable for other clients.
    #expect(try gateway.ask("GET", Self.target, token: TestPolicyFolder.readToken)?.status == 200)
    #expect(core.connectionCount == 1)
  }
}

/// The reply as text, for a failure's comment.
private func said(_ answer: TestMessage?) -> String {
  answer.map { "\($0.startLine) \($0.bodyText)" } ?? "no answer"
}

/// A Core that calls back in the middle of an upload's body, and answers all other requests.
private final class UploadCore: Sendable {
  private final class Count: Sendable {
    let value = Mutex(0)
  }

  private let upstream: RawUpstream
  private let count = Count()
  var port: UInt16 { upstream.port }
  /// Uploads that reached the callback.
  var begun: Int { count.value.withLock { $0 } }

  /// - Parameters:
  ///   - bytes: body bytes read before the callback.
  ///   - decide: false closes the connection; otherwise the rest of the body is read and discarded.
  init(bytes: Int, _ decide: @escaping @Sendable (TestSocket) -> Bool) throws {
    let count = count
    upstream = try RawUpstream { socket in
      var parser = TestMessageParser()
      while let more = try? socket.receive(), !more.isEmpty {
        parser.append(more)
        while parser.next() != nil { try? socket.send(ScriptedUpstream.json("{}")) }
        guard parser.head?["Content-Length"] == "1000000", parser.bodyBytes >= bytes else { continue }
        count.value.withLock { $0 += 1 }
        guard decide(socket) else { return }
        while let rest = try? socket.receive(), !rest.isEmpty {}
        return
      }
    }
  }
}
