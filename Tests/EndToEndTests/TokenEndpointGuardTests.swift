import Foundation
import TestFolders
import TestSupport
import Testing

/// What protects the token endpoint from guessing, and what it leaves in logs.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct TokenEndpointGuardTests {
  private static let grant = [("grant_type", "client_credentials")]
  private static let wrong = [TokenStage.basic("app", "wrong")]

  /// The refusal of a request with wrong credentials.
  private static func guess(_ stage: TokenStage, _ client: String = "app", from address: String) throws -> String {
    try stage.post(grant, fields: [TokenStage.basic(client, "wrong")], from: address).refusal
  }

  @Test func `an address that fails ten times has to wait with further failures, and the right secret never`() throws {
    let stage = try TokenStage()
    for _ in 0..<10 { #expect(try Self.guess(stage, from: "198.51.100.1") == "401 invalid_client") }
    // Whether there is such a client, and whether it may call from there, makes no difference.
    for client in ["app", "missing", "elsewhere", "files-only"] {
      let answer = try stage.post(Self.grant, fields: [TokenStage.basic(client, "wrong")], from: "198.51.100.1")
      #expect(answer.refusal == "429 slow_down" && answer.values("Cache-Control") == ["no-store"])
      let seconds = try #require(answer.values("Retry-After").first.flatMap { Int($0) })
      #expect((1...6).contains(seconds))
    }
    #expect(
      try stage.post("/oauth/revoke", [("token", "x")], fields: Self.wrong, from: "198.51.100.1").status == 429)
    // Where it shares its address with an unknown peer, the client gets its tokens.
    for _ in 0..<20 { #expect(try stage.post(Self.grant, from: "198.51.100.1").status == 200) }
    let revocation = try stage.post("/oauth/revoke", [("token", "x")], from: "198.51.100.1")
    #expect(revocation.refusal == "400 unsupported_token_type")
    let other = [TokenStage.basic("other", TokenStage.otherSecret)]
    #expect(try stage.post(Self.grant, fields: other, from: "198.51.100.1").status == 200)
    // The right secret from a network that the client may not use is a failure like any other.
    #expect(try stage.post(Self.grant, fields: [TokenStage.basic("elsewhere")], from: "198.51.100.1").status == 429)
    #expect(try Self.guess(stage, from: "198.51.100.2") == "401 invalid_client")
    Thread.sleep(forTimeInterval: 6.1)
    #expect(try Self.guess(stage, from: "198.51.100.1") == "401 invalid_client")
  }

  @Test func `all addresses of one IPv6 network count as one`() throws {
    let stage = try TokenStage()
    for number in 0..<10 { #expect(try Self.guess(stage, from: "2001:db8:1:2:\(number)::1") == "401 invalid_client") }
    #expect(try Self.guess(stage, from: "2001:db8:1:2:ffff::") == "429 slow_down")
    #expect(try Self.guess(stage, from: "2001:db8:1:3::1") == "401 invalid_client")
  }

  @Test func `guesses from many addresses neither lock a client out, nor tell whether there is such a client`() throws {
    let stage = try TokenStage()
    for number in 0..<150 {
      for client in ["app", "missing", "elsewhere"] {
        #expect(try Self.guess(stage, client, from: "198.51.100.\(number)") == "401 invalid_client")
      }
    }
    // From addresses that the client has and has not used before, also after a restart.
    for address in ["203.0.113.1", "203.0.113.2"] { #expect(try stage.post(Self.grant, from: address).status == 200) }
    #expect(try stage.post(Self.grant, fields: [TokenStage.basic("elsewhere")], from: "203.0.113.9").status == 200)
    for client in ["app", "missing", "elsewhere"] {
      #expect(try Self.guess(stage, client, from: "192.0.2.1") == "401 invalid_client")
    }
  }

  @Test func `each grant, refusal and revocation has an audit entry, and no secret is written anywhere`() throws {
    try withTemporaryFolder { folder in
      let stage = try TokenStage(revocations: folder.path)
      let (code, unstored) = (TokenStage.Code().text, TokenStage.Code().text)
      var secrets = [code, unstored, TokenStage.secret, TokenStage.otherSecret, TokenStage.firstKey.secret]
      secrets += [TokenStage.basic(), TokenStage.Code.verifier].map { $0.replacing("Authorization: Basic ", with: "") }
      let token = try stage.token()
      let granted = try stage.redeem(code)
      let refresh = try #require(granted.member("refresh_token"))
      let renewed = try stage.refresh(refresh)
      secrets += [token, refresh, granted.member("access_token") ?? "", renewed.member("access_token") ?? ""]
      #expect(try stage.post([("grant_type", "password")]).status == 400)
      #expect(try stage.post(Self.grant, fields: Self.wrong).status == 401)
      #expect(try stage.revoke(token).status == 200)
      #expect(try stage.redeem(code).status == 400)
      #expect(try stage.refresh(refresh).status == 400)
      #expect(try stage.revoke("unknown").status == 200)
      // Neither what a token endpoint refuses nor what Core's routes refuse is logged with its token.
      for token in [token, code, refresh] { #expect(try stage.use(token).status == 401) }
      #expect(try stage.use(token, "POST").status == 401)
      try FileManager.default.moveItem(atPath: folder.path, toPath: folder.path + ".away")
      #expect(try stage.redeem(unstored).status == 503)
      #expect(try stage.revoke(renewed.member("access_token") ?? "").status == 503)
      try FileManager.default.moveItem(atPath: folder.path + ".away", toPath: folder.path)
      stage.gateway.stop()
      let entries = try stage.auditedGrants().map { entry in
        ["event", "client", "grant_type", "error"].compactMap { entry[$0] as? String }.joined(separator: " ")
      }
      #expect(
        entries == [
          "granted app client_credentials", "granted app authorization_code", "granted app refresh_token",
          "refused app unsupported_grant_type", "refused invalid_client", "revoked app",
          "refused app invalid_grant", "refused app invalid_grant",
          "refused app temporarily_unavailable", "refused app temporarily_unavailable",
        ])
      let audited = try stage.auditedGrants()
      #expect(audited.allSatisfy { ($0["request_id"] as? String)?.count == 32 && $0["peer"] as? String == "127.0.0.1" })
      #expect(try AuditRecords.findings(stage.folder.statePath).isEmpty)
      try Self.expectAbsent(secrets, in: [stage.folder.statePath, folder.path], and: stage.gateway.errors)
      #expect(try String(contentsOfFile: stage.folder.accessLogPath, encoding: .utf8).contains("/oauth/token"))
    }
  }

  @Test func `a policy that changes while a form arrives decides about it, and names its client in the logs`() throws {
    let stage = try TokenStage()
    let entries = try TokenStage.clientEntries()
    /// The order in the file is that of the tables.
    func write(_ names: [String]) throws {
      let members = names.map { name in "\"\(name)\":\(entries[name] ?? entries["files-only"] ?? "")" }
      try Data("{\"clients\":{\(members.joined(separator: ","))}}".utf8)
        .write(to: URL(filePath: stage.folder.path + "/clients.json"))
      try stage.reload()
    }
    let request = Array(TokenStage.request("/oauth/token", TokenStage.form(Self.grant)).utf8)
    for (before, after) in [
      (["app"], ["other", "expired", "revoked", "app"]), (["app", "other"], ["other", "app"]),
    ] {
      try write(before)
      let socket = try TestSocket(port: stage.gateway.port)
      var reader = TestMessageReader(socket)
      try socket.send(Array(request.dropLast(3)))
      // The head must have been read under the old policy.
      Thread.sleep(forTimeInterval: 0.3)
      try write(after)
      try socket.send(Array(request.suffix(3)))
      #expect(try reader.next()?.status == 200, "\(after)")
    }
    #expect(stage.gateway.stop() == 0)
    let records = try stage.folder.records().filter { $0["path"] as? String == "/oauth/token" }
    #expect(records.map { $0["client"] as? String } == ["app", "app"])
    #expect(try stage.auditedGrants().map { $0["client"] as? String } == ["app", "app"])
  }

  @Test func `unknown callers write a few audit entries a second, whatever they send`() throws {
    let stage = try TokenStage()
    let socket = try TestSocket(port: stage.gateway.port)
    var reader = TestMessageReader(socket)
    for number in 0..<300 {
      try socket.send(TokenStage.request("/oauth/token", "", fields: [], from: "198.51.100.\(number % 250)"))
      #expect(try reader.next()?.status ?? 0 >= 400)
    }
    #expect(try stage.post(Self.grant).status == 200)
    Thread.sleep(forTimeInterval: 1.2)
    #expect(try stage.post([], fields: []).status >= 400)
    stage.gateway.stop()
    let entries = try stage.auditedGrants()
    let refusals = entries.filter { $0["event"] as? String == "refused" }
    #expect((20...60).contains(refusals.count), "\(refusals.count)")
    #expect(entries.contains { $0["event"] as? String == "granted" })
    let omitted = refusals.reduce(0) { $0 + ($1["omitted"] as? Int ?? 0) }
    #expect(omitted + refusals.count == 301, "\(omitted) + \(refusals.count)")
  }

  @Test func `a client's rate limit counts its requests for tokens, too`() throws {
    let limits: [String: any Sendable] = ["write": ["requests_per_second": 1, "burst": 3]]
    let stage = try TokenStage(client: ["limits": limits])
    for _ in 0..<3 { #expect(try stage.post(Self.grant).status == 200) }
    let limited = try stage.post(Self.grant)
    #expect(limited.refusal == "429 slow_down" && limited["Retry-After"] == "1")
    let other = [TokenStage.basic("other", TokenStage.otherSecret)]
    #expect(try stage.post(Self.grant, fields: other).status == 200)
  }

  /// Expects that no file below the folders, and not the text, has one of the secrets.
  private static func expectAbsent(_ secrets: [String], in folders: [String], and text: String) throws {
    var texts = [text]
    for folder in folders {
      for name in FileManager.default.enumerator(atPath: folder)?.compactMap({ $0 as? String }) ?? [] {
        guard let data = FileManager.default.contents(atPath: folder + "/" + name) else { continue }
        texts.append(name + String(decoding: data, as: UTF8.self))
      }
    }
    for secret in secrets {
      #expect(!secret.isEmpty && !texts.contains { $0.contains(secret) })
      // Nor most of one, such as a token without its prefix.
      #expect(!texts.contains { $0.contains(secret.dropFirst(8)) })
    }
    #expect(texts.count > 2)
  }
}
