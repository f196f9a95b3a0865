import Foundation
import Gateway
import LoopSupport
import Policies
import Synchronization
import TestSupport
import Testing

/// Opaque tokens of other servers, over real sockets with a scripted introspection endpoint.
@Suite(.scopedFixtures, .serialized) struct IntrospectionTests {
  // MARK: Answers

  @Test func `an active token is admitted, and the endpoint is asked as RFC 7662 says`() throws {
    let stage = try IntrospectionStage()
    stage.answers(IntrospectionStage.active)
    #expect(try stage.ask(token: "a/b+c==")?.status == 200)
    let question = try #require(stage.endpoint.requests.first?.message)
    #expect(question.startLine == "POST /introspect HTTP/1.1")
    #expect(question["Content-Type"] == "application/x-www-form-urlencoded")
    #expect(question["Accept"] == "application/json")
    // RFC 6749 §2.3.1: id and secret are form-encoded first.
    let credentials = Data("gate%20way:\(TestPolicyFolder.key)".utf8).base64EncodedString()
    #expect(question.values("Authorization") == ["Basic \(credentials)"])
    #expect(question.bodyText == "token=a%2Fb%2Bc%3D%3D&token_type_hint=access_token")
    let relayed = try #require(stage.core.requests.first?.message)
    #expect(relayed["Authorization"] == nil && relayed["X-Blnk-Key"] == TestPolicyFolder.key)
    let record = try #require(try stage.gateway.stopAndReadLog().first)
    #expect(record["issuer"] as? String == "corp" && record["client"] as? String == "app")
    #expect(record["status"] as? Int == 200 && record["code"] == nil && record["fault"] == nil)
  }

  @Test func `reads use a remembered answer, writes ask again, and another token is another question`() throws {
    let stage = try IntrospectionStage()
    stage.answers(IntrospectionStage.active)
    for _ in 0..<3 { #expect(try stage.ask()?.status == 200) }
    #expect(stage.endpoint.requests.count == 1)
    #expect(try stage.ask("POST")?.status == 200)
    #expect(stage.endpoint.requests.count == 2)
    #expect(try stage.ask(token: "opaque-2")?.status == 200)
    #expect(stage.endpoint.requests.count == 3)
    // The token was revoked there: a write learns it at once, and from then on reads do, too.
    stage.answers(#"{"active":false}"#)
    #expect(try stage.ask()?.status == 200)
    #expect(try stage.ask("POST")?.status == 401)
    let rejected = try stage.ask()
    #expect(rejected?.status == 401 && rejected?.member("code") == "GATEWAY_TOKEN_INVALID")
    #expect(rejected?["WWW-Authenticate"]?.contains("invalid_token") == true)
    #expect(stage.endpoint.requests.count == 4)
    // One connection serves all questions.
    #expect(stage.endpoint.connectionCount == 1)
  }

  @Test func `the audit log names the provider and the user of a write`() throws {
    let stage = try IntrospectionStage(settings: ["audit_log": "audit.log"])
    let user = String(repeating: "u", count: 300)
    stage.answers(#"{"active":true,"client_id":"svc","sub":"\#(user)","aud":"ledger","scope":"ledger.write"}"#)
    #expect(try stage.ask("POST")?.status == 200)
    let intent = try #require(try AuditRecords(stage.gateway.statePath).intents.first)
    #expect(intent["issuer"] as? String == "corp" && intent["sub"] as? String == String(user.prefix(256)))
    #expect(intent["client"] as? String == "app")
  }

  /// What Keycloak 26, Ory Hydra 2 and others answer, shortened.
  @Test(arguments: [
    (
      #"{"exp":4102444800,"iat":1700000000,"jti":"x","iss":"https://kc/realms/r","aud":["ledger","account"],"#
        + #""sub":"f:1:alice","typ":"Bearer","azp":"svc","acr":"1","realm_access":{"roles":["a"]},"#
        + #""scope":"ledger.read profile","client_id":"svc","username":"s","token_type":"Bearer","active":true}"#, 200
    ),
    (
      #"{"active":true,"scope":"ledger.read","client_id":"web","sub":"alice","exp":4102444800,"iat":1700000000,"#
        + #""nbf":1700000000,"aud":["ledger"],"iss":"https://hydra/","token_type":"Bearer","token_use":"access_token"}"#,
      200
    ),
    (
      #"{"active":true,"scope":"ledger.read","client_id":"svc","exp":4102444800,"aud":["ledger"],"#
        + #""token_type":"Bearer","token_use":"refresh_token"}"#, 401
    ),
    (#"{"exp":4102444800,"aud":"ledger","typ":"Refresh","client_id":"svc","scope":"ledger.read","active":true}"#, 401),
    (#"{"active":true,"client_id":"svc","aud":"other","scope":"ledger.read"}"#, 401),
    (#"{"active":true,"client_id":"svc","aud":"ledger","scope":"ledger.read","exp":1700000000}"#, 401),
    (#"{"active":true,"client_id":"svc","aud":"ledger","scope":"other"}"#, 403),
    (#"{"active":true,"client_id":"other","aud":"ledger","scope":"ledger.read"}"#, 401),
    (#"{"active":false}"#, 401),
  ])
  func `what servers answer`(answer: String, status: Int) throws {
    let stage = try IntrospectionStage()
    stage.answers(answer)
    #expect(try stage.ask()?.status == status)
    #expect(stage.core.requests.count == (status == 200 ? 1 : 0))
  }

  @Test func `an endpoint whose scheme has capital letters is asked`() throws {
    let endpoint = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json(IntrospectionStage.active)) }
    let stage = try IntrospectionStage(url: "HTTP://127.0.0.1:\(endpoint.port)/introspect")
    #expect(try stage.ask()?.status == 200)
  }

  // MARK: Faults

  private static let faults: [(String, @Sendable () -> ScriptedUpstream.Answer)] = [
    ("status 500", { .bytes(ScriptedUpstream.json(IntrospectionStage.active, status: "500 Oops")) }),
    ("status 503", { .bytes(ScriptedUpstream.json(#"{"active":false}"#, status: "503 Busy")) }),
    ("status 429", { .bytes(ScriptedUpstream.json(#"{"active":false}"#, status: "429 Slow down")) }),
    ("check \"client_id\"", { .bytes(ScriptedUpstream.json(#"{"active":false}"#, status: "401 Who")) }),
    ("status 404", { .bytes(ScriptedUpstream.json("{}", status: "404 Not Found")) }),
    ("status 204", { .bytes(Array("HTTP/1.1 204 No Content\r\n\r\n".utf8)) }),
    ("status 201", { .bytes(ScriptedUpstream.json(IntrospectionStage.active, status: "201 Created")) }),
    (
      "status 302",
      { .last(Array("HTTP/1.1 302 Found\r\nLocation: /introspect\r\nContent-Length: 0\r\n\r\n".utf8)) }
    ),
    ("without repeated keys", { .bytes(ScriptedUpstream.json("<html>")) }),
    ("without repeated keys", { .bytes(ScriptedUpstream.json(#"{"active":true"#)) }),
    ("without repeated keys", { .bytes(ScriptedUpstream.json(#"{"active":false,"active":true}"#)) }),
    ("no \"active\"", { .bytes(ScriptedUpstream.json("{}")) }),
    ("is not true or false", { .bytes(ScriptedUpstream.json(#"{"active":"true"}"#)) }),
    (
      "longer than 64 KiB",
      { .bytes(ScriptedUpstream.json(IntrospectionStage.active + String(repeating: " ", count: 70_000))) }
    ),
    ("no data", { .last([]) }),
    ("when receiving data from the peer", { .reset([]) }),
    ("partial file", { .last(Array("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"active\":true".utf8)) }),
    ("Timeout was reached", { .stall([]) }),
    ("Timeout was reached", { .stall(Array("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".utf8)) }),
  ]

  @Test(arguments: faults.indices)
  func `a fault of the endpoint is 503 for this request only, never 401, and never relays`(index: Int) throws {
    let stage = try IntrospectionStage(provider: ["timeout_s": 0.3])
    stage.answers(Self.faults[index].1)
    for method in ["GET", "POST"] {
      let reply = try #require(try stage.ask(method))
      #expect(reply.status == 503 && reply.member("code") == "GATEWAY_INTROSPECTION_UNAVAILABLE")
      #expect(reply.member("outcome") == "not_sent" && reply["Retry-After"] != nil)
      #expect(reply["WWW-Authenticate"] == nil)
    }
    #expect(stage.core.requests.isEmpty)
    stage.answers(IntrospectionStage.active)
    #expect(try stage.ask()?.status == 200)
    let records = try stage.gateway.stopAndReadLog()
    let fault = try #require(records.first?["fault"] as? String)
    #expect(fault.contains(Self.faults[index].0), "\(fault)")
    #expect(records.first?["issuer"] as? String == "corp" && records.last?["fault"] == nil)
    #expect(!stage.gateway.reported.contains("opaque-1") && stage.gateway.reported.contains("introspection corp"))
  }

  @Test func `an endpoint that refuses connections, has no name or the wrong certificate is 503`() throws {
    var urls = ["https://introspection.invalid/i", "http://127.0.0.1:1/i"]
    if let authority = TestAuthority.shared {
      let server = try ScriptedTLSServer(authority, .answersEarly, "1.3")
      urls.append("https://127.0.0.1:\(server.port)/i")
      try Self.expectUnavailable(urls.last ?? "")
      withExtendedLifetime(server) {}
    }
    for url in urls.prefix(2) { try Self.expectUnavailable(url) }
  }

  private static func expectUnavailable(_ url: String) throws {
    let stage = try IntrospectionStage(url: url)
    let reply = try #require(try stage.ask())
    #expect(reply.status == 503 && reply.member("code") == "GATEWAY_INTROSPECTION_UNAVAILABLE", "\(url)")
    #expect(stage.core.requests.isEmpty && stage.endpoint.requests.isEmpty)
    let fault = try #require(try stage.gateway.stopAndReadLog().first?["fault"] as? String)
    #expect(
      fault.contains(url.hasPrefix("http:") ? "connect" : url.contains("invalid") ? "resolve" : "SSL"), "\(fault)")
  }

  @Test func `after repeated faults the endpoint is left alone, and tried again after a while`() throws {
    let stage = try IntrospectionStage()
    stage.answers("{}", status: "500 Oops")
    for number in 0..<5 { #expect(try stage.ask(token: "t\(number)")?.status == 503) }
    for number in 5..<9 { #expect(try stage.ask(token: "t\(number)")?.status == 503) }
    #expect(stage.endpoint.requests.count == 5)
    let status = try #require(try stage.gateway.askAdmin("/status")?.bodyText)
    #expect(
      status.contains(
        #""introspection":[{"asked":5,"breaker":"open","faults":5,"hits":0,"inactive":0,"provider":"corp"}]"#),
      "\(status)")
    stage.answers(IntrospectionStage.active)
    #expect(try eventually(every: 0.1) { try stage.ask(token: "t9")?.status == 200 })
    #expect(try stage.ask(token: "t10")?.status == 200)
  }

  // MARK: Many at once

  @Test func `64 requests with one token are one question, and none blocks other requests`() throws {
    let stage = try IntrospectionStage()
    let mayAnswer = stage.holdsAnswer()
    let sockets = try (0..<64).map { _ in try stage.gateway.connect() }
    for socket in sockets { try socket.send(testRequest("GET", IntrospectionStage.target, token: "opaque-1")) }
    #expect(eventually { !stage.endpoint.requests.isEmpty })
    #expect(try stage.ask(token: TestPolicyFolder.token)?.status == 200)
    mayAnswer.set()
    for socket in sockets {
      var reader = TestMessageReader(socket)
      #expect(try reader.next()?.status == 200)
    }
    #expect(stage.endpoint.requests.count == 1 && stage.core.requests.count == 65)
  }

  @Test func `clients that leave while they wait take nothing with them`() throws {
    let stage = try IntrospectionStage()
    let mayAnswer = stage.holdsAnswer()
    var sockets = try (0..<8).map { _ in try stage.gateway.connect() }
    for socket in sockets { try socket.send(testRequest("GET", IntrospectionStage.target, token: "opaque-1")) }
    #expect(eventually { !stage.endpoint.requests.isEmpty })
    for socket in sockets.dropFirst() { socket.resetOnClose() }
    sockets = [sockets[0]]
    #expect(eventually { stage.gateway.connectionCounts == [1] })
    mayAnswer.set()
    var reader = TestMessageReader(sockets[0])
    #expect(try reader.next()?.status == 200)
    #expect(stage.core.requests.count == 1 && stage.endpoint.requests.count == 1)
    let codes = try stage.gateway.stopAndReadLog().map { $0["code"] as? String }
    #expect(codes.count { $0 == "GATEWAY_CLIENT_LEFT" } == 7 && codes.count == 8, "\(codes)")
  }

  @Test func `the answer about the token of a client that left is not taken for another's`() throws {
    let stage = try IntrospectionStage()
    let (mayAnswerFirst, mayAnswerSecond) = (Flag(), Flag())
    stage.answers(toForm: { form in
      let isFirst = form.contains("token=first")
      _ = eventually { (isFirst ? mayAnswerFirst : mayAnswerSecond).isSet }
      return .bytes(ScriptedUpstream.json(isFirst ? #"{"active":false}"# : IntrospectionStage.active))
    })
    var left: TestSocket? = try stage.gateway.connect()
    try left?.send(testRequest("GET", IntrospectionStage.target, token: "first"))
    #expect(eventually { stage.endpoint.requests.count == 1 })
    left?.resetOnClose()
    left = nil
    #expect(eventually { stage.gateway.connectionCounts == [0] })
    // Its objects serve the next request.
    let socket = try stage.gateway.connect()
    try socket.send(testRequest("GET", IntrospectionStage.target, token: "second"))
    #expect(eventually { stage.endpoint.requests.count == 2 })
    mayAnswerFirst.set()
    #expect(try eventually { try stage.ask(token: "first")?.status == 401 })
    mayAnswerSecond.set()
    var reader = TestMessageReader(socket)
    #expect(try reader.next()?.status == 200)
  }

  @Test func `a request that a remembered answer admitted keeps it while it waits for a connection`() throws {
    let mayAnswer = Flag()
    let core = try ScriptedUpstream { request in
      if request.number == 0 { _ = eventually { mayAnswer.isSet } }
      return .bytes(ScriptedUpstream.json("{}"))
    }
    let stage = try IntrospectionStage(
      core: core, provider: ["cache_s": 1],
      instance: ["limits": ["connections": 1], "timeouts": ["queue_s": 20]])
    stage.answers(IntrospectionStage.active)
    let sockets = try (0..<2).map { _ in try stage.gateway.connect() }
    for (index, socket) in sockets.enumerated() {
      try socket.send(testRequest("GET", IntrospectionStage.target, token: "opaque-1"))
      if index == 0 { #expect(eventually { core.requests.count == 1 }) }
    }
    #expect(eventually { stage.waiting == 1 })
    // The answer is too old by now, and the policy is another.
    Thread.sleep(forTimeInterval: 2.1)
    let asked = stage.endpoint.requests.count
    try stage.gateway.reload(client: ["name": "changed"])
    mayAnswer.set()
    for socket in sockets {
      var reader = TestMessageReader(socket)
      #expect(try reader.next()?.status == 200)
    }
    #expect(stage.endpoint.requests.count == asked && core.requests.count == 2)
  }

  @Test func `made-up tokens of one address are asked about up to a limit`() throws {
    let stage = try IntrospectionStage()
    for number in 0..<100 { #expect(try stage.ask(token: "made-up-\(number)")?.status == 401) }
    var statuses: [Int] = []
    for number in 100..<140 { statuses.append(try stage.ask(token: "made-up-\(number)")?.status ?? 0) }
    // Two a second come back meanwhile.
    #expect(statuses.count { $0 == 503 } >= 10, "\(statuses)")
    #expect(stage.endpoint.requests.count < 135)
    #expect(stage.core.requests.isEmpty)
  }

  @Test func `active tokens of no client are limited as made-up ones, and are not asked about again`() throws {
    let stage = try IntrospectionStage()
    stage.answers(#"{"active":true,"client_id":"another-app","sub":"mallory","aud":"ledger","scope":"ledger.read"}"#)
    for _ in 0..<3 { #expect(try stage.ask("POST", token: "foreign")?.status == 401) }
    #expect(stage.endpoint.requests.count == 1)
    var statuses: [Int] = []
    for number in 0..<140 { statuses.append(try stage.ask(token: "foreign-\(number)")?.status ?? 0) }
    #expect(statuses.count { $0 == 503 } >= 10 && statuses.count { $0 == 401 } >= 99, "\(statuses)")
    #expect(stage.endpoint.requests.count < 135)
  }

  @Test func `unknown tokens from a client's address do not lock it out, on any loop`() throws {
    let stage = try IntrospectionStage(loops: 2, provider: ["cache_s": 0])
    stage.answers(toForm: { form in
      .bytes(ScriptedUpstream.json(form.hasPrefix("token=real") ? IntrospectionStage.active : #"{"active":false}"#))
    })
    #expect(try stage.ask("POST", token: "real")?.status == 200)
    // One budget for all loops, each of which takes about half of the connections.
    var asked = 0
    for number in 0..<150 where try stage.ask(token: "made-up-\(number)")?.status == 401 { asked += 1 }
    #expect((100..<140).contains(asked), "\(asked)")
    for _ in 0..<20 {
      #expect(try stage.ask("POST", token: "real")?.status == 200)
      #expect(try stage.ask(token: "real")?.status == 200)
    }
    let limited = try #require(try stage.ask(token: "made-up"))
    #expect(limited.status == 503 && limited.member("outcome") == "not_sent")
    let samples = try #require(try stage.gateway.askAdmin("/metrics")?.samples)
    #expect(samples["blnk_gateway_introspection_unasked_total{provider=\"corp\"}"] ?? 0 >= 10)
    // A token that is revoked is unknown from then on.
    stage.answers(#"{"active":false}"#)
    #expect(try stage.ask("POST", token: "real")?.status == 401)
    #expect(
      try stage.gateway.stopAndReadLog().contains { ($0["fault"] as? String)?.contains("unknown tokens") == true })
  }

  @Test func `unknown tokens from many addresses leave a slow endpoint to clients`() throws {
    let stage = try IntrospectionStage(settings: [
      "listen": ["address": "127.0.0.1:0", "trusts": "forwarded"], "trusted_proxies": ["127.0.0.1"],
    ])
    stage.answers(toForm: { form in
      guard form.hasPrefix("token=made-up") else { return .bytes(ScriptedUpstream.json(IntrospectionStage.active)) }
      Thread.sleep(forTimeInterval: 0.3)
      return .bytes(ScriptedUpstream.json(#"{"active":false}"#))
    })
    func send(_ method: String, _ token: String, from address: String) throws -> TestSocket {
      let (socket, fields) = (try stage.gateway.connect(), ["X-Forwarded-For: \(address)"])
      try socket.send(
        testRequest(
          method, IntrospectionStage.target, fields: fields, body: method == "POST" ? "{}" : nil, token: token))
      return socket
    }
    func status(_ socket: TestSocket) throws -> Int? {
      var reader = TestMessageReader(socket)
      return try reader.next()?.status
    }
    #expect(try status(send("POST", "real", from: "192.0.2.1")) == 200)
    // More than the endpoint's connections and the queue hold together: 6 s of work for 12 threads.
    let others = try (0..<400).map { try send("GET", "made-up-\($0)", from: "203.0.113.\($0 % 5)") }
    #expect(try eventually { try stage.unasked > 0 })
    for _ in 0..<3 { #expect(try status(send("POST", "real", from: "192.0.2.1")) == 200) }
    // A token that was never seen waits for its address's turn, and is not rejected.
    #expect(try status(send("POST", "new", from: "192.0.2.2")) == 200)
    #expect(stage.endpoint.requests.count < 200)
    withExtendedLifetime(others) {}
    let faults = try stage.gateway.stopAndReadLog().filter { $0["peer"] as? String == "192.0.2.2" }.map {
      $0["fault"] as? String
    }
    #expect(faults == [nil], "\(faults) \(stage.gateway.reported)")
  }

  @Test func `tokens on which the endpoint fails open no breaker for clients`() throws {
    let stage = try IntrospectionStage()
    stage.answers(toForm: { form in
      .bytes(
        form.hasPrefix("token=real")
          ? ScriptedUpstream.json(IntrospectionStage.active) : ScriptedUpstream.json("", status: "500 No"))
    })
    #expect(try stage.ask("POST", token: "real")?.status == 200)
    for number in 0..<8 { #expect(try stage.ask(token: "strange-\(number)")?.status == 503) }
    #expect(stage.endpoint.requests.count == 6)
    for _ in 0..<3 { #expect(try stage.ask("POST", token: "real")?.status == 200) }
  }

  @Test(arguments: [400, 413, 414, 422, 431])
  func `tokens that the endpoint rejects open no breaker for new ones`(status: Int) throws {
    let stage = try IntrospectionStage()
    stage.answers(toForm: { form in
      .bytes(
        form.hasPrefix("token=new")
          ? ScriptedUpstream.json(IntrospectionStage.active) : ScriptedUpstream.json("", status: "\(status) No"))
    })
    for number in 0..<8 {
      #expect(try stage.ask(token: "strange-\(number)")?.member("code") == "GATEWAY_INTROSPECTION_UNAVAILABLE")
    }
    #expect(try stage.ask(token: "new")?.status == 200)
    #expect(stage.endpoint.requests.count == 9)
  }

  @Test func `real tokens of one address are not limited`() throws {
    let stage = try IntrospectionStage()
    stage.answers(IntrospectionStage.active)
    for number in 0..<130 { #expect(try stage.ask(token: "real-\(number)")?.status == 200) }
  }

  // MARK: Metrics

  @Test func `metrics count by provider`() throws {
    let stage = try IntrospectionStage()
    stage.answers(IntrospectionStage.active)
    for _ in 0..<3 { #expect(try stage.ask()?.status == 200) }
    stage.answers(#"{"active":false}"#)
    #expect(try stage.ask(token: "other")?.status == 401)
    let samples = try #require(try stage.gateway.askAdmin("/metrics")?.samples)
    for (name, value) in [("asked", 2.0), ("hits", 2), ("inactive", 1), ("faults", 0), ("unasked", 0)] {
      #expect(samples["blnk_gateway_introspection_\(name)_total{provider=\"corp\"}"] == value, "\(name)")
    }
    #expect(samples["blnk_gateway_introspection_breaker_state{provider=\"corp\"}"] == 0)
    #expect(samples["blnk_gateway_introspection_duration_seconds_count{provider=\"corp\"}"] == 2)
  }

  @Test func `without introspection nothing is asked and nothing is counted`() throws {
    let stage = try IntrospectionStage(settings: ["introspection": NSNull()])
    #expect(try stage.ask()?.status == 401)
    #expect(stage.endpoint.requests.isEmpty)
    #expect(try stage.gateway.askAdmin("/metrics")?.bodyText.contains("introspection_asked") == false)
    #expect(try stage.gateway.askAdmin("/status")?.bodyText.contains("introspection") == false)
  }

  // MARK: explain

  @Test func `explain shows the answer, and decides as the gateway does`() throws {
    let stage = try IntrospectionStage()
    let hostile = #"{"active":true,"client_id":"svc","sub":"a\u001b[31m","aud":"ledger","scope":"ledger.read"}"#
    let answers = [
      (IntrospectionStage.active, "client_id \"svc\""), (hostile, "sub \"a\\u{1B}[31m\""),
      (#"{"active":false}"#, "not active (servers may hide other clients' tokens: Keycloak 26.6.2"),
      (#"{"active":true,"client_id":"svc","aud":"x"}"#, "does not contain the provider's \"audience\""),
      ("<html>", "not a JSON object"),
    ]
    for (index, (answer, text)) in answers.enumerated() {
      stage.answers(answer)
      let token = "opaque-\(index)"
      let reply = try #require(try stage.ask(token: token))
      let explanation = try #require(
        stage.gateway.policy.explain(
          .token(token), method: "GET", target: IntrospectionStage.target, at: .now, asking: introspectNow))
      #expect((explanation.rejection?.status ?? 200) == reply.status, "\(answer)")
      #expect(explanation.rejection?.code == reply.member("code"))
      let steps = explanation.steps.map { "\($0.name): \($0.text)" }.joined(separator: "\n")
      #expect(steps.contains(text) && steps.contains("introspect: corp"), "\(steps)")
      #expect(!steps.utf8.contains(0x1b))
    }
    let unasked = stage.gateway.policy.explain(.token("t"), method: "GET", target: IntrospectionStage.target, at: .now)
    #expect(unasked?.rejection?.code == "GATEWAY_INTROSPECTION_UNAVAILABLE")
  }
}
