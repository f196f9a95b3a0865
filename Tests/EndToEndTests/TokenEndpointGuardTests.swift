import Foundation
import TestFolders
import TestSupport
import Testing

/// What protects the token endpoint from guessing, and what it leaves in logs.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct TokenEndpointGuardTests {
  private static let grant = [("grant_type", "client_credentials")]
  private static let wrong = [TokenStage.basic("app", "wrong")]

  @Test func `an address that fails ten times has to wait, and other addresses do not`() throws {
    let stage = try TokenStage()
    for _ in 0..<10 {
      #expect(try stage.post(Self.grant, fields: Self.wrong, from: "198.51.100.1").refusal == "401 invalid_client")
    }
    // Also with the right secret: otherwise the answer would reveal it.
    for fields in [Self.wrong, [TokenStage.basic()], [TokenStage.basic("missing")]] {
      let answer = try stage.post(Self.grant, fields: fields, from: "198.51.100.1")
      #expect(answer.refusal == "429 slow_down" && answer.values("Cache-Control") == ["no-store"])
      let seconds = try #require(answer.values("Retry-After").first.flatMap { Int($0) })
      #expect((1...6).contains(seconds))
    }
    #expect(try stage.post("/oauth/revoke", [("token", "x")], from: "198.51.100.1").status == 429)
    #expect(try stage.post(Self.grant, from: "198.51.100.2").status == 200)
    #expect(try stage.post(Self.grant).status == 200)
    Thread.sleep(forTimeInterval: 6.1)
    #expect(try stage.post(Self.grant, from: "198.51.100.1").status == 200)
  }

  @Test func `all addresses of one IPv6 network count as one`() throws {
    let stage = try TokenStage()
    for number in 0..<10 {
      let answer = try stage.post(Self.grant, fields: Self.wrong, from: "2001:db8:1:2:\(number)::1")
      #expect(answer.refusal == "401 invalid_client")
    }
    #expect(try stage.post(Self.grant, from: "2001:db8:1:2:ffff::").refusal == "429 slow_down")
    #expect(try stage.post(Self.grant, from: "2001:db8:1:3::1").status == 200)
  }

  @Test func `guesses from many addresses slow a client down, except where it has authenticated before`() throws {
    let stage = try TokenStage()
    #expect(try stage.post(Self.grant, from: "203.0.113.1").status == 200)
    // A few more than 100: some are regained meanwhile.
    var statuses: [Int] = []
    for number in 0..<400 where statuses.last != 429 {
      statuses.append(try stage.post(Self.grant, fields: Self.wrong, from: "198.51.100.\(number / 5)").status)
    }
    #expect(statuses.last == 429 && statuses.dropLast().allSatisfy { $0 == 401 } && statuses.count > 100)
    #expect(try stage.post(Self.grant, from: "203.0.113.2").refusal == "429 slow_down")
    #expect(try stage.post(Self.grant, from: "203.0.113.1").status == 200)
    let other = [TokenStage.basic("other", TokenStage.otherSecret)]
    #expect(try stage.post(Self.grant, fields: other, from: "203.0.113.2").status == 200)
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
