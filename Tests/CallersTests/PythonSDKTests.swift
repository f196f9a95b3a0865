import Foundation
import Reactor
import SandboxCore
import TestFolders
import TestSupport
import Testing

/// `blnk-python` of PyPI.
enum PythonSDK {
  static let isThere = package.install()

  static let package = PythonPackage("blnk-python", version: "1.6.0")
}

/// Blnk's Python SDK from PyPI; its callers set base URL, key and instance id only.
@Suite(
  .scopedFixtures, .timeLimit(.minutes(10)),
  .enabled(if: PythonSDK.isThere, "blnk-python cannot be installed from PyPI"))
struct PythonSDKTests {
  private static let callCount = 56

  /// How a caller configures the SDK.
  struct Mode: Sendable, CustomTestStringConvertible {
    let path: String
    let instance: String
    var token = TestPolicyFolder.token
    var testDescription: String { "base URL …\(path), instance_id \(instance)" }
  }

  static let modes = [
    // As documented for Blnk Cloud.
    Mode(path: "/proxy", instance: "one"), Mode(path: "", instance: "one"),
    Mode(path: "/instances/one", instance: "one"), Mode(path: "/instances/one", instance: ""),
    Mode(path: "", instance: "", token: TestPolicyFolder.directToken),
  ]

  @Test(arguments: modes)
  func `every call gets the same response through the gateway as from Core`(mode: Mode) throws {
    let reference = try Self.withStage { core, _ in
      try Self.transcript("python_sdk", base: "http://127.0.0.1:\(core.address.port ?? 0)", TestPolicyFolder.key, "")
    }
    try Self.withStage { core, gateway in
      let base = "http://127.0.0.1:\(gateway.port)\(mode.path)"
      let relayed = try Self.transcript("python_sdk", base: base, mode.token, mode.instance)
      #expect(relayed == reference)
      #expect(core.received.count == Self.callCount)
      #expect(core.received.allSatisfy { !$0.target.contains("instance") })
      expectOwnKeyOnly(core)
    }
    #expect(reference.count == Self.callCount)
    for call in ["ledgers.create 201", "balances.update_identity 200", "transactions.create 201", "search.filter 200"] {
      #expect(reference.contains { $0.hasPrefix(call) }, "\(call): \(reference)")
    }
  }

  @Test func `calls to Core's administration have no route`() throws {
    try Self.withStage { core, gateway in
      let base = "http://127.0.0.1:\(gateway.port)/proxy"
      let lines = try Self.transcript("python_sdk_administration", base: base, TestPolicyFolder.token, "one")
      #expect(lines.count == 8 && lines.allSatisfy { $0.hasSuffix(" 404 GATEWAY_ROUTE_UNKNOWN") }, "\(lines)")
      #expect(core.received.isEmpty)
    }
  }

  @Test func `an unknown token is an error of the SDK`() throws {
    try Self.withStage { core, gateway in
      let base = "http://127.0.0.1:\(gateway.port)/proxy"
      let lines = try Self.transcript("python_sdk_administration", base: base, "blnk_at_unknown", "one")
      #expect(lines.count == 8 && lines.allSatisfy { $0.hasSuffix(" 401 GATEWAY_TOKEN_INVALID") }, "\(lines)")
      #expect(core.received.isEmpty)
    }
  }

  private struct NotRun: Error {
    let output: String
  }

  /// The output lines of a fixture script.
  private static func transcript(_ script: String, base: String, _ key: String, _ instance: String) throws -> [String] {
    let path = try #require(Bundle.module.url(forResource: "Fixtures/\(script)", withExtension: "py")).path
    let (status, output) = try PythonSDK.package.run("python", [path, base, key, instance])
    let text = String(decoding: output, as: UTF8.self)
    guard status == 0 else { throw NotRun(output: text) }
    return text.split(separator: "\n").map(String.init)
  }

  /// A new stand-in, and a gateway in front of it with all of Core's routes.
  private static func withStage<Result>(
    _ body: (SandboxServer, RunningGateway) throws -> Result
  ) throws -> Result {
    let core = try sandbox()
    let gateway = try RunningGateway(upstreams: [("one", try #require(core.address.port))], routes: try coreRoutes())
    return try body(core, gateway)
  }

  /// The shipped route table.
  private static func coreRoutes() throws -> [String: any Sendable]? {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../policies/routes.core.json")
    let root = try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: any Sendable]
    return root?["routes"] as? [String: any Sendable]
  }
}
