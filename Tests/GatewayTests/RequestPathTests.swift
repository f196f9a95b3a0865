import TestSupport
import Testing

/// What Core gets, and what the client gets back.
@Suite(.scopedFixtures) struct RequestPathTests {
  @Test func `Core gets the request as sent, with the gateway's own fields and none of the client's credentials`()
    throws
  {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let fields = [
      "X-Blnk-Key: forged", "x_blnk_key: forged", "X.Blnk.Key: forged", "X-Forwarded-For: 1.2.3.4",
      "X-Real-IP: 1.2.3.4",
      "Forwarded: for=1.2.3.4", "X-Forwarded-Prefix: /x", "Idempotency-Key: i", "Proxy-Authorization: Basic cDpw",
      "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__",
      "Connection: Upgrade, HTTP2-Settings, X-Hop, X-Blnk-Key, X-Request-Id", "X-Hop: secret", "Keep-Alive: timeout=9",
      "TE: trailers",
      "X-Request-Id: mine", "Accept: application/json", "X-Custom:  two words ", "X-Bytes: \u{e9}",
    ]
    let answer = try gateway.ask(
      "GET", "/proxy/balances/%40World+a?b=c%20d&instance_id=one&n=12345678901234567890", fields: fields)
    #expect(answer?.status == 200)
    let request = try #require(core.requests.first?.message)
    #expect(request.startLine == "GET /balances/%40World+a?b=c%20d&n=12345678901234567890 HTTP/1.1")
    #expect(request.values("Host") == ["127.0.0.1:\(core.port)"])
    #expect(request.values("X-Blnk-Key") == ["core-key-of-tests"])
    #expect(request.values("X-Forwarded-For") == ["127.0.0.1"])
    #expect(request.values("X-Forwarded-Proto") == ["http"])
    #expect(request.values("Via") == ["1.1 blnk-gateway"])
    #expect(request.values("X-Request-Id") == answer?.values("X-Request-Id"))
    #expect(request.values("X-Custom") == ["two words"] && request.values("X-Bytes") == ["\u{e9}"])
    #expect(request.values("Accept") == ["application/json"])
    for name in [
      "Authorization", "x_blnk_key", "X.Blnk.Key", "X-Real-IP", "Forwarded", "X-Forwarded-Prefix", "Idempotency-Key",
      "Proxy-Authorization", "Connection", "Upgrade", "HTTP2-Settings", "X-Hop", "Keep-Alive", "TE",
    ] {
      #expect(request.values(name) == [], "\(name) reached Core")
    }
  }

  /// Adjacent fields are copied in one piece; a dropped field between two of them must not be copied along.
  @Test func `a dropped field between two passed fields does not reach Core`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let removed = [
      "Authorization: Bearer \(TestPolicyFolder.token)", "X-Blnk-Key: forged", "x_blnk_key: forged",
      "X-Forwarded-For: 1.2.3.4", "X-Real-IP: 1.2.3.4", "Forwarded: for=1.2.3.4", "Idempotency-Key: i",
      "Proxy-Authorization: Basic cDpw", "Connection: X-Hop", "X-Hop: secret", "Keep-Alive: timeout=9", "TE: trailers",
      "X-Request-Id: mine", "traceparent: garbage", "tracestate: a=b", "Upgrade: h2c",
    ]
    let kept = (0...removed.count).map { "X-Kept-\($0): \($0)" }
    let fields = zip(kept, removed).flatMap { [$0, $1] } + kept.suffix(1)
    let socket = try gateway.connect()
    try socket.send(testRequest("GET", "/proxy/balances?instance_id=one", fields: fields, token: nil))
    var reader = TestMessageReader(socket)
    let answer = try reader.next()
    #expect(answer?.status == 200)
    let request = try #require(core.requests.first?.message)
    for index in kept.indices { #expect(request.values("X-Kept-\(index)") == ["\(index)"]) }
    #expect(request.values("X-Blnk-Key") == [TestPolicyFolder.key])
    #expect(request.values("X-Forwarded-For") == ["127.0.0.1"])
    #expect(request.values("X-Request-Id") == answer?.values("X-Request-Id"))
    #expect(request.values("traceparent").count == 1 && request["traceparent"] != "garbage")
    for name in [
      "Authorization", "x_blnk_key", "X-Real-IP", "Forwarded", "Idempotency-Key", "Proxy-Authorization", "Connection",
      "X-Hop", "Keep-Alive", "TE", "tracestate", "Upgrade",
    ] {
      #expect(request.values(name) == [], "\(name) reached Core")
    }
  }

  static let queries = [
    ("instance_id=one", ""), ("instance_id=one&a=1", "?a=1"), ("a=1&instance_id=one", "?a=1"),
    ("a=1&instance_id=one&b=2", "?a=1&b=2"), ("&instance_id=one&", "?&"), ("a&instance_id=one&&b", "?a&&b"),
    ("xinstance_id=two&instance_id=one", "?xinstance_id=two"),
    ("a=instance_id%3Done&instance_id=one", "?a=instance_id%3Done"),
  ]

  @Test(arguments: queries)
  func `only the pair that names the instance is removed from the query`(sent: String, got: String) throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    #expect(try gateway.ask("GET", "/proxy/balances?\(sent)")?.status == 200)
    #expect(core.requests.first?.message.startLine == "GET /balances\(got) HTTP/1.1")
  }

  @Test func `a valid trace continues, an invalid one is replaced by one with the request's id`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    for value in ["00-\(trace)-00f067aa0ba902b7-01", "00-\(trace)-0000000000000000-01", "garbage"] {
      let answer = try gateway.ask(
        "GET", "/proxy/balances?instance_id=one", fields: ["traceparent: \(value)", "tracestate: a=b"])
      let request = try #require(core.requests.last?.message)
      let sent = try #require(request["traceparent"]).split(separator: "-")
      let isValid = value.hasSuffix("902b7-01")
      #expect(sent.count == 4 && String(sent[1]) == (isValid ? trace : answer?["X-Request-Id"]))
      #expect(sent[2] != "00f067aa0ba902b7" && sent[3] == (isValid ? "01" : "00"))
      #expect(request.values("tracestate") == (isValid ? ["a=b"] : []))
    }
  }

  @Test(arguments: ["content-length", "Content-Length, Host", "transfer-encoding, host"])
  func `Core gets the length and the Host of a request whose Connection names them`(options: String) throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let target = "/proxy/balances?instance_id=one"
    let bodies = ["GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n", "second"]
    for body in bodies {
      #expect(try gateway.ask("POST", target, fields: ["Connection: \(options)"], body: body)?.status == 200)
    }
    #expect(core.requests.map(\.message.bodyText) == bodies)
    for request in core.requests.map(\.message) {
      #expect(request.values("Content-Length") == ["\(request.body.count)"])
      #expect(request.values("Host") == ["127.0.0.1:\(core.port)"] && request.values("Connection") == [])
    }
  }

  @Test func `the response is relayed unchanged except for connection fields`() throws {
    let head = [
      "HTTP/1.1 418 I'm a teapot", "Content-Type: text/odd; x=1", "X-Core: a", "X-Core: b", "Content-Length: 4",
      "Connection: X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5", "X-Request-Id: core's", "Cache-Control: no-store",
    ]
    let core = try ScriptedUpstream(answer: head.joined(separator: "\r\n") + "\r\n\r\n\u{0}\u{1}\r\n")
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let answer = try #require(try gateway.ask("GET", "/proxy/balances?instance_id=one"))
    #expect(answer.startLine == "HTTP/1.1 418 I'm a teapot")
    #expect(answer.values("X-Core") == ["a", "b"] && answer.body == [0, 1, 13, 10])
    #expect(answer.values("Content-Type") == ["text/odd; x=1"] && answer.values("Cache-Control") == ["no-store"])
    #expect(answer.values("X-Hop") == [] && answer.values("Keep-Alive") == [])
    #expect(answer.values("X-Request-Id").count == 1 && answer["X-Request-Id"]?.count == 32)
  }

  /// The product's documents: linking a balance to an identity, and its four errors.
  static let documented = [
    ("200 OK", "{\n  \"message\": \"Balance identity updated successfully\"\n}"),
    ("400 Bad Request", "{\n  \"error\": \"balance validation failed: balance not found\"\n}"),
    ("400 Bad Request", "{\n  \"error\": \"identity validation failed: identity not found\"\n}"),
    ("400 Bad Request", "{\n  \"error\": \"identity_id is required\"\n}"),
    ("400 Bad Request", "{\n  \"error\": \"balance id is required. pass id in the route /:id\"\n}"),
  ]

  @Test(arguments: documented)
  func `the documented responses to the link call are relayed byte for byte`(status: String, body: String) throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json(body, status: status)) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let sent = #"{"identity_id": "idt_3b63c8da-af29-4cc3"}"#
    let answer = try #require(
      try gateway.ask(
        "PUT", "/proxy/balances/bln_5ce86029-3c2e-4e2a/identity?instance_id=one",
        fields: ["Content-Type: application/json"], body: sent))
    #expect(answer.startLine == "HTTP/1.1 \(status)" && answer.bodyText == body)
    let request = try #require(core.requests.first?.message)
    #expect(request.startLine == "PUT /balances/bln_5ce86029-3c2e-4e2a/identity HTTP/1.1" && request.bodyText == sent)
  }
}
