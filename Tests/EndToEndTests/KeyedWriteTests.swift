import Foundation
import TestFolders
import TestSupport
import Testing

/// Writes with an idempotency key: each is executed at most once, and a repeat gets its outcome.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct KeyedWriteTests {
  // MARK: Replays

  @Test(arguments: [true, false])
  func `a repeat gets the same response, and Core one request`(isAudited: Bool) throws {
    let stage = try KeyedStage(isAudited: isAudited)
    stage.answers { _ in
      .bytes(
        Array(
          ("HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nX-Frame-Options: DENY\r\nX-Trace: 1\r\n"
            + "Set-Cookie: a=b\r\nContent-Length: 21\r\n\r\n" + KeyedStage.created).utf8))
    }
    let first = try stage.write("k1")
    #expect(first.verdict == "201" && first.bodyText == KeyedStage.created)
    for key in ["k1", "\"k1\""] {
      let repeated = try stage.write(key)
      #expect(repeated.verdict == "201 replayed" && repeated.bodyText == KeyedStage.created)
      #expect(repeated["Content-Type"] == "application/json" && repeated["X-Frame-Options"] == "DENY")
      #expect(repeated["X-Trace"] == nil && repeated["Set-Cookie"] == nil)
      #expect(repeated["X-Original-Request-Id"] == first["X-Request-Id"])
      #expect(repeated["X-Request-Id"] != first["X-Request-Id"] && repeated["X-Request-Id"] != nil)
    }
    #expect(stage.executions == 1)
    #expect(stage.core.requests[0].message["Idempotency-Key"] == nil)
    #expect(stage.gateway.stop() == 0)
    let outcomes = try stage.folder.records().map { $0["outcome"] as? String }
    #expect(outcomes == [nil, "replayed", "replayed"])
    if isAudited { #expect(try AuditRecords(stage.folder.statePath).words() == ["done"]) }
  }

  @Test(arguments: [true, false])
  func `replays outlive a restart`(killing: Bool) throws {
    let stage = try KeyedStage()
    let keys = (0..<20).map { "key-\($0)" }
    for (number, key) in keys.enumerated() {
      stage.answers("201 Created", #"{"number":\#(number)}"#)
      #expect(try stage.write(key).verdict == "201")
    }
    for _ in 0..<2 {
      try stage.restart(killing: killing)
      for (number, key) in keys.enumerated() {
        let repeated = try stage.write(key)
        #expect(repeated.verdict == "201 replayed" && repeated.bodyText == #"{"number":\#(number)}"#)
      }
    }
    #expect(stage.executions == keys.count)
  }

  @Test(arguments: [
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nTrailer: a\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello!", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello!",
    "HTTP/1.0 200 OK\r\n\r\nhello!",
    "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello!",
  ])
  func `the response is the same however Core frames it`(response: String) throws {
    let stage = try KeyedStage(isAudited: false)
    stage.answers { _ in .last(Array(response.utf8)) }
    #expect(try stage.write("a").bodyText == "hello!")
    let repeated = try stage.write("a")
    #expect(repeated.bodyText == "hello!" && repeated.verdict == "200 replayed")
    #expect(stage.executions == 1)
  }

  @Test func `a response without content is replayed without content`() throws {
    let stage = try KeyedStage(isAudited: false)
    stage.answers { _ in .bytes(Array("HTTP/1.1 204 No Content\r\n\r\n".utf8)) }
    let first = try stage.write("a", method: "DELETE", target: "/proxy/identities/idt_1?instance_id=one")
    let repeated = try stage.write("a", method: "DELETE", target: "/proxy/identities/idt_1?instance_id=one")
    #expect(first.status == 204 && stage.executions == 1)
    #expect(repeated.verdict == "204 replayed" && repeated["Content-Length"] == nil && repeated.body.isEmpty)
  }

  @Test(arguments: [
    "200 OK", "301 Moved Permanently", "400 Bad Request", "409 Conflict", "500 Internal Server Error",
    "503 Service Unavailable",
  ])
  func `Core's whole answers are replayed, also refusals and faults`(status: String) throws {
    let stage = try KeyedStage(isAudited: false)
    stage.answers(status)
    let first = try stage.write("a")
    stage.answers("201 Created", "{}")
    let repeated = try stage.write("a")
    #expect(first.status == repeated.status && repeated.verdict.hasSuffix("replayed"))
    #expect(repeated.bodyText == KeyedStage.created && stage.executions == 1)
  }

  @Test func `a compressed response is replayed with its encoding, and one with too many fields is not kept`() throws {
    let stage = try KeyedStage(isAudited: false)
    let body = "\u{1f}packed"
    stage.answers { _ in
      .bytes(
        Array(
          "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nVary: Accept-Encoding\r\nContent-Length: 7\r\n\r\n\(body)".utf8)
      )
    }
    #expect(try stage.write("a")["Content-Encoding"] == "gzip")
    let repeated = try stage.write("a")
    #expect(repeated.verdict == "200 replayed" && repeated.bodyText == body)
    #expect(repeated["Content-Encoding"] == "gzip" && repeated["Vary"] == "Accept-Encoding")
    let links = String(repeating: "Link: </\(String(repeating: "x", count: 900))>\r\n", count: 10)
    stage.answers { _ in .bytes(Array("HTTP/1.1 200 OK\r\n\(links)Content-Length: 2\r\n\r\n{}".utf8)) }
    #expect(try stage.write("b").values("Link").count == 10)
    #expect(try stage.write("b").verdict == "409 GATEWAY_IDEMPOTENCY_RESPONSE_NOT_KEPT" && stage.executions == 2)
  }

  // MARK: The key is free again

  @Test func `the key is free again after 429`() throws {
    let stage = try KeyedStage()
    stage.answers("429 Too Many Requests", "{}")
    #expect(try stage.write("a").verdict == "429")
    stage.answers("201 Created")
    #expect(try stage.write("a").verdict == "201")
    #expect(try stage.write("a").verdict == "201 replayed")
    #expect(stage.executions == 2)
  }

  @Test func `a locked account frees the key of a single transaction, and no other`() throws {
    let write: [String: any Sendable] = ["POST": ["scope": "proxy:write", "operation": "test"]]
    let stage = try KeyedStage(
      routes: ["/proxy/transactions": write, "/proxy/transactions/bulk": write], isAudited: false)
    stage.answers("423 Locked", "{}")
    let (single, bulk) = ("/proxy/transactions?instance_id=one", "/proxy/transactions/bulk?instance_id=one")
    #expect(try stage.write("a", target: single).verdict == "423")
    #expect(try stage.write("a", target: single).verdict == "423")
    #expect(stage.executions == 2)
    #expect(try stage.write("b", target: bulk).verdict == "423")
    #expect(try stage.write("b", target: bulk).verdict == "423 replayed")
    #expect(stage.executions == 3)
  }

  @Test func `the key is free again after a request that was not sent`() throws {
    let stage = try KeyedStage(idempotency: ["body_bytes_max": 1_024])
    // A body that is too large, a token that may not write, and a Core that refuses connections.
    let tooLong = try stage.write("a", String(repeating: "x", count: 2_000))
    #expect(tooLong.status == 413)
    #expect(tooLong.bodyText.contains("longer than 1024 bytes, the most that a request with an idempotency key"))
    #expect(try stage.write("a", token: TestPolicyFolder.readToken).status == 403)
    #expect(stage.executions == 0)
    #expect(try stage.write("a").verdict == "201")

    stage.core.stop()
    let refused = try stage.write("b")
    #expect(refused.status == 502 || refused.status == 503)
    #expect(refused["X-Blnk-Gateway-Outcome"] == nil || refused.bodyText.contains("not_sent"), "\(refused)")
    let again = try stage.write("b")
    #expect(again.verdict == refused.verdict, "\(again.bodyText)")
    try stage.restart(killing: true)
    #expect(try stage.write("b").verdict == refused.verdict)
  }

  // MARK: The outcome is not known

  @Test(arguments: ["", "HTTP/1.1 201 Created\r\nContent-Length: 21\r\n\r\n{\"led"])
  func `after a cut the outcome is unknown, also after restarts, and the request is never sent again`(
    bytes: String
  ) throws {
    let stage = try KeyedStage()
    stage.answers { _ in .reset(Array(bytes.utf8)) }
    let cut = try stage.write("a")
    #expect(cut.status == 502, "\(cut.bodyText)")
    stage.answers("201 Created")
    for killing in [true, false] {
      for _ in 0..<2 {
        let repeated = try stage.write("a")
        #expect(repeated.verdict == "409 GATEWAY_OUTCOME_UNKNOWN")
        #expect(repeated.bodyText.contains(cut["X-Request-Id"] ?? "-"), "\(repeated.bodyText)")
      }
      try stage.restart(killing: killing)
    }
    #expect(try stage.write("a", "other").verdict == "422 GATEWAY_IDEMPOTENCY_KEY_REUSED")
    #expect(stage.executions == 1)
  }

  @Test func `after a kill in flight the outcome is unknown`() throws {
    let stage = try KeyedStage()
    stage.answers { _ in .stall([]) }
    let socket = try TestSocket(port: stage.gateway.port)
    try socket.send(KeyedStage.request("a"))
    #expect(eventually { stage.executions == 1 })
    try stage.restart(killing: true)
    stage.answers("201 Created")
    #expect(try stage.write("a").verdict == "409 GATEWAY_OUTCOME_UNKNOWN")
    #expect(stage.executions == 1)
  }

  @Test func `a client that leaves gets Core's response with its retry`() throws {
    let stage = try KeyedStage()
    stage.answers { _ in
      Thread.sleep(forTimeInterval: 0.3)
      return .bytes(ScriptedUpstream.json(KeyedStage.created, status: "201 Created"))
    }
    let socket = try TestSocket(port: stage.gateway.port)
    try socket.send(KeyedStage.request("a"))
    #expect(eventually { stage.executions == 1 })
    socket.resetOnClose()
    let isReplayed = try eventually { try stage.write("a").verdict == "201 replayed" }
    #expect(isReplayed && stage.executions == 1)
  }

  @Test func `a response that is cut off after its client has left is unknown in the audit log, too`() throws {
    let stage = try KeyedStage(isAudited: true)
    stage.answers { _ in
      .stall(Array("HTTP/1.1 201 Created\r\nContent-Length: 21\r\n\r\n{".utf8))
    }
    do {
      let socket = try TestSocket(port: stage.gateway.port)
      socket.resetOnClose()
      try socket.send(KeyedStage.request("a"))
      #expect(eventually { stage.executions == 1 })
      // The first part of the response is read.
      Thread.sleep(forTimeInterval: 0.2)
    }
    Thread.sleep(forTimeInterval: 0.2)
    stage.core.stop()
    #expect(stage.gateway.stop() == 0)
    #expect(try AuditRecords(stage.folder.statePath).words() == ["unknown"])
    #expect(try stage.folder.records().first?["bytes_out"] as? Int == 0)
  }

  // MARK: In flight and reused

  @Test(arguments: [1, 2])
  func `while a request is in flight its key answers 409, and another request with it 422`(loops: Int) throws {
    let stage = try KeyedStage(loops: loops)
    stage.answers { _ in .stall([]) }
    let socket = try TestSocket(port: stage.gateway.port)
    try socket.send(KeyedStage.request("a"))
    #expect(eventually { stage.executions == 1 })
    for _ in 0..<6 {
      let repeated = try stage.write("a")
      #expect(repeated.verdict == "409 GATEWAY_IDEMPOTENCY_IN_PROGRESS" && repeated["Retry-After"] == "1")
      #expect(try stage.write("a", "other").verdict == "422 GATEWAY_IDEMPOTENCY_KEY_REUSED")
    }
    #expect(stage.executions == 1)
    // So that the gateway's drain does not wait for it.
    stage.core.stop()
  }

  @Test func `of many at once, one is executed`() throws {
    let stage = try KeyedStage(loops: 2)
    for round in 0..<10 {
      let before = stage.executions
      let sockets = try (0..<16).map { _ in try TestSocket(port: stage.gateway.port) }
      for socket in sockets { try socket.send(KeyedStage.request("round-\(round)")) }
      var verdicts: [String: Int] = [:]
      for socket in sockets {
        var reader = TestMessageReader(socket)
        let answer = try #require(try reader.next())
        verdicts[answer.verdict, default: 0] += 1
      }
      #expect(verdicts["201"] == 1, "\(verdicts)")
      let others = Set(verdicts.keys).subtracting(["201", "201 replayed", "409 GATEWAY_IDEMPOTENCY_IN_PROGRESS"])
      #expect(others.isEmpty && stage.executions == before + 1, "\(verdicts)")
    }
  }

  @Test func `a key belongs to its client, its instance and its request`() throws {
    let stage = try KeyedStage()
    #expect(try stage.write("a").verdict == "201")
    #expect(try stage.write("a", target: "/proxy/balances?instance_id=two").verdict == "201")
    #expect(try stage.write("a", token: TestPolicyFolder.directToken).verdict == "201")
    #expect(stage.executions == 3)
    for (method, target, body) in [
      ("POST", KeyedStage.target, "{}"), ("POST", "/proxy/identities?instance_id=one", #"{"name":"a"}"#),
      ("PUT", "/proxy/identities/idt_1?instance_id=one", #"{"name":"a"}"#),
      ("POST", KeyedStage.target + "&x=1", #"{"name":"a"}"#),
    ] {
      let reused = try stage.write("a", body, method: method, target: target)
      #expect(reused.verdict == "422 GATEWAY_IDEMPOTENCY_KEY_REUSED", "\(method) \(target)")
    }
    #expect(stage.executions == 3)
  }

  // MARK: Limits

  @Test func `a response that is too large is relayed once, and a repeat gets its status`() throws {
    let stage = try KeyedStage(idempotency: ["response_bytes_max": 1_024])
    let large = String(repeating: "x", count: 300_000)
    for (key, framing) in [("a", "Content-Length: 300000\r\n\r\n\(large)"), ("b", Self.chunked(large))] {
      stage.answers { _ in .bytes(Array("HTTP/1.1 201 Created\r\n\(framing)".utf8)) }
      let first = try stage.write(key)
      #expect(first.status == 201 && first.bodyText == large)
      try stage.restart(killing: true)
      let repeated = try stage.write(key)
      #expect(repeated.verdict == "409 GATEWAY_IDEMPOTENCY_RESPONSE_NOT_KEPT" && repeated.bodyText.contains("201"))
      #expect(repeated.bodyText.contains(first["X-Request-Id"] ?? "-"))
    }
    #expect(stage.executions == 2)
  }

  private static func chunked(_ text: String) -> String {
    let chunk = String(text.prefix(1_000))
    let chunks = String(repeating: "3e8\r\n\(chunk)\r\n", count: text.count / 1_000)
    return "Transfer-Encoding: chunked\r\n\r\n\(chunks)0\r\n\r\n"
  }

  @Test func `a client's share and the number of keys are bounded, and no key is forgotten for another`() throws {
    let stage = try KeyedStage(idempotency: ["keys_per_client_max": 5])
    for number in 0..<5 { #expect(try stage.write("k\(number)").verdict == "201") }
    let full = try stage.write("k5")
    #expect(full.verdict == "503 GATEWAY_JOURNAL_UNAVAILABLE" && full.bodyText.contains("not_sent"), "\(full.bodyText)")
    #expect(try stage.write("k5", token: TestPolicyFolder.directToken).verdict == "201")
    for number in 0..<5 { #expect(try stage.write("k\(number)").verdict == "201 replayed") }
    #expect(try stage.write(nil).verdict == "201")
    #expect(stage.executions == 7)
  }

  // MARK: The field and the route

  @Test func `a malformed or repeated key is 400, and reads ignore it`() throws {
    let stage = try KeyedStage()
    for key in ["", "\"\"", "\"a", "a b", "\"a\"; q=1", String(repeating: "k", count: 256), "a\r\nIdempotency-Key: b"] {
      #expect(try stage.write(key).verdict == "400 GATEWAY_IDEMPOTENCY_KEY_MALFORMED", "\(key)")
    }
    #expect(stage.executions == 0)
    #expect(try stage.write("\"a", method: "GET").status == 201)
    #expect(try stage.write(String(repeating: "k", count: 255)).verdict == "201")
  }

  @Test func `a route may require a key, or take none`() throws {
    func route(_ rule: String) -> [String: any Sendable] {
      ["POST": ["scope": "proxy:write", "operation": "test", "idempotency": rule]]
    }
    let stage = try KeyedStage(routes: [
      "/proxy/a": route("required"), "/proxy/b": route("off"), "/proxy/c": route("optional"),
    ])
    #expect(try stage.write(nil, target: "/proxy/a?instance_id=one").verdict == "400 GATEWAY_IDEMPOTENCY_KEY_REQUIRED")
    #expect(stage.executions == 0)
    #expect(try stage.write("k", target: "/proxy/a?instance_id=one").verdict == "201")
    for _ in 0..<2 { #expect(try stage.write("k", target: "/proxy/b?instance_id=one").verdict == "201") }
    #expect(try stage.write(nil, target: "/proxy/c?instance_id=one").verdict == "201")
    #expect(stage.executions == 4)
  }

  @Test func `a client that may no longer write gets no replay`() throws {
    let stage = try KeyedStage()
    #expect(try stage.write("a").verdict == "201")
    try stage.folder.writeClients(app: ["scopes": ["proxy:read"]])
    stage.gateway.signal(SIGHUP)
    #expect(stage.gateway.waitUntilSaid("generation 2 in force"))
    #expect(try stage.write("a").status == 403)
  }

  @Test func `without a journal the field is dropped, as before`() throws {
    let stage = try KeyedStage(settings: ["idempotency": NSNull()])
    for _ in 0..<2 { #expect(try stage.write("\"a").verdict == "201") }
    #expect(stage.executions == 2 && stage.core.requests.allSatisfy { $0.message["Idempotency-Key"] == nil })
  }
}
