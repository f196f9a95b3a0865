import Foundation
import OAuth
import TestFolders
import TestSupport
import Testing

/// Revocation of tokens that the gateway has signed: at its endpoint, by policy files, and by their keys.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct TokenRevocationTests {
  private static func tokens(_ answer: TestMessage) throws -> (access: String, refresh: String) {
    #expect(answer.status == 200, "\(answer.bodyText)")
    return (try #require(answer.member("access_token")), try #require(answer.member("refresh_token")))
  }

  private static let revoked = (401, "GATEWAY_TOKEN_REVOKED")

  // MARK: The endpoint

  @Test func `an access token is revoked alone, a refresh token with its grant`() throws {
    try withTemporaryFolder { folder in
      let stage = try TokenStage(revocations: folder.path)
      let grant = try Self.tokens(try stage.redeem(TokenStage.Code().text))
      let renewed = try Self.tokens(try stage.refresh(grant.refresh))
      #expect(try stage.revoke(grant.access).status == 200)
      #expect(try stage.use(grant.access) == Self.revoked)
      #expect(try stage.use(renewed.access).status == 200)
      let latest = try Self.tokens(try stage.refresh(grant.refresh))
      let answer = try stage.revoke(grant.refresh)
      #expect(answer.status == 200 && answer.values("Cache-Control") == ["no-store"])
      for token in [renewed.access, latest.access] { #expect(try stage.use(token) == Self.revoked) }
      #expect(try stage.refresh(grant.refresh).refusal == "400 invalid_grant")
      let other = try Self.tokens(try stage.redeem(TokenStage.Code().text))
      #expect(try stage.use(other.access).status == 200)
      // A second time succeeds as well.
      #expect(try stage.revoke(grant.refresh).status == 200)
    }
  }

  @Test func `unknown and expired tokens are a success, and another client's token is refused`() throws {
    try withTemporaryFolder { folder in
      let stage = try TokenStage(revocations: folder.path)
      let expired = TokenStage.Code(age: 100, kind: .access).text
      let foreign = TokenStage.Code(kind: .access, key: TokenStage.secondKey).text
      for token in ["x", TestPolicyFolder.readToken, expired, foreign] {
        #expect(try stage.revoke(token).status == 200)
      }
      let token = try stage.token()
      let other = TokenStage.basic("other", TokenStage.otherSecret)
      #expect(try stage.revoke(token, fields: [other]).refusal == "400 unauthorized_client")
      let refresh = try Self.tokens(try stage.redeem(TokenStage.Code().text)).refresh
      #expect(try stage.revoke(refresh, fields: [other]).refusal == "400 unauthorized_client")
      #expect(try stage.use(token).status == 200 && stage.refresh(refresh).status == 200)
      // A wrong hint is only a hint (RFC 7009 §2.1).
      let hinted = try stage.post("/oauth/revoke", [("token", token), ("token_type_hint", "refresh_token")])
      #expect(hinted.status == 200)
      #expect(try stage.use(token) == Self.revoked)
    }
  }

  @Test func `a revoked token is refused by every loop at its next request`() throws {
    try withTemporaryFolder { folder in
      let stage = try TokenStage(revocations: folder.path, loops: 4)
      let sockets = try (0..<32).map { _ in try TestSocket(port: stage.gateway.port) }
      var readers = sockets.map { TestMessageReader($0) }
      for _ in 0..<25 {
        let token = try stage.token()
        func statuses() throws -> Set<Int> {
          for socket in sockets { try socket.send(testRequest("GET", "/proxy/balances?instance_id=one", token: token)) }
          return Set(try readers.indices.map { try readers[$0].next()?.status ?? 0 })
        }
        #expect(try statuses() == [200])
        #expect(try stage.revoke(token).status == 200)
        #expect(try statuses() == [401])
      }
    }
  }

  @Test func `revocations at the same time on several loops are all in force on all of them`() throws {
    try withTemporaryFolder { folder in
      let stage = try TokenStage(revocations: folder.path, loops: 4)
      let sockets = try (0..<16).map { _ in try TestSocket(port: stage.gateway.port) }
      var readers = sockets.map { TestMessageReader($0) }
      func statuses(_ requests: [String]) throws -> Set<Int> {
        for (socket, request) in zip(sockets, requests) { try socket.send(request) }
        return Set(try readers.indices.map { try readers[$0].next()?.status ?? 0 })
      }
      for _ in 0..<25 {
        let tokens = try sockets.map { _ in try stage.token() }
        let forms = tokens.map { TokenStage.request("/oauth/revoke", TokenStage.form([("token", $0)])) }
        #expect(try statuses(forms) == [200])
        for shift in 0..<4 {
          let turned = Array(tokens[(4 * shift)...] + tokens[..<(4 * shift)])
          #expect(
            try statuses(turned.map { testRequest("GET", "/proxy/balances?instance_id=one", token: $0) }) == [401])
        }
      }
    }
  }

  @Test func `a slow upload that was admitted before a revocation does not reach Core`() throws {
    try withTemporaryFolder { folder in
      let stage = try TokenStage(revocations: folder.path)
      let token = try stage.token()
      func upload(meanwhile body: () throws -> Void) throws -> TestMessage? {
        let socket = try TestSocket(port: stage.gateway.port)
        var reader = TestMessageReader(socket)
        let request = testRequest(
          "POST", "/proxy/balances?instance_id=one", body: String(repeating: "x", count: 1_000), token: token)
        try socket.send(Array(request.utf8.dropLast(10)))
        // Admitted: the gateway waits for the rest.
        #expect(socket.isQuiet(milliseconds: 200))
        try body()
        try socket.send(Array(repeating: UInt8(ascii: "x"), count: 10))
        return try reader.next()
      }
      #expect(try upload(meanwhile: {})?.status == 200 && stage.core.requests.count == 1)
      let answer = try upload {
        let status = try stage.revoke(token).status
        #expect(status == 200)
      }
      #expect(answer?.status == 401 && answer?.member("code") == "GATEWAY_TOKEN_REVOKED")
      #expect(stage.core.requests.count == 1)
    }
  }

  @Test func `a restart keeps revocations, after SIGTERM and after SIGKILL`() throws {
    try withTemporaryFolder { folder in
      let stage = try TokenStage(revocations: folder.path)
      var revoked: [String] = []
      let kept = try stage.token()
      for killing in [false, true, false] {
        let token = try stage.token()
        #expect(try stage.revoke(token).status == 200)
        revoked.append(token)
        try stage.restart(killing: killing)
        // From the first request on.
        for token in revoked { #expect(try stage.use(token) == Self.revoked) }
        #expect(try stage.use(kept).status == 200)
      }
    }
  }

  @Test func `a revocation that cannot be stored is answered with 503, in force here, and stored later`() throws {
    try withTemporaryFolder { folder in
      let path = folder.path("shared")
      let stage = try TokenStage(revocations: path)
      let (before, failed, later) = (try stage.token(), try stage.token(), try stage.token())
      #expect(try stage.revoke(before).status == 200)
      try FileManager.default.moveItem(atPath: path, toPath: path + ".away")
      let answer = try stage.revoke(failed)
      #expect(answer.refusal == "503 temporarily_unavailable" && answer.values("Retry-After") == ["1"])
      // Nothing that was revoked comes back while the folder is away, although it is read every second.
      Thread.sleep(forTimeInterval: 1.5)
      #expect(try stage.use(before) == Self.revoked)
      // This gateway refuses the token already; the client has to ask again, for the other gateways.
      #expect(try stage.use(failed) == Self.revoked)
      try FileManager.default.moveItem(atPath: path + ".away", toPath: path)
      #expect(stage.gateway.waitUntilSaid("oauth.revocations: all revocations are stored again"))
      try stage.restart(killing: true)
      #expect(try stage.revoke(later).status == 200)
      for token in [before, failed, later] { #expect(try stage.use(token) == Self.revoked) }
    }
  }

  /// Otherwise it would accept what was revoked before.
  @Test(arguments: [
    (file: "shared", text: "", reason: "cannot use "),
    (file: "shared/other.json", text: "{", reason: "is not a list of revocations"),
  ])
  func `the gateway does not start while it cannot read what was revoked`(file: String, text: String, reason: String)
    throws
  {
    try withTemporaryFolder { folder in
      if file.contains("/") {
        try FileManager.default.createDirectory(atPath: folder.path("shared"), withIntermediateDirectories: true)
      }
      try folder.write(text, to: file)
      let fault = #expect(throws: GatewayProcess.NotStarted.self) {
        _ = try TokenStage(revocations: folder.path("shared"))
      }
      #expect(fault?.output.contains(reason) == true, "\(fault?.output ?? "")")
      #expect(fault?.output.contains("repair the folder of \"oauth.revocations\" first") == true)
      try FileManager.default.removeItem(atPath: folder.path(file))
      let stage = try TokenStage(revocations: folder.path("shared"))
      #expect(try stage.use(try stage.token()).status == 200)
    }
  }

  @Test func `a reload is refused if it names a folder that cannot be read; new revocations apply anyway`()
    throws
  {
    try withTemporaryFolder { folder in
      let stage = try TokenStage(revocations: folder.path("one"))
      let (first, second) = (try stage.token(), try stage.token())
      var id = ""
      let isAudited = try eventually {
        id = try stage.auditedGrants().first?["token_id"] as? String ?? ""
        return !id.isEmpty
      }
      #expect(isAudited)
      try folder.makeFolder("two")
      try folder.write(#"{"revoked":[{"id":"\#(id)","expires":4102444800}]} x"#, to: "two/bad.json")
      try stage.change(client: ["scopes": ["proxy:write"]], oauth: ["revocations": folder.path("two")])
      #expect(stage.gateway.waitUntilSaid("two/bad.json is not a list of revocations"))
      #expect(stage.gateway.waitUntilSaid("repair the folder of \"oauth.revocations\", then send SIGHUP"))
      #expect(stage.gateway.waitUntilSaid("the policy is invalid; generation 1 stays in force"))
      #expect(try stage.use(first).status == 200)
      try stage.change(
        client: ["scopes": ["proxy:write"]], oauth: ["revocations": folder.path("two")], revoked: ["clients": ["app"]])
      #expect(stage.gateway.waitUntilSaid("generation 2 in force, with new revocations only"))
      #expect(try stage.use(first).status == 401)
      try stage.change(
        client: ["scopes": ["proxy:read"]], oauth: ["revocations": folder.path("two")],
        revoked: ["clients": [] as [String]])
      #expect(stage.gateway.waitUntilSaid("generation 3 in force, with new revocations only"))
      #expect(try stage.use(first).status == 200 && stage.revoke(second).status == 200)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path("one")).count == 2)
      // Repaired: the list of the other folder is in force.
      try folder.write(#"{"revoked":[{"id":"\#(id)","expires":4102444800}]}"#, to: "two/bad.json")
      stage.gateway.signal(SIGHUP)
      #expect(stage.gateway.waitUntilSaid("generation 4 in force: "))
      #expect(try stage.use(first) == Self.revoked && stage.use(second) == Self.revoked)
    }
  }

  // MARK: Policy files

  @Test func `a live token loses a scope that its client loses, and gets it back`() throws {
    let stage = try TokenStage()
    let token = try stage.token()
    #expect(try stage.use(token, "POST").status == 200)
    try stage.reload(client: ["scopes": ["proxy:read"]])
    #expect(try stage.use(token, "POST") == (403, "GATEWAY_SCOPE_INSUFFICIENT"))
    #expect(try stage.use(token).status == 200)
    try stage.reload(client: ["scopes": ["proxy:write"]])
    #expect(try stage.use(token) == (403, "GATEWAY_SCOPE_INSUFFICIENT"))
    try stage.reload(client: ["scopes": ["*"]])
    #expect(try stage.use(token, "POST").status == 200 && stage.use(token).status == 200)
    // All scopes of the client are still only those of the token.
    let narrow = try stage.token(scope: "proxy:read")
    #expect(try stage.use(narrow, "POST") == (403, "GATEWAY_SCOPE_INSUFFICIENT"))
  }

  @Test func `a client that is revoked or removed, its networks, and tokens_not_before apply to live tokens`() throws {
    let stage = try TokenStage()
    let token = try stage.token()
    let refresh = try Self.tokens(try stage.redeem(TokenStage.Code().text)).refresh
    #expect(try stage.use(token).status == 200)
    try stage.reload(client: ["revoked": true])
    #expect(try stage.use(token).status == 401)
    #expect(try stage.refresh(refresh).refusal == "401 invalid_client")
    try stage.reload(client: ["networks": ["203.0.113.0/24"]])
    #expect(try stage.use(token) == (403, "GATEWAY_NETWORK_FORBIDDEN"))
    try stage.reload(client: ["tokens_not_before": "2020-01-01T00:00:00Z"])
    #expect(try stage.use(token).status == 200 && stage.refresh(refresh).status == 200)
    Thread.sleep(forTimeInterval: 1.1)
    let now = Date().formatted(.iso8601)
    try stage.reload(client: ["tokens_not_before": now])
    #expect(try stage.use(token) == Self.revoked)
    #expect(try stage.refresh(refresh).refusal == "400 invalid_grant")
    #expect(try stage.use(try stage.token()).status == 200)
    // Without `oauth` it is not a client of the token endpoint.
    let unlisted = try stage.token()
    try stage.reload(client: ["oauth": ["secrets": [] as [String]]])
    #expect(try stage.post([("grant_type", "client_credentials")]).refusal == "401 invalid_client")
    #expect(try stage.use(unlisted).status == 200)
  }

  @Test func `token_ids in revoked.json revokes a token, and a whole grant`() throws {
    try withTemporaryFolder { folder in
      let stage = try TokenStage(revocations: folder.path)
      let token = try stage.token()
      let grant = try Self.tokens(try stage.redeem(TokenStage.Code().text))
      #expect(try stage.use(token).status == 200 && stage.use(grant.access).status == 200)
      var audit: [[String: any Sendable]] = []
      let isWritten = try eventually {
        audit = try stage.auditedGrants()
        return audit.count == 2
      }
      #expect(isWritten)
      let credentials = try #require(audit.first { $0["grant_type"] as? String == "client_credentials" })
      let code = try #require(audit.first { $0["grant_type"] as? String == "authorization_code" })
      let ids = [try #require(credentials["token_id"] as? String), try #require(code["grant_id"] as? String)]
      try stage.reload(revoked: ["token_ids": ids])
      #expect(try stage.use(token) == Self.revoked && stage.use(grant.access) == Self.revoked)
      #expect(try stage.refresh(grant.refresh).refusal == "400 invalid_grant")
      #expect(try stage.use(try stage.token()).status == 200)
    }
  }

  // MARK: Keys

  @Test func `a second key verifies, the first one signs, and a removed one is worth nothing`() throws {
    let stage = try TokenStage()
    let old = try stage.token()
    let oldRefresh = try Self.tokens(try stage.redeem(TokenStage.Code().text)).refresh
    let new = TokenStage.Code(kind: .access, key: TokenStage.secondKey).text
    #expect(try stage.use(old).status == 200 && stage.use(new) == (401, "GATEWAY_TOKEN_INVALID"))
    try stage.reload(oauth: ["keys": [TokenStage.firstKeyEntry, TokenStage.secondKeyEntry]])
    #expect(try stage.use(old).status == 200 && stage.use(new).status == 200)
    let stillOld = try stage.token()
    try stage.reload(oauth: ["keys": [TokenStage.secondKeyEntry, TokenStage.firstKeyEntry]])
    for token in [old, stillOld, new, try stage.token()] { #expect(try stage.use(token).status == 200) }
    #expect(try stage.refresh(oldRefresh).status == 200)
    let signedByNew = try stage.token()
    try stage.reload(oauth: ["keys": [TokenStage.secondKeyEntry]])
    for token in [old, stillOld] { #expect(try stage.use(token) == (401, "GATEWAY_TOKEN_INVALID")) }
    for token in [new, signedByNew] { #expect(try stage.use(token).status == 200) }
    #expect(try stage.refresh(oldRefresh).refusal == "400 invalid_grant")
  }
}
