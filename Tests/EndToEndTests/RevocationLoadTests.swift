import Foundation
import OAuth
import TestFolders
import TestSupport
import Testing

/// A client that revokes as much as it can, on a disk that is slow.
@Suite(.scopedFixtures, .serialized, .timeLimit(.minutes(10))) struct RevocationLoadTests {
  private static let other = [TokenStage.basic("other", TokenStage.otherSecret)]

  /// A gateway for which it takes this long to make a list of revocations durable.
  private static func stage(_ folder: TemporaryFolder, milliseconds: Int, loops: Int = 1) throws -> TokenStage {
    try folder.makeFolder("shared/codes")
    return try TokenStage(
      revocations: folder.path("shared"), loops: loops,
      wrapper: [
        "/usr/bin/strace", "-D", "-f", "-o", "/dev/null", "-P", folder.path("shared"), "-e", "trace=fsync", "-e",
        "inject=fsync:delay_enter=\(1_000 * milliseconds)",
      ])
  }

  /// Requests on a connection each, sent at once.
  private struct Burst {
    let sockets: [TestSocket]

    init(_ requests: [String], _ stage: TokenStage) throws {
      sockets = try requests.map { _ in try TestSocket(port: stage.gateway.port) }
      for (socket, request) in zip(sockets, requests) { try socket.send(request) }
    }

    func answers() throws -> [TestMessage] {
      try sockets.map { socket in
        var reader = TestMessageReader(socket)
        return try #require(try reader.next())
      }
    }
  }

  private static func revocation(of token: String) -> String {
    TokenStage.request("/oauth/revoke", TokenStage.form([("token", token)]))
  }

  private static func seconds(_ body: () throws -> Void) rethrows -> Double {
    let start = ContinuousClock.now
    try body()
    return (ContinuousClock.now - start) / .seconds(1)
  }

  @Test func `one client's revocations delay neither other clients, nor codes, nor other gateways' revocations`() throws
  {
    try withTemporaryFolder { folder in
      let stage = try Self.stage(folder, milliseconds: 500)
      let neighbour = try TokenStage(revocations: folder.path("shared"))
      let mine = (0..<300).map { _ in TokenStage.Code(kind: .access).text }
      let others = (0..<2).map { _ in TokenStage.Code(client: "other", scope: "proxy:read", kind: .access).text }
      #expect(try stage.use(others[0]).status == 200)
      let burst = try Burst(mine.map(Self.revocation), stage)
      var code: TestMessage?
      // Two of its saves at most, where the requests before would take 300.
      var revocation: TestMessage?
      let revoking = try Self.seconds { revocation = try stage.revoke(others[1], fields: Self.other) }
      let redeeming = try Self.seconds { code = try stage.redeem(TokenStage.Code().text) }
      #expect(revocation?.status == 200 && code?.status == 200)
      #expect(redeeming < 1 && revoking < 4, "\(redeeming) \(revoking)")
      #expect(try neighbour.revoke(others[0], fields: Self.other).status == 200)
      var isLearned = false
      let learning = try Self.seconds {
        isLearned = try eventually { try stage.use(others[0]) == (401, "GATEWAY_TOKEN_REVOKED") }
      }
      #expect(isLearned && learning < 3, "\(learning)")
      let answers = try burst.answers()
      let statuses = Dictionary(grouping: answers, by: \.refusal).mapValues(\.count)
      #expect(Set(statuses.keys) == ["200 -", "429 slow_down"], "\(statuses)")
      #expect(statuses["200 -"] ?? 0 >= 64 && statuses["429 slow_down"] ?? 0 > 0, "\(statuses)")
      for (token, answer) in zip(mine, answers) where answer.status == 429 {
        #expect(answer.values("Retry-After") == ["1"])
        // It was refused before any work.
        #expect(try stage.use(token).status == 200)
        break
      }
      for (token, answer) in zip(mine, answers).prefix(100) where answer.status == 200 {
        #expect(try stage.use(token).status == 401)
      }
    }
  }

  @Test func `revoking the same token again and again costs one save`() throws {
    try withTemporaryFolder { folder in
      let stage = try Self.stage(folder, milliseconds: 500)
      let token = TokenStage.Code(kind: .access).text
      var statuses: [Int] = []
      let time = try Self.seconds {
        let burst = try Burst(Array(repeating: Self.revocation(of: token), count: 60), stage)
        statuses = try burst.answers().map(\.status)
      }
      #expect(time < 4, "\(time)")
      let again = try Self.seconds {
        for _ in 0..<20 { statuses.append(try stage.revoke(token).status) }
      }
      #expect(again < 2, "\(again)")
      #expect(statuses == Array(repeating: 200, count: 80))
    }
  }

  @Test func `another client's requests stay quick, and the gateway small, while one revokes`() throws {
    try withTemporaryFolder { folder in
      let entries = (0..<50_000).map { #"{"id":"\#(String(format: "%024x", $0))","expires":4102444800}"# }
      try folder.makeFolder("shared")
      try folder.write("{\"revoked\":[\(entries.joined(separator: ","))]}", to: "shared/a.json")
      let stage = try TokenStage(revocations: folder.path("shared"), loops: 2)
      let token = TokenStage.Code(client: "other", scope: "proxy:read", kind: .access).text
      #expect(try stage.use(token).status == 200)
      let before = try stage.gateway.residentKibibytes()
      for _ in 0..<4 {
        let mine = (0..<250).map { _ in TokenStage.Code(kind: .access).text }
        let burst = try Burst(mine.map(Self.revocation), stage)
        var status = 0
        let time = try Self.seconds { status = try stage.use(token).status }
        #expect(status == 200 && time < 2, "\(time)")
        #expect(try burst.answers().allSatisfy { [200, 429].contains($0.status) })
      }
      // A set of all ids for each revocation and loop would be gigabytes.
      let growth = try stage.gateway.residentKibibytes() - before
      #expect(growth < 100_000, "\(growth) KB")
    }
  }
}
