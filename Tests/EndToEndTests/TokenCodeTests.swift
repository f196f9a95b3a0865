import Foundation
import OAuth
import TestFolders
import TestSupport
import Testing

/// Authorization codes, and the refresh tokens that they give.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct TokenCodeTests {
  /// Both with a folder in which gateways mark used codes, and without.
  private static func withStages(_ body: (TokenStage) throws -> Void) throws {
    try body(try TokenStage())
    try withTemporaryFolder { folder in try body(try TokenStage(revocations: folder.path("shared"))) }
  }

  private static func tokens(_ answer: TestMessage) throws -> (access: String, refresh: String) {
    #expect(answer.status == 200, "\(answer.bodyText)")
    return (try #require(answer.member("access_token")), try #require(answer.member("refresh_token")))
  }

  @Test func `a code gives tokens once; its second use revokes them`() throws {
    try Self.withStages { stage in
      let code = TokenStage.Code().text
      let answer = try stage.redeem(code)
      let first = try Self.tokens(answer)
      #expect(answer.member("scope") == "proxy:read proxy:write" && answer.values("Cache-Control") == ["no-store"])
      let renewed = try Self.tokens(try stage.refresh(first.refresh))
      let bystander = try Self.tokens(try stage.redeem(TokenStage.Code().text))
      for token in [first.access, renewed.access] { #expect(try stage.use(token, "POST").status == 200) }
      #expect(try stage.redeem(code).refusal == "400 invalid_grant")
      for token in [first.access, renewed.access] {
        #expect(try stage.use(token) == (401, "GATEWAY_TOKEN_REVOKED"))
      }
      #expect(try stage.refresh(first.refresh).refusal == "400 invalid_grant")
      #expect(try stage.redeem(code).refusal == "400 invalid_grant")
      // Tokens of other codes are unaffected.
      #expect(try stage.use(bystander.access).status == 200 && stage.refresh(bystander.refresh).status == 200)
    }
  }

  @Test func `a code is bound to its redirect URI, verifier and client, and a refused attempt does not use it up`()
    throws
  {
    try Self.withStages { stage in
      let other = TokenStage.basic("other", TokenStage.otherSecret)
      let code = TokenStage.Code().text
      #expect(try stage.redeem(code, redirectURI: TokenStage.callback + "/").refusal == "400 invalid_grant")
      #expect(try stage.redeem(code, verifier: nil).refusal == "400 invalid_grant")
      #expect(try stage.redeem(code, verifier: String(repeating: "w", count: 43)).refusal == "400 invalid_grant")
      #expect(try stage.redeem(code, fields: [other]).refusal == "400 invalid_grant")
      let first = try Self.tokens(try stage.redeem(code))
      #expect(try stage.use(first.access).status == 200)
      // Someone else's attempts with a used code revoke nothing.
      #expect(try stage.redeem(code, fields: [other]).refusal == "400 invalid_grant")
      #expect(try stage.redeem(code, verifier: nil).refusal == "400 invalid_grant")
      #expect(try stage.use(first.access).status == 200)
      // A verifier where the authorization request had no challenge: PKCE was stripped from it (RFC 9700 §2.1.1).
      let bare = TokenStage.Code(verifier: nil).text
      #expect(try stage.redeem(bare).refusal == "400 invalid_grant")
      #expect(try stage.redeem(bare, verifier: nil).status == 200)
    }
  }

  @Test func `a code is refused after 60 s, from another issuer, key or audience, and as another kind`() throws {
    try withTemporaryFolder { folder in
      let stage = try TokenStage(revocations: folder.path)
      #expect(try stage.redeem(TokenStage.Code(age: 61).text).refusal == "400 invalid_grant")
      #expect(try stage.redeem(TokenStage.Code(age: 50).text).status == 200)
      for code in [
        // 30 s ahead: more than clocks may differ.
        TokenStage.Code(age: -30), TokenStage.Code(issuer: "https://other.example"),
        TokenStage.Code(audience: "https://other.example"), TokenStage.Code(key: TokenStage.secondKey),
        TokenStage.Code(key: (TokenStage.firstKey.name, TokenStage.secondKey.secret)), TokenStage.Code(kind: .refresh),
        TokenStage.Code(kind: .access), TokenStage.Code(client: "missing"), TokenStage.Code(client: "other"),
      ] {
        #expect(try stage.redeem(code.text).refusal == "400 invalid_grant", "\(code)")
      }
      #expect(try stage.redeem(TokenStage.Code(scope: "admin").text).refusal == "400 invalid_scope")
      for code in [TokenStage.Code().text, TokenStage.Code(kind: .refresh).text] {
        #expect(try stage.use(code) == (401, "GATEWAY_TOKEN_INVALID"))
      }
      #expect(try stage.use(TokenStage.Code(kind: .access).text).status == 200)
      #expect(try stage.use(TokenStage.Code(age: 61, kind: .access).text) == (401, "GATEWAY_TOKEN_EXPIRED"))
      var altered = Array(TokenStage.Code(kind: .access).text)
      altered[30] = altered[30] == "A" ? "B" : "A"
      #expect(try stage.use(String(altered)) == (401, "GATEWAY_TOKEN_INVALID"))
    }
  }

  @Test func `without a folder, a code from before the process started is refused; with one, it works once`() throws {
    let before = Int64(Date().timeIntervalSince1970)
    let stage = try TokenStage()
    let code = TokenStage.Code().text
    // Up to 10 s ahead of the start, and a second less, because the clock continues meanwhile.
    for issuedAt in [before - 50, before, before + 9] {
      let age = Int64(Date().timeIntervalSince1970) - issuedAt
      #expect(try stage.redeem(TokenStage.Code(age: age).text).refusal == "400 invalid_grant")
    }
    #expect(try stage.redeem(code).status == 200)
    // Within the same second, and although the code is from the future.
    try stage.restart()
    #expect(try stage.redeem(code).refusal == "400 invalid_grant")
    try withTemporaryFolder { folder in
      let stage = try TokenStage(revocations: folder.path)
      let (code, unused) = (TokenStage.Code().text, TokenStage.Code().text)
      let tokens = try Self.tokens(try stage.redeem(code))
      try stage.restart(killing: true)
      #expect(try stage.use(tokens.access).status == 200)
      #expect(try stage.redeem(unused).status == 200)
      #expect(try stage.redeem(code).refusal == "400 invalid_grant")
      #expect(try stage.use(tokens.access) == (401, "GATEWAY_TOKEN_REVOKED"))
      #expect(try stage.refresh(tokens.refresh).refusal == "400 invalid_grant")
    }
  }

  @Test func `a code works once however many connections present it at the same time`() throws {
    try withTemporaryFolder { folder in
      for path in [nil, folder.path] {
        let stage = try TokenStage(revocations: path, loops: 4)
        for _ in 0..<20 {
          let code = TokenStage.Code().text
          let request = TokenStage.redemption(of: code)
          let sockets = try (0..<8).map { _ in try TestSocket(port: stage.gateway.port) }
          for socket in sockets { try socket.send(request) }
          var answers: [TestMessage] = []
          for socket in sockets {
            var reader = TestMessageReader(socket)
            answers.append(try #require(try reader.next()))
          }
          let granted = answers.filter { $0.status == 200 }
          #expect(granted.count == 1 && answers.filter { $0.refusal == "400 invalid_grant" }.count == 7)
          // The others were second uses.
          let token = try #require(granted.first?.member("access_token"))
          #expect(try stage.use(token) == (401, "GATEWAY_TOKEN_REVOKED"))
        }
      }
    }
  }

  @Test func `a refresh keeps the refresh token, may narrow the scope, and never widens it`() throws {
    try Self.withStages { stage in
      let first = try Self.tokens(try stage.redeem(TokenStage.Code().text))
      let again = try stage.refresh(first.refresh)
      let renewed = try Self.tokens(again)
      #expect(renewed.refresh == first.refresh && renewed.access != first.access)
      #expect(again.member("scope") == "proxy:read proxy:write")
      let narrow = try stage.refresh(first.refresh, scope: "proxy:read")
      #expect(narrow.member("scope") == "proxy:read")
      #expect(try stage.use(try Self.tokens(narrow).access, "POST") == (403, "GATEWAY_SCOPE_INSUFFICIENT"))
      // The refresh token keeps its scope (RFC 6749 §6).
      #expect(try stage.refresh(first.refresh).member("scope") == "proxy:read proxy:write")
      let readOnly = try Self.tokens(try stage.redeem(TokenStage.Code(scope: "proxy:read").text))
      for scope in ["proxy:read proxy:write", "proxy:write", "admin"] {
        #expect(try stage.refresh(readOnly.refresh, scope: scope).refusal == "400 invalid_scope")
      }
      #expect(try stage.use(readOnly.access, "POST") == (403, "GATEWAY_SCOPE_INSUFFICIENT"))
      let other = TokenStage.basic("other", TokenStage.otherSecret)
      #expect(try stage.refresh(first.refresh, fields: [other]).refusal == "400 invalid_grant")
      #expect(try stage.refresh(first.access).refusal == "400 invalid_grant")
      #expect(try stage.use(first.refresh) == (401, "GATEWAY_TOKEN_INVALID"))
    }
  }

  @Test func `a code whose use cannot be stored is answered with 503 and works once the folder is repaired`() throws {
    try withTemporaryFolder { folder in
      let path = folder.path("shared")
      let stage = try TokenStage(revocations: path)
      let code = TokenStage.Code().text
      try FileManager.default.moveItem(atPath: path, toPath: path + ".away")
      let answer = try stage.redeem(code)
      #expect(answer.refusal == "503 temporarily_unavailable" && answer.values("Retry-After") == ["1"])
      // Other grants need no folder.
      #expect(try stage.use(try stage.token()).status == 200)
      try FileManager.default.moveItem(atPath: path + ".away", toPath: path)
      let tokens = try Self.tokens(try stage.redeem(code))
      #expect(try stage.use(tokens.access).status == 200)
      #expect(stage.gateway.errors.contains("oauth.revocations: cannot "))
    }
  }
}
