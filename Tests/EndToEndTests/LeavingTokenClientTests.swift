import Foundation
import OAuth
import TestFolders
import TestSupport
import Testing

/// Clients that leave the token endpoint while their code or revocation is written to the shared folder.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct LeavingTokenClientTests {
  /// How a client leaves. A FIN alone is noticed only by the write of the response.
  enum Leaving: CaseIterable {
    case reset, fin
  }

  /// A gateway for which it takes this long to make a name in the shared folder durable; then it may fail.
  private static func stage(_ folder: TemporaryFolder, seconds: Double = 1.5, fails: Bool = false) throws -> TokenStage
  {
    let fault = fails ? ":error=EIO" : ""
    try folder.makeFolder("shared/codes")
    return try TokenStage(
      revocations: folder.path("shared"), settings: ["access_log": "access.log"],
      wrapper: [
        "/usr/bin/strace", "-D", "-f", "-o", "/dev/null", "-P", folder.path("shared"),
        "-P", folder.path("shared/codes"), "-e", "trace=fsync", "-e",
        "inject=fsync\(fault):delay_enter=\(Int(seconds * 1_000_000))",
      ])
  }

  /// Sends a request and leaves once the gateway writes to the shared folder.
  private static func leave(_ stage: TokenStage, _ folder: TemporaryFolder, after request: String, _ leaving: Leaving)
    throws
  {
    let before = try written(folder)
    let socket = try TestSocket(port: stage.gateway.port)
    if leaving == .reset { socket.resetOnClose() }
    try socket.send(request)
    let isBeingWritten = try eventually { try written(folder) != before }
    #expect(isBeingWritten)
    withExtendedLifetime(socket) {}
  }

  /// Everything in the shared folder, with the files that replace others.
  private static func written(_ folder: TemporaryFolder) throws -> Set<String> {
    Set(try FileManager.default.subpathsOfDirectory(atPath: folder.path("shared")))
  }

  private static func usedCodes(_ folder: TemporaryFolder) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path("shared/codes"))
  }

  /// Waits for the audit entries of the token endpoint.
  private static func audited(_ stage: TokenStage, _ count: Int) throws -> [[String: String]] {
    var entries: [[String: any Sendable]] = []
    _ = try eventually {
      entries = try stage.auditedGrants()
      return entries.count >= count
    }
    #expect(entries.count == count)
    return entries.map { $0.compactMapValues { $0 as? String } }
  }

  /// What the access log says about the request of an audit entry.
  private static func logged(_ stage: TokenStage, _ entry: [String: String]) throws -> [String: any Sendable] {
    var found: [String: any Sendable]?
    _ = try eventually {
      let text = try String(contentsOfFile: stage.folder.statePath + "/access.log", encoding: .utf8)
      let line = text.split(separator: "\n").first { $0.contains("\"\(entry["request_id"] ?? "?")\"") }
      found = try line.flatMap { try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: any Sendable] }
      return found != nil
    }
    return try #require(found)
  }

  /// Whether the gateway holds no connection, and has met no phase that it does not expect.
  private static func isIdle(_ stage: TokenStage) throws -> Bool {
    let admin = try #require(stage.gateway.adminPort)
    return try eventually {
      let samples = try TestMessage.asking(port: admin, "/metrics")?.samples ?? [:]
      return samples["blnk_gateway_connections"] == 0 && samples["blnk_gateway_internal_faults_total"] == 0
    }
  }

  @Test(arguments: Leaving.allCases)
  func `a code whose client leaves meanwhile is used, and audited as granted`(leaving: Leaving) throws {
    try withTemporaryFolder { folder in
      let stage = try Self.stage(folder)
      let code = TokenStage.Code().text
      try Self.leave(stage, folder, after: TokenStage.redemption(of: code), leaving)
      let granted = try #require(try Self.audited(stage, 1).first)
      #expect(granted["event"] == "granted" && granted["client"] == "app")
      #expect(try Self.usedCodes(folder) == [try #require(granted["grant_id"])])
      let line = try Self.logged(stage, granted)
      // After a FIN it was answered: the kernel takes the response for a peer that is gone.
      #expect(line["code"] as? String == (leaving == .reset ? "GATEWAY_CLIENT_LEFT" : nil))
      #expect(try Self.isIdle(stage))
      #expect(try stage.redeem(code).refusal == "400 invalid_grant")
      #expect(stage.gateway.stop() == 0)
      #expect(try Self.audited(stage, 2).map { $0["event"] } == ["granted", "refused"])
      #expect(try AuditRecords.findings(stage.folder.statePath) == [])
    }
  }

  /// Its exchange may be the one that the other client has left, and its code is stored behind the other one.
  @Test func `a client that comes after one that has left gets its own tokens`() throws {
    try withTemporaryFolder { folder in
      let stage = try Self.stage(folder)
      let (left, own) = (TokenStage.Code(scope: "proxy:read").text, TokenStage.Code(scope: "proxy:write").text)
      try Self.leave(stage, folder, after: TokenStage.redemption(of: left), .reset)
      #expect(try Self.isIdle(stage))
      let answer = try stage.redeem(own)
      #expect(answer.status == 200 && answer.member("scope") == "proxy:write")
      #expect(try stage.use(try #require(answer.member("access_token")), "POST").status == 200)
      #expect(try Self.audited(stage, 2).map { $0["scope"] } == ["proxy:read", "proxy:write"])
      #expect(try Self.isIdle(stage))
    }
  }

  @Test(arguments: Leaving.allCases)
  func `a revocation whose client leaves meanwhile is in force, stored and audited`(leaving: Leaving) throws {
    try withTemporaryFolder { folder in
      let stage = try Self.stage(folder)
      let token = try stage.token()
      let id = try #require(try Self.audited(stage, 1).first?["token_id"])
      let request = TokenStage.request("/oauth/revoke", TokenStage.form([("token", token)]))
      try Self.leave(stage, folder, after: request, leaving)
      // Before it is stored.
      #expect(try stage.use(token) == (401, "GATEWAY_TOKEN_REVOKED"))
      let revoked = try Self.audited(stage, 2)[1]
      #expect(revoked["event"] == "revoked" && revoked["grant_id"] == id)
      #expect(try Self.isIdle(stage))
      try stage.restart(killing: true)
      #expect(try stage.use(token) == (401, "GATEWAY_TOKEN_REVOKED"))
    }
  }

  @Test(arguments: Leaving.allCases)
  func `a code that cannot be stored, and whose client leaves meanwhile, counts as unused`(leaving: Leaving) throws {
    try withTemporaryFolder { folder in
      let stage = try Self.stage(folder, seconds: 0.5, fails: true)
      let code = TokenStage.Code().text
      try Self.leave(stage, folder, after: TokenStage.redemption(of: code), leaving)
      let refused = try #require(try Self.audited(stage, 1).first)
      #expect(refused["event"] == "refused" && refused["error"] == "temporarily_unavailable")
      #expect(try Self.usedCodes(folder).isEmpty)
      // Not `invalid_grant`, as after a use.
      #expect(try stage.redeem(code).refusal == "503 temporarily_unavailable")
      #expect(try Self.isIdle(stage))
      try stage.restart()
      #expect(try stage.redeem(code).status == 200)
      let audited = try Self.audited(stage, 3)
      #expect(audited.map { $0["event"] } == ["refused", "refused", "granted"])
      #expect(try Self.usedCodes(folder) == [try #require(audited[2]["grant_id"])])
    }
  }

  /// Nothing waits for the file any more, except for the audit log.
  @Test(arguments: ["authorization_code", nil])
  func `a shutdown waits for what is being stored for a client that has left, and for its audit entry`(
    grantType: String?
  ) throws {
    try withTemporaryFolder { folder in
      let stage = try Self.stage(folder)
      let token = try stage.token()
      let id = try #require(try Self.audited(stage, 1).first?["token_id"])
      let request =
        grantType == nil
        ? TokenStage.request("/oauth/revoke", TokenStage.form([("token", token)]))
        : TokenStage.redemption(of: TokenStage.Code().text)
      try Self.leave(stage, folder, after: request, .reset)
      #expect(stage.gateway.stop() == 0)
      let entry = try #require(try Self.audited(stage, 2).last)
      #expect(entry["event"] == (grantType == nil ? "revoked" : "granted") && entry["grant_type"] == grantType)
      #expect(try Self.usedCodes(folder) == (grantType == nil ? [] : [try #require(entry["grant_id"])]))
      if grantType == nil { #expect(entry["grant_id"] == id) }
      #expect(try AuditRecords.findings(stage.folder.statePath) == [])
      try stage.restart()
      #expect(try stage.use(token).status == (grantType == nil ? 401 : 200))
    }
  }

  @Test func `a shutdown waits 5 s for a folder that hangs, and says what the audit log lacks`() throws {
    try withTemporaryFolder { folder in
      let stage = try Self.stage(folder, seconds: 8)
      try Self.leave(stage, folder, after: TokenStage.redemption(of: TokenStage.Code().text), .reset)
      #expect(stage.gateway.stop() == 0)
      let report =
        "oauth.revocations: the folder was not written within 5 s of the shutdown; the audit log does not show"
      #expect(stage.gateway.waitUntilSaid(report))
      #expect(try Self.audited(stage, 0).isEmpty)
      #expect(try AuditRecords.findings(stage.folder.statePath) == [])
    }
  }

  @Test func `a code whose use takes too long to store is answered with 503, is used, and audited as granted`() throws {
    try withTemporaryFolder { folder in
      let stage = try Self.stage(folder, seconds: 7)
      let code = TokenStage.Code().text
      #expect(try stage.redeem(code).refusal == "503 temporarily_unavailable")
      let granted = try #require(try Self.audited(stage, 1).first)
      #expect(granted["event"] == "granted")
      #expect(try Self.usedCodes(folder) == [try #require(granted["grant_id"])])
      // A second use is answered once the revocation of what the code gave is stored.
      #expect(try stage.redeem(code).refusal == "503 temporarily_unavailable")
      let isRevoked = try eventually { try stage.redeem(code).refusal == "400 invalid_grant" }
      #expect(isRevoked)
      #expect(try Self.isIdle(stage))
    }
  }
}
