import Foundation
import HTTP1
import Testing

@testable import Policies

@Suite struct ShippedPolicyTests {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../policies").path

  @Test func `loads without a finding once the keys are set`() throws {
    let environment = ["BLNK_DEMO_KEY": "one", "BLNK_SECOND_KEY": "two"]
    let result = Policy.load(PolicyFolder(path: Self.folder, environment: environment), now: UnixSeconds(1_800_000_000))
    let policy = try #require(result.policy)
    #expect(result.findings.isEmpty)
    #expect(policy.instances.map(\.id.text) == ["inst_demo", "inst_second"])
    #expect(policy.instances.map(\.url.authority) == ["127.0.0.1:5001", "127.0.0.1:5002"])
    #expect(policy.clients.map(\.id.text) == ["demo-app", "demo-reader"])
    #expect(policy.settings.listeners.map(\.address.description) == ["127.0.0.1:8080"])
  }

  private static func table(_ file: String) throws -> RouteTable {
    let routes = try String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8)
    let result = try FolderFiles(["routes.json": routes]).load()
    #expect(result.findings.isEmpty)
    return try #require(result.policy).routes
  }

  private static func route(_ method: Method, _ path: String, in table: RouteTable) throws -> Route? {
    let bytes = Array(path.utf8)
    guard let match = table.match(bytes.span, corePath: 0..<bytes.count) else { return nil }
    return table.routes[Int(try table.route(method, at: match))]
  }

  @Test func `the full route table exposes every documented route, and takes large uploads`() throws {
    let table = try Self.table("routes.full.json")
    let documented: [(Method, String)] = [
      (.post, "/balances"), (.put, "/balances/b/identity"), (.get, "/balances/b/at"), (.get, "/balances/b/lineage"),
      (.post, "/identities"), (.put, "/identities/i"), (.get, "/identities/i/tokenized-fields"),
      (.get, "/identities/i/detokenize/LastName"), (.post, "/identities/i/tokenize"),
      (.post, "/identities/i/tokenize/LastName"), (.post, "/identities/i/detokenize"), (.post, "/ldg_1/metadata"),
      (.post, "/ledgers"), (.post, "/transactions"), (.post, "/transactions/bulk"), (.post, "/refund-transaction/t"),
      (.put, "/transactions/inflight/t"), (.get, "/transactions/t/lineage"), (.post, "/reconciliation/start"),
      (.post, "/reconciliation/start-instant"), (.post, "/reconciliation/upload"),
      (.post, "/reconciliation/matching-rules"), (.put, "/reconciliation/matching-rules/r"),
      (.delete, "/reconciliation/matching-rules/r"), (.get, "/reconciliation/r"),
    ]
    for (method, path) in documented {
      let route = try #require(try Self.route(method, path, in: table), "\(path)")
      #expect(route.isWrite == (method != .get))
      #expect(route.bodyBytesMax == (path == "/reconciliation/upload" ? 104_857_600 : nil))
      #expect((route.times != nil) == ["/reconciliation/upload", "/transactions/bulk"].contains(path))
    }
    // What the default table has, the full one has too.
    let patterns = Set(table.routes.map(\.pattern))
    #expect(RouteTable(defaultRoutes).routes.allSatisfy { patterns.contains($0.pattern) })
  }

  @Test func `Core's route table has the full one in it, and reads what only reads`() throws {
    let (core, full) = (try Self.table("routes.core.json"), try Self.table("routes.full.json"))
    for route in full.routes {
      let same = core.routes.first { $0.method == route.method && $0.pattern == route.pattern }
      #expect(same?.operation == route.operation && same?.scope == route.scope && same?.isWrite == route.isWrite)
      #expect(same?.bodyBytesMax == route.bodyBytesMax && same?.times == route.times)
    }
    // A read of another method is sent once too, but has no entry in the audit log.
    let reads = core.routes.filter { !$0.isWrite && $0.method != .get }.map {
      String(decoding: $0.pattern, as: UTF8.self)
    }
    let filters = ["accounts", "balances", "identities", "ledgers", "transactions"].map { "/proxy/\($0)/filter" }
    let searches = ["balances", "identities", "ledgers", "transactions"].map { "/proxy/search/\($0)" }
    #expect(Set(reads) == Set(filters + searches + ["/proxy/multi-search"]))
    #expect(core.routes.allSatisfy { $0.method != .get || !$0.isWrite })
    #expect(try Self.route(.post, "/search/reindex", in: core)?.isWrite == true)
  }

  @Test(arguments: [
    "/api-keys", "/api-keys/k", "/hooks", "/hooks/h", "/backup", "/backup-s3", "/webhook", "/metrics", "/search/hooks",
  ])
  func `Core's route table leaves its administration out`(path: String) throws {
    let table = try Self.table("routes.core.json")
    #expect(try Self.route(.get, path, in: table) == nil)
  }

  @Test func `says which key is not set`() {
    let result = Policy.load(PolicyFolder(path: Self.folder, environment: [:]), now: UnixSeconds(1_800_000_000))
    #expect(result.findings.map(\.keyPath) == ["instances.inst_demo.key.env", "instances.inst_second.key.env"])
    #expect(result.findings.first?.message.hasPrefix("the environment variable BLNK_DEMO_KEY is not set;") == true)
  }
}
