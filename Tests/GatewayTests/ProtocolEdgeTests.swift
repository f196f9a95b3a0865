import Foundation
import Synchronization
import TestSupport
import Testing

/// Less common rules of HTTP, for requests and responses.
@Suite(.scopedFixtures) struct ProtocolEdgeTests {
  private static let target = "/proxy/balances?instance_id=one"

  /// What a client gets if Core sends these bytes.
  private func answer(_ head: String, body: String = "", method: String = "GET") throws -> TestMessage {
    let core = try ScriptedUpstream(answer: head.replacing("\n", with: "\r\n") + "\r\n\r\n" + body)
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    return try #require(try gateway.ask(method, Self.target))
  }

  /// What Core gets if a client sends these fields.
  private func relayed(_ fields: [String]) throws -> TestMessage {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    #expect(try gateway.ask("POST", Self.target, fields: fields, body: "{}")?.status == 200)
    return try #require(core.requests.first?.message)
  }

  // MARK: Responses

  @Test(arguments: ["Content-Length: 0", "content-length: 5", "Transfer-Encoding: chunked"])
  func `a 204 has no length (RFC 9110 §8.6)`(length: String) throws {
    let answer = try answer("HTTP/1.1 204 No Content\nX-Core: 1\n\(length)\nX-Core: 2")
    #expect(answer.status == 204 && answer.values("X-Core") == ["1", "2"])
    #expect(answer.values("Content-Length") == [] && answer.values("Transfer-Encoding") == [])
  }

  @Test func `other responses keep their length`() throws {
    #expect(try answer("HTTP/1.1 304 Not Modified\nContent-Length: 5")["Content-Length"] == "5")
    #expect(try answer("HTTP/1.1 200 OK\nContent-Length: 5", method: "HEAD")["Content-Length"] == "5")
  }

  @Test func `a response in HTTP/1.2 is passed on as 1.1 (RFC 9110 §2.5)`() throws {
    let answer = try answer("HTTP/1.2 200 OK\nContent-Length: 2", body: "{}")
    #expect(answer.startLine == "HTTP/1.1 200 OK" && answer.bodyText == "{}")
  }

  @Test func `a response without a date gets one, others keep theirs (RFC 9110 §6.6.1)`() throws {
    let none = try answer("HTTP/1.1 200 OK\nContent-Length: 0").values("Date")
    #expect(none.count == 1 && none[0].hasSuffix(" GMT"))
    let named = try answer("HTTP/1.1 200 OK\nConnection: Date\nDate: yesterday\nContent-Length: 0").values("Date")
    #expect(named == ["yesterday"])
    #expect(try answer("HTTP/1.1 200 OK\nDate: yesterday\nContent-Length: 0").values("Date") == ["yesterday"])
  }

  @Test func `Core's key never reaches the client, however the field is spelled`() throws {
    let answer = try answer(
      "HTTP/1.1 200 OK\nX-Blnk-Key: s3cr3t\nx_blnk_key: s3cr3t\nX.Blnk-Key: s3cr3t\nX-Core: 1\nContent-Length: 0")
    #expect(answer["X-Core"] == "1" && !answer.fields.contains { $0.value == "s3cr3t" })
  }

  @Test(arguments: ["1;\r\nx\r\n0\r\n\r\n", "1;=a\r\nx\r\n0\r\n\r\n"])
  func `a malformed chunk extension from Core cuts the response`(body: String) throws {
    let core = try ScriptedUpstream(answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let answer = try gateway.ask("GET", Self.target)
    #expect(answer == nil || answer?.status == 502)
    let record = try #require(try gateway.stopAndReadLog().first)
    #expect("\(record["fault"] ?? "")".contains("chunk extension"))
  }

  // MARK: Requests

  @Test func `fields that only a proxy may set, and lookalikes, do not reach Core`() throws {
    let dropped = [
      "True-Client-IP", "CF-Connecting-IP", "X-Client-IP", "Client-IP", "X-Cluster-Client-IP",
      "X-Original-Forwarded-For", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-HTTP-Method",
      "X-Method-Override", "X-Forwarded-Prefix", "X-Forwarded-Path", "Fastly-Client-IP", "Fly-Client-IP",
      "X-Azure-ClientIP", "X-Envoy-External-Address", "X-Real-IP", "HTTP2-Settings",
    ]
    let spellings = dropped.flatMap { name in ["-", "_", "."].map { name.replacing("-", with: $0) } }
    let lookalikes = [
      "X_Blnk_Key", "X.Blnk.Key", "Content_Length", "content.length", "Transfer_Encoding", "Transfer.Encoding",
    ]
    let names = spellings + lookalikes
    // A head has 100 fields at most.
    for part in [names.prefix(40), names.dropFirst(40)] {
      let request = try relayed(part.map { "\($0): dropped" } + ["X-Kept: 1"])
      #expect(request["X-Kept"] == "1" && request.bodyText == "{}" && request.values("Content-Length") == ["2"])
      for field in request.fields { #expect(field.value != "dropped", "\(field.name) reached Core") }
    }
  }

  @Test(arguments: ["X_Blnk_Key", "X.Blnk.Key", "x-blnk_key"])
  func `a lookalike of the key field is not a credential`(name: String) throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)])
    let token = TestPolicyFolder.directToken
    let rejected = try gateway.ask("GET", "/balances", fields: ["\(name): \(token)"], token: nil)
    #expect(rejected?.status == 401 && rejected?.member("code") == "GATEWAY_TOKEN_REQUIRED")
    #expect(core.requests.isEmpty)
    let served = try gateway.ask("GET", "/balances", fields: ["X-Blnk-Key: \(token)", "\(name): other"], token: nil)
    #expect(served?.status == 200 && core.requests.first?.message.values(name) == [])
  }

  @Test(arguments: ["OPTIONS * HTTP/1.1", "OPTIONS http://gateway.test HTTP/1.1"])
  func `OPTIONS * lists the server's methods without a token (RFC 9110 §9.3.7)`(line: String) throws {
    let gateway = try RunningGateway(upstreams: [("one", 1)])
    let socket = try gateway.connect()
    var reader = TestMessageReader(socket)
    for body in ["\r\n", "Content-Length: 2\r\n\r\n{}", "Authorization: Bearer \(TestPolicyFolder.token)\r\n\r\n"] {
      try socket.send("\(line)\r\nHost: gateway.test\r\n" + body)
      let answer = try #require(try reader.next())
      #expect(
        answer.startLine == "HTTP/1.1 204 No Content" && answer["Allow"] == "GET, HEAD, POST, PUT, DELETE, OPTIONS")
      #expect(answer.values("Content-Length") == [] && answer["Date"] != nil && answer["X-Request-Id"]?.count == 32)
    }
    try socket.send("OPTIONS /proxy/balances HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
    #expect(try reader.next()?.status == 401)
    try socket.send("GET * HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
    #expect(try reader.next()?.status == 400)
    let records = try gateway.stopAndReadLog()
    #expect(records.prefix(3).allSatisfy { $0["status"] as? Int == 204 && $0["code"] == nil })
  }

  static let rejectedHeads: [(head: String, status: Int)] = [
    ("{M} \(target) HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400), ("{M} \(target) HTTP/1.1\r\n\r\n", 400),
    ("{M} x HTTP/1.1\r\nHost: h\r\n\r\n", 400), ("\r\n{M} / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
    ("{M} /\(String(repeating: "a", count: 9_000)) HTTP/1.1\r\n\r\n", 414),
    ("{M} / HTTP/1.1\r\nX: \(String(repeating: "a", count: 40_000))\r\n\r\n", 431),
  ]

  @Test(arguments: rejectedHeads)
  func `a HEAD that is rejected while it is read gets no content (RFC 9110 §9.3.2)`(head: String, status: Int) throws {
    let gateway = try RunningGateway(upstreams: [("one", 1)])
    for method in ["HEAD", "POST"] {
      let socket = try gateway.connect()
      try socket.send(head.replacing("{M}", with: method))
      var reader = TestMessageReader(socket)
      let answer = try #require(try reader.next(hasBody: method != "HEAD"))
      #expect(answer.status == status && answer["Connection"] == "close")
      #expect((answer["Content-Length"].flatMap { Int($0) } ?? 0) > 0)
      #expect(try reader.rest.isEmpty && socket.receiveToEnd().isEmpty)
    }
  }

  @Test func `a HEAD that arrives too slowly gets no content`() throws {
    let gateway = try RunningGateway(upstreams: [("one", 1)], gateway: ["timeouts": ["head_s": 0.1]])
    let socket = try gateway.connect()
    try socket.send("HEAD / HTTP/1.1\r\nHost:")
    var reader = TestMessageReader(socket)
    #expect(try reader.next(hasBody: false)?.status == 408)
    #expect(try reader.rest.isEmpty && socket.receiveToEnd().isEmpty)
  }

  @Test func `the admin endpoint sends no content in response to HEAD either`() throws {
    let gateway = try RunningGateway(upstreams: [("one", 1)], gateway: ["admin": "127.0.0.1:0"])
    let socket = try TestSocket(port: #require(gateway.adminPort))
    try socket.send("HEAD /livez HTTP/1.1\r\n\r\n")
    var reader = TestMessageReader(socket)
    #expect(try reader.next(hasBody: false)?.status == 400)
    #expect(try reader.rest.isEmpty && socket.receiveToEnd().isEmpty)
  }

  // MARK: Logs

  @Test func `a token that was pasted into a path or an id is masked in both logs`() throws {
    let core = try ScriptedUpstream { _ in .bytes(ScriptedUpstream.json("{}")) }
    let gateway = try RunningGateway(upstreams: [("one", core.port)], gateway: ["audit_log": "audit.log"])
    let secret = "S3cr3tS3cr3tS3cr3t"
    let spellings = ["blnk_at_\(secret)", "blnk%5Fat%5f\(secret)", "BLNK_AT_\(secret)", "x-blnk_at_\(secret)%2D1"]
    for spelling in spellings {
      for method in ["GET", "PUT"] {
        _ = try gateway.ask(
          method, "/proxy/identities/\(spelling)?instance_id=one&x=\(spelling)", fields: ["X-Request-Id: \(spelling)"],
          body: method == "PUT" ? #"{"identity_id": "\#(spelling)"}"# : nil)
      }
    }
    _ = try gateway.ask(
      "PUT", "/proxy/balances/b/identity?instance_id=one", body: #"{"identity_id": "blnk_at_\#(secret)"}"#)
    let records = try gateway.stopAndReadLog()
    let log = try String(contentsOfFile: "\(gateway.statePath)/access.jsonl", encoding: .utf8)
    let audit = try String(contentsOfFile: "\(gateway.statePath)/audit.log", encoding: .utf8)
    #expect(!log.contains(secret) && !audit.contains(secret))
    #expect(records.first?["path"] as? String == "/proxy/identities/blnk_at_***")
    #expect(records.first?["client_request_id"] as? String == "blnk_at_***")
    #expect(
      audit.contains(#""identity_id":"blnk_at_***""#) && audit.contains(#""path":"/proxy/identities/blnk_at_***""#))
  }
}
