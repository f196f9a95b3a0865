import Foundation
import TestSupport
import Testing

/// Requests that are being introspected, or whose answer is held, while the policy changes or their bodies arrive.
@Suite(.scopedFixtures, .serialized) struct IntrospectionReloadTests {
  @Test func `an answer that arrives after a reload is judged by the new policy`() throws {
    let stage = try IntrospectionStage()
    let mayAnswer = stage.holdsAnswer()
    let socket = try stage.gateway.connect()
    try socket.send(testRequest("POST", IntrospectionStage.target, body: "{}", token: "opaque-1"))
    #expect(eventually { !stage.endpoint.requests.isEmpty })
    try stage.gateway.reload(client: ["revoked": true])
    mayAnswer.set()
    var reader = TestMessageReader(socket)
    #expect(try reader.next()?.member("code") == "GATEWAY_TOKEN_REVOKED")
    #expect(stage.core.requests.isEmpty)
    try stage.gateway.reload()
    // The answer has admitted nothing, so it is not kept.
    #expect(try stage.ask()?.status == 200)
    #expect(stage.endpoint.requests.count == 2)
  }

  @Test func `a token that gets into a policy file while its provider is asked is one of that file`() throws {
    let stage = try IntrospectionStage(settings: ["audit_log": "audit.log"])
    let mayAnswer = stage.holdsAnswer()
    let socket = try stage.gateway.connect()
    try socket.send(testRequest("POST", IntrospectionStage.target, body: "{}", token: "opaque-1"))
    #expect(eventually { !stage.endpoint.requests.isEmpty })
    try stage.gateway.reload(client: ["tokens": [TestPolicyFolder.entry(of: "opaque-1")]])
    mayAnswer.set()
    var reader = TestMessageReader(socket)
    #expect(try reader.next()?.status == 200)
    let intent = try #require(try AuditRecords(stage.gateway.statePath).intents.first)
    #expect(intent["client"] as? String == "app" && intent["issuer"] == nil && intent["sub"] == nil)
  }

  @Test func `a new time limit of a provider is in force after a reload`() throws {
    let stage = try IntrospectionStage(provider: ["timeout_s": 0.2])
    stage.answers {
      Thread.sleep(forTimeInterval: 0.6)
      return .bytes(ScriptedUpstream.json(IntrospectionStage.active))
    }
    #expect(try stage.ask()?.status == 503)
    let url = "http://127.0.0.1:\(stage.endpoint.port)/introspect"
    try stage.gateway.reload(settings: IntrospectionStage.settings(url, ["timeout_s": 4]))
    #expect(try stage.ask()?.status == 200)
  }

  @Test func `an answer of a provider that was replaced meanwhile admits nothing`() throws {
    let stage = try IntrospectionStage()
    let mayAnswer = stage.holdsAnswer()
    let other = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json(#"{"active":false}"#)) }
    let socket = try stage.gateway.connect()
    try socket.send(testRequest("GET", IntrospectionStage.target, token: "opaque-1"))
    #expect(eventually { !stage.endpoint.requests.isEmpty })
    try stage.gateway.reload(settings: IntrospectionStage.settings("http://127.0.0.1:\(other.port)/i"))
    mayAnswer.set()
    var reader = TestMessageReader(socket)
    #expect(try reader.next()?.member("code") == "GATEWAY_INTROSPECTION_UNAVAILABLE")
    #expect(try stage.ask()?.status == 401)
    #expect(stage.core.requests.isEmpty && other.requests.count == 1)
  }

  @Test func `admission is repeated before the first byte without another question`() throws {
    let stage = try IntrospectionStage(provider: ["cache_s": 0])
    stage.answers(IntrospectionStage.active)
    for isRevoked in [false, true] {
      let socket = try stage.gateway.connect()
      let head = testRequest("POST", IntrospectionStage.target, fields: ["Content-Length: 4"], token: "opaque-1")
      let asked = stage.endpoint.requests.count
      try socket.send(head + "{")
      #expect(eventually { stage.endpoint.requests.count == asked + 1 })
      // The answer has arrived, and the body has not: admission is over, and nothing is sent.
      Thread.sleep(forTimeInterval: 0.3)
      try stage.gateway.reload(client: isRevoked ? ["revoked": true] : ["name": "changed"])
      Thread.sleep(forTimeInterval: 0.1)
      try socket.send(" } ")
      var reader = TestMessageReader(socket)
      let reply = try reader.next()
      #expect(reply?.status == (isRevoked ? 401 : 200))
      #expect(stage.endpoint.requests.count == asked + 1)
    }
    #expect(stage.core.requests.count == 1)
  }

  @Test(arguments: [false, true])
  func `a token that is revoked there while its upload is on the way sends nothing`(isAudited: Bool) throws {
    let stage = try IntrospectionStage(settings: isAudited ? ["audit_log": "audit.log"] : [:])
    let cases: [(answer: String, status: Int, code: String?)] = [
      (IntrospectionStage.active, 200, nil), (#"{"active":false}"#, 401, "GATEWAY_TOKEN_INVALID"),
      ("<html>", 503, "GATEWAY_INTROSPECTION_UNAVAILABLE"),
      (#"{"active":true,"client_id":"other","aud":"ledger"}"#, 401, "GATEWAY_TOKEN_INVALID"),
    ]
    for (index, expected) in cases.enumerated() {
      stage.answers(IntrospectionStage.active)
      let asked = stage.endpoint.requests.count
      let socket = try stage.gateway.connect()
      let token = "opaque-\(index)"
      try socket.send(testRequest("POST", IntrospectionStage.target, fields: ["Content-Length: 4"], token: token) + "{")
      #expect(eventually { stage.endpoint.requests.count == asked + 1 })
      Thread.sleep(forTimeInterval: 2.1)
      stage.answers(expected.answer)
      try socket.send(" } ")
      var reader = TestMessageReader(socket)
      let reply = try #require(try reader.next())
      #expect(reply.status == expected.status && (expected.code == nil || reply.member("code") == expected.code))
      #expect(expected.status == 200 || reply.member("outcome") == "not_sent" || expected.status == 401)
      #expect(stage.endpoint.requests.count == asked + 2)
    }
    #expect(stage.core.requests.count == 1)
    let records = try stage.gateway.stopAndReadLog()
    #expect(
      records.count == 4
        && records[2]["fault"] as? String == "introspection: the answer is not a JSON object without repeated keys")
  }

  @Test func `an upload is not asked about again if it is fast, reads, or has cache_write_s left`() throws {
    let stage = try IntrospectionStage(provider: ["cache_write_s": 10])
    stage.answers(IntrospectionStage.active)
    let socket = try stage.gateway.connect()
    try socket.send(
      testRequest("POST", IntrospectionStage.target, fields: ["Content-Length: 4"], token: "opaque-1") + "{")
    #expect(eventually { stage.endpoint.requests.count == 1 })
    Thread.sleep(forTimeInterval: 2.1)
    try socket.send(" } ")
    var reader = TestMessageReader(socket)
    #expect(try reader.next()?.status == 200)
    #expect(stage.endpoint.requests.count == 1)
  }

  @Test func `an upload whose client leaves during the second question ends`() throws {
    let stage = try IntrospectionStage()
    stage.answers(IntrospectionStage.active)
    var socket: TestSocket? = try stage.gateway.connect()
    try socket?.send(
      testRequest("POST", IntrospectionStage.target, fields: ["Content-Length: 4"], token: "opaque-1") + "{")
    #expect(eventually { stage.endpoint.requests.count == 1 })
    Thread.sleep(forTimeInterval: 2.1)
    let mayAnswer = stage.holdsAnswer()
    try socket?.send(" } ")
    #expect(eventually { stage.endpoint.requests.count == 2 })
    socket?.resetOnClose()
    socket = nil
    #expect(eventually { stage.gateway.connectionCounts == [0] })
    mayAnswer.set()
    #expect(try stage.ask()?.status == 200)
    #expect(stage.core.requests.count == 1)
  }

  @Test func `the audit log names the user whom the provider of the new policy has named`() throws {
    let other = try ScriptedUpstream { _ in
      .bytes(ScriptedUpstream.json(IntrospectionStage.active.replacing("{", with: #"{"sub":"theirs","#)))
    }
    let theirs = IntrospectionStage.settings(
      "http://127.0.0.1:\(other.port)/i", ["cache_s": 300, "cache_write_s": 300])
    let stage = try IntrospectionStage(settings: ["audit_log": "audit.log"].merging(theirs) { $1 })
    #expect(try stage.ask("POST")?.status == 200)
    let mayAnswer = stage.holdsAnswer(IntrospectionStage.active.replacing("{", with: #"{"sub":"ours","#))
    let ours = IntrospectionStage.settings("http://127.0.0.1:\(stage.endpoint.port)/introspect")
    try stage.gateway.reload(settings: ours)
    let socket = try stage.gateway.connect()
    try socket.send(testRequest("POST", IntrospectionStage.target, body: "{}", token: "opaque-1"))
    #expect(eventually { !stage.endpoint.requests.isEmpty })
    try stage.gateway.reload(settings: theirs)
    mayAnswer.set()
    var reader = TestMessageReader(socket)
    #expect(try reader.next()?.status == 200)
    // The answer that the gateway has kept admits the request.
    #expect(other.requests.count == 1)
    let intents = try AuditRecords(stage.gateway.statePath).intents
    #expect(intents.map { $0["sub"] as? String } == ["theirs", "theirs"])
  }
}
