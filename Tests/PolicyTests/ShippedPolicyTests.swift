import Foundation
import Testing

@testable import Policy

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

  @Test func `says which key is not set`() {
    let result = Policy.load(PolicyFolder(path: Self.folder, environment: [:]), now: UnixSeconds(1_800_000_000))
    #expect(result.findings.map(\.keyPath) == ["instances.inst_demo.key.env", "instances.inst_second.key.env"])
    #expect(result.findings.first?.message.hasPrefix("the environment variable BLNK_DEMO_KEY is not set;") == true)
  }
}
