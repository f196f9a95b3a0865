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

  @Test func `the full route table opens every documented route, and takes large uploads`() throws {
    let routes = try String(contentsOfFile: Self.folder + "/routes.full.json", encoding: .utf8)
    let result = try FolderFiles(["routes.json": routes]).load()
    let table = try #require(result.policy).routes
    #expect(result.findings.isEmpty)
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
      let bytes = Array(path.utf8)
      let found = table.match(bytes.span, corePath: 0..<bytes.count)
      let match = try #require(found, "\(path)")
      let route = table.routes[Int(try table.route(method, at: match))]
      #expect(route.isWrite == (method != .get))
      #expect(route.bodyBytesMax == (path == "/reconciliation/upload" ? 104_857_600 : nil))
      #expect((route.times != nil) == ["/reconciliation/upload", "/transactions/bulk"].contains(path))
    }
    // What the default table has, the full one has too.
    let patterns = Set(table.routes.map(\.pattern))
    #expect(RouteTable(defaultRoutes).routes.allSatisfy { patterns.contains($0.pattern) })
  }

  @Test func `says which key is not set`() {
    let result = Policy.load(PolicyFolder(path: Self.folder, environment: [:]), now: UnixSeconds(1_800_000_000))
    #expect(result.findings.map(\.keyPath) == ["instances.inst_demo.key.env", "instances.inst_second.key.env"])
    #expect(result.findings.first?.message.hasPrefix("the environment variable BLNK_DEMO_KEY is not set;") == true)
  }
}
