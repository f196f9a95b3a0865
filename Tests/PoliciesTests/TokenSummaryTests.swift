import Foundation
import Testing

@testable import Policies

/// What metrics say about the tokens of the policy files, and for how many clients.
@Suite struct TokenSummaryTests {
  private static let now = UnixSeconds(1_800_000_000)

  private func digest(_ number: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: 64 - digits.count) + digits
  }

  private func token(_ number: Int, _ more: String = "") -> String { #"{"sha256": "\#(digest(number))"\#(more)}"# }

  private func expires(_ seconds: Int64) -> String { #", "expires": "\#(UnixSeconds(seconds))""# }

  private func client(_ name: String, _ tokens: [String], _ more: String = "") -> String {
    #""\#(name)": {"scopes": ["proxy:read"], "instances": ["inst_demo"], "tokens": [\#(tokens.joined(separator: ","))]\#(more)}"#
  }

  @Test func `the soonest expiry of a client is that of its tokens in force`() throws {
    let now = Self.now.rawValue
    let bound = #", "instances": ["inst_demo"]"#
    let clients = [
      client("expired", [token(1, expires(now - 5)), token(2, expires(now + 30)), token(3, expires(now + 20))]),
      client("forever", [token(4)]),
      client("bound", [token(5, expires(now + 90)), token(6, expires(now + 80) + bound), token(7, bound)]),
      client("revoked", [token(8, expires(now + 10))], #", "revoked": true"#),
      client("no_tokens", []),
      client("one_revoked", [token(9, expires(now + 10)), token(10, expires(now + 70) + bound)]),
    ]
    let files = FolderFiles([
      "clients.json": #"{"clients": {\#(clients.joined(separator: ","))}}"#,
      "revoked.json":
        #"{"revoked": {"tokens": ["\#(digest(9))"], "token_ids": ["\#(String(repeating: "a", count: 24))"]}}"#,
    ])
    let policy = try #require(try files.load().policy)
    let summary = policy.tokenSummary(at: Self.now)
    #expect(summary.soonestExpiry.map { $0.map { $0.rawValue - now } } == [20, nil, 80, nil, nil, 70])
    #expect(summary.revokedClients == 1 && summary.revokedTokens == 1 && policy.revokedIDCount == 1)
  }

  @Test func `a summary is kept until a token ends, another policy is in force, or the clock is set back`() throws {
    let now = Self.now.rawValue
    let files = FolderFiles([
      "clients.json": #"{"clients": {\#(client("app", [token(1, expires(now + 10)), token(2, expires(now + 50))]))}}"#
    ])
    let policy = try #require(try files.load().policy)
    var kept = KeptTokenSummary()
    func soonest(_ generation: Int, _ seconds: Int64) -> Int64? {
      let summary = kept.summary(of: policy, generation: generation, at: UnixSeconds(now + seconds))
      return summary.soonestExpiry[0].map { $0.rawValue - now }
    }
    #expect(soonest(1, 0) == 10 && soonest(1, 9) == 10 && kept.readings == 1)
    #expect(soonest(1, 10) == 50 && soonest(1, 49) == 50 && kept.readings == 2)
    #expect(soonest(1, 50) == nil && soonest(1, 99) == nil && kept.readings == 3)
    #expect(soonest(1, 5) == 10 && kept.readings == 4)
    #expect(soonest(2, 5) == 10 && kept.readings == 5)
  }

  @Test(arguments: [(1_000, true), (1_000, false), (1_001, true), (1_001, false)])
  func `clients are counted up to 1,000, and a warning says so above`(count: Int, asked: Bool) throws {
    let clients = (0..<count).map { client("c\($0)", []) }.joined(separator: ",")
    let result = try FolderFiles([
      "clients.json": #"{"clients": {\#(clients)}}"#,
      "gateway.json": "{\n\"metrics\": {\"by_client\": \(asked)}}",
    ]).load()
    let policy = try #require(result.policy)
    #expect(policy.listsClients == (count == 1_000) && policy.countsClients == (asked && count == 1_000))
    let warning =
      "policies/gateway.json:2: warning: metrics: 1001 clients are more than 1000: requests are not counted by client"
    let found = result.findings.filter { $0.keyPath == "metrics" }.map(\.description)
    #expect(found == (asked && count == 1_001 ? [warning] : []))
    #expect(policy.tokenSummary(at: Self.now).soonestExpiry.count == (count == 1_000 ? 1_000 : 0))
  }
}
