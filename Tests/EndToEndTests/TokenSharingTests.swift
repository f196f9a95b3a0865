import Foundation
import TestFolders
import TestSupport
import Testing

/// Two gateways with the same keys and the same folder of revocations.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct TokenSharingTests {
  private static func withPair(_ body: (TokenStage, TokenStage, TemporaryFolder) throws -> Void) throws {
    try withTemporaryFolder { folder in
      try body(try TokenStage(revocations: folder.path), try TokenStage(revocations: folder.path), folder)
    }
  }

  private static let revoked = (401, "GATEWAY_TOKEN_REVOKED")

  /// Whether it holds within the two seconds in which a gateway learns of another one's revocation.
  private static func soon(_ condition: () throws -> Bool) throws -> Bool {
    let end = ContinuousClock.now + .seconds(2)
    while try !condition() {
      guard ContinuousClock.now < end else { return false }
      Thread.sleep(forTimeInterval: 0.05)
    }
    return true
  }

  @Test func `each accepts the other's tokens and, within two seconds, its revocations`() throws {
    try Self.withPair { first, second, _ in
      for (one, two) in [(first, second), (second, first)] {
        let token = try one.token()
        #expect(try two.use(token).status == 200)
        let code = try one.redeem(TokenStage.Code().text)
        let refresh = try #require(code.member("refresh_token"))
        let renewed = try two.refresh(refresh)
        #expect(renewed.status == 200)
        #expect(try one.revoke(token).status == 200 && two.revoke(refresh).status == 200)
        #expect(try one.use(token) == Self.revoked)
        let isSeen = try Self.soon { try two.use(token) == Self.revoked }
        #expect(isSeen)
        let access = try #require(code.member("access_token"))
        let isGrantSeen = try Self.soon { try one.use(access) == Self.revoked }
        #expect(isGrantSeen)
        #expect(try one.refresh(refresh).refusal == "400 invalid_grant")
      }
    }
  }

  @Test func `a code works at exactly one of them, and its second use revokes what it gave`() throws {
    try Self.withPair { first, second, _ in
      var wins = [0, 0]
      var tokens: [String] = []
      for round in 0..<50 {
        let request = TokenStage.redemption(of: TokenStage.Code().text)
        let sockets = try [first, second].map { try TestSocket(port: $0.gateway.port) }
        for index in [round & 1, 1 - (round & 1)] { try sockets[index].send(request) }
        let answers = try sockets.map { socket in
          var reader = TestMessageReader(socket)
          return try #require(try reader.next())
        }
        #expect(answers.map(\.refusal).sorted() == ["200 -", "400 invalid_grant"], "round \(round)")
        for (index, answer) in answers.enumerated() where answer.status == 200 {
          wins[index] += 1
          tokens.append(try #require(answer.member("access_token")))
        }
      }
      #expect(tokens.count == 50 && !wins.contains(0), "\(wins)")
      for stage in [first, second] {
        let isRevoked = try Self.soon { try tokens.allSatisfy { try stage.use($0) == Self.revoked } }
        #expect(isRevoked)
      }
    }
  }

  @Test func `another gateway's corrupt file is reported once, and what it revoked stays revoked`() throws {
    try Self.withPair { first, second, folder in
      let (byFirst, bySecond, kept) = (try first.token(), try second.token(), try first.token())
      #expect(try first.revoke(byFirst).status == 200)
      let name = try #require(try folder.entries.first { $0.hasSuffix(".json") })
      let isSeen = try Self.soon { try second.use(byFirst) == Self.revoked }
      #expect(isSeen)
      let path = folder.path(name)
      let good = try Data(contentsOf: URL(filePath: path))
      try good.dropLast(5).write(to: URL(filePath: path))
      try folder.write("not JSON", to: "notes.json")
      let report = "\(name) is not a list of revocations"
      #expect(second.gateway.waitUntilSaid(report) && second.gateway.waitUntilSaid("notes.json is not a list"))
      #expect(try second.revoke(bySecond).status == 200)
      let isSeenByFirst = try Self.soon { try first.use(bySecond) == Self.revoked }
      #expect(isSeenByFirst)
      Thread.sleep(forTimeInterval: 2.5)
      for text in [report, "notes.json is not a list"] {
        #expect(second.gateway.errors.ranges(of: text).count == 1)
      }
      #expect(try second.use(byFirst) == Self.revoked && second.use(kept).status == 200)
      try good.write(to: URL(filePath: path))
      try FileManager.default.removeItem(atPath: folder.path("notes.json"))
      Thread.sleep(forTimeInterval: 1.5)
      #expect(try second.use(byFirst) == Self.revoked)
    }
  }

  @Test func `a gateway with another key accepts nothing of theirs, but their revocations`() throws {
    try withTemporaryFolder { folder in
      let first = try TokenStage(revocations: folder.path)
      let other = try TokenStage(revocations: folder.path, oauth: ["keys": [TokenStage.secondKeyEntry]])
      let token = try first.token()
      #expect(try other.use(token) == (401, "GATEWAY_TOKEN_INVALID"))
      #expect(try other.redeem(TokenStage.Code().text).refusal == "400 invalid_grant")
      // It cannot know whose token that was (RFC 7009 §2.2: a success).
      #expect(try other.revoke(token).status == 200)
      #expect(try first.use(token).status == 200)
    }
  }
}
