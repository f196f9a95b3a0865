import Digests
import HTTP1
import Testing

@testable import Policies

/// A request that one policy admitted continues under the next one only if that admits it to the same instance.
@Suite struct ReadmitTests {
  /// What a policy says of the client that asks, and of the instances.
  struct Files {
    var client = "app"
    var members = #""scopes": ["*"], "instances": ["inst_a", "inst_b"], "default_instance": "inst_a""#
    var token = "app"
    var expires = "2100-01-01T00:00:00Z"
    var ahead = ""
    var instances = ["inst_a", "inst_b"]
    var writes = true
    var url = "http://127.0.0.1:1"

    func policy() throws -> Policy {
      let digest = SHA256.digest(of: Array(token.utf8).span).hex
      let client =
        #""\#(client)": { \#(members), "tokens": [{"sha256": "\#(digest)", "expires": "\#(expires)"}] }"#
      let entries = instances.map { id in
        #""\#(id)": { "url": "\#(url)", "key": {"env": "DEMO_KEY"}, "writes": \#(writes) }"#
      }
      let files = FolderFiles([
        "clients.json": "{\"clients\": {\(ahead)\(client)}}",
        "instances.json": "{\"instances\": {\(entries.joined(separator: ","))}}",
      ])
      return try #require(try files.load().policy)
    }
  }

  private static let byDefault = Request("POST /balances", ["Authorization: Bearer app"])
  private static let named = Request("POST /proxy/balances?instance_id=inst_a", ["Authorization: Bearer app"])
  private static let read = Request("GET /proxy/balances?instance_id=inst_a", ["Authorization: Bearer app"])

  private static func rejection(
    of request: Request, at now: UnixSeconds = admissionTime, after change: (inout Files) -> Void
  ) throws -> Rejection? {
    var files = Files()
    var caches = TokenCaches()
    let older = try files.policy()
    let parser = try request.parsed()
    let admission = try request.admit(by: older)
    change(&files)
    let newer = try files.policy()
    do throws(Rejection) {
      _ = try newer.readmit(
        parser.head, request.bytes.span, from: Caller(near), at: now, &caches, sameAs: admission, by: older)
      return nil
    } catch {
      return error
    }
  }

  static let rejected: [(String, Rejection, @Sendable (inout Files) -> Void)] = [
    ("the client is revoked", .tokenRevoked, { $0.members += #", "revoked": true"# }),
    ("the token is gone", .tokenUnknown, { $0.token = "another" }),
    ("the token is another client's", .tokenUnknown, { $0.client = "app-2" }),
    ("the token has expired", .tokenExpired, { $0.expires = "2027-01-15T08:00:00Z" }),
    ("the client lacks the scope", .scopeInsufficient(.write), { $0.members.replace("*", with: "proxy:read") }),
    (
      "the client lacks the instance", .instanceForbidden,
      { $0.members = #""scopes": ["*"], "instances": ["inst_b"], "default_instance": "inst_b""# }
    ),
    (
      "the instance is gone", .instanceForbidden,
      {
        $0.instances = ["inst_b"]
        $0.members = #""scopes": ["*"], "instances": ["inst_b"], "default_instance": "inst_b""#
      }
    ),
    ("the instance takes no writes", .instanceReadOnly, { $0.writes = false }),
    ("the networks are others", .networkForbidden, { $0.members += #", "networks": ["192.0.2.0/24"]"# }),
  ]

  @Test(arguments: rejected)
  func `rejects when`(_: String, rejection: Rejection, change: @Sendable (inout Files) -> Void) throws {
    for request in [Self.named, Self.byDefault] {
      #expect(try Self.rejection(of: request, after: change) == rejection)
    }
  }

  @Test func `rejects to send a request without an instance to another default`() throws {
    let change: (inout Files) -> Void = { $0.members.replace(#": "inst_a""#, with: #": "inst_b""#) }
    #expect(try Self.rejection(of: Self.byDefault, after: change) == .instanceForbidden)
    #expect(try Self.rejection(of: Self.named, after: change) == nil)
  }

  @Test func `rejects a token that has expired since, without any change`() throws {
    let now = try #require(UnixSeconds(rfc3339: "2100-01-01T00:00:00Z"))
    #expect(try Self.rejection(of: Self.named, at: now) { _ in } == .tokenExpired)
  }

  static let passed: [(String, @Sendable (inout Files) -> Void)] = [
    ("nothing has changed", { _ in }),
    (
      "all indices have changed",
      {
        $0.ahead = #""x": {"scopes": [], "instances": []},"#; $0.instances.reverse()
      }
    ),
    ("the instance is elsewhere", { $0.url = "http://127.0.0.1:2" }),
  ]

  @Test(arguments: passed)
  func `passes when`(_: String, change: @Sendable (inout Files) -> Void) throws {
    for request in [Self.named, Self.byDefault, Self.read] {
      #expect(try Self.rejection(of: request, after: change) == nil)
    }
  }

  @Test func `passes a read where only writes stop`() throws {
    #expect(try Self.rejection(of: Self.read) { $0.writes = false } == nil)
    #expect(try Self.rejection(of: Self.read) { $0.members.replace("*", with: "proxy:read") } == nil)
  }
}
