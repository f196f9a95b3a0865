import Foundation
import Testing

@testable import Policies

/// To be cut down line by line, as the keys come into force.
@Suite struct NotInForceTests {
  static let gateway = """
    { "listen": ["127.0.0.1:1", { "address": "127.0.0.1:2", "proxy_protocol": true }], "admin": "127.0.0.1:3",
      "trusted_proxies": ["10.0.0.0/8"], "watch": true,
      "health_on_listen": true, "limits": { "connections_per_address": 1 } }
    """
  static let instances = """
    { "instances": { "inst_demo": { "url": "http://a", "key": [{ "env": "DEMO_KEY" }, { "env": "DEMO_KEY" }],
      "limits": { "concurrent": 1 }, "health": { "interval_s": 1 }, "breaker": { "failures": 1 } } } }
    """
  static let clients = """
    { "clients": { "demo": { "scopes": ["proxy:read"], "instances": ["inst_demo"], "default_instance": "inst_demo",
      "limits": { "concurrent": 1 } } } }
    """

  @Test func `names each key that is set without effect`() throws {
    let findings = try findings(Self.gateway, Self.instances, Self.clients)
    #expect(
      findings.map(\.keyPath) == [
        "listen[1].proxy_protocol", "trusted_proxies",
      ])
    #expect(findings.filter { $0.severity == .error }.map(\.keyPath) == ["listen[1].proxy_protocol"])
    #expect(findings[1].line == 2)
    #expect(findings[1].message == "not implemented in this version; has no effect")
  }

  @Test func `says nothing of keys that are off, or absent`() throws {
    let off = try findings(
      """
      { "listen": { "address": "127.0.0.1:2", "proxy_protocol": false }, "admin": null, "trusted_proxies": [],
        "watch": false, "limits": { "connections_per_address": 0 } }
      """,
      """
      { "instances": { "inst_demo": { "url": "http://a", "key": [{ "env": "DEMO_KEY" }],
        "limits": { "concurrent": 0 }, "health": { "interval_s": 0 }, "breaker": { "failures": 0 } } } }
      """, FolderFiles.clients)
    #expect(off.isEmpty)
    #expect(try findings(nil, FolderFiles.instances, FolderFiles.clients).isEmpty)
  }

  private func findings(_ gateway: String?, _ instances: String, _ clients: String) throws -> [Finding] {
    let files = FolderFiles(["gateway.json": gateway, "instances.json": instances, "clients.json": clients])
    return try files.withFolder { folder in
      #expect(Policy.load(folder, now: UnixSeconds(1_800_000_000)).policy != nil)
      return Policy.unimplementedKeyFindings(in: FolderReading(folder))
    }
  }
}
