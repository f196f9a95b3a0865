import Foundation
import TestFolders
import TestSupport
import Testing

/// `top --once`; `Tests/top` has the tests with a terminal.
@Suite(.scopedFixtures, .timeLimit(.minutes(10))) struct TopTests {
  private static let admin: [String: any Sendable] = [
    "address": "127.0.0.1:0", "token": ["env": "TEST_KEY"] as [String: any Sendable],
  ]

  private func top(
    _ folder: TestPolicyFolder, _ gateway: GatewayProcess, key: String = TestPolicyFolder.key, _ more: String...
  )
    throws -> (status: Int32, output: String, errors: String)
  {
    try runCommand(
      ["top", "--policies", folder.path, "--admin", "127.0.0.1:\(gateway.adminPort ?? 0)"] + more,
      environment: ["TEST_KEY": key])
  }

  @Test func `shows the state once, as text and as JSON`() throws {
    let folder = try TestPolicyFolder(instances: [("one", "http://127.0.0.1:1")], gateway: ["admin": Self.admin])
    let gateway = try GatewayProcess(folder)
    let text = try top(folder, gateway, "--once")
    #expect(text.status == 0 && text.errors.isEmpty && text.output.hasPrefix("State: serving\n"))
    #expect(text.output.contains(#/\nInstance +Breaker +Health .*\none +closed +ok /#))
    #expect(text.output.utf8.allSatisfy { (0x20...0x7e).contains($0) || $0 == 0x0a })
    let json = try top(folder, gateway, "--once", "--json")
    let status = try #require(try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
    #expect(json.status == 0 && json.errors.isEmpty && (status["instances"] as? [Any])?.count == 1)
  }

  @Test func `says why it shows nothing`() throws {
    let folder = try TestPolicyFolder(instances: [("one", "http://127.0.0.1:1")], gateway: ["admin": Self.admin])
    let gateway = try GatewayProcess(folder)
    let refused = try top(folder, gateway, key: "wrong", "--once")
    #expect(refused.status == 1 && refused.output.isEmpty)
    #expect(refused.errors.contains("refuses the admin token") && !refused.errors.contains("wrong"))
    let without = try top(folder, gateway)
    #expect(without.status == 1 && without.output.isEmpty && without.errors.contains("must be a terminal"))
    let gone = try runCommand(
      ["top", "--policies", folder.path, "--admin", "127.0.0.1:1", "--once"],
      environment: ["TEST_KEY": TestPolicyFolder.key])
    #expect(gone.status == 1 && gone.errors.contains("no gateway answers at 127.0.0.1:1: Connection refused"))
  }

  @Test func `hostile texts control no terminal`() throws {
    let folder = try TestPolicyFolder(instances: [("one", "http://127.0.0.1:1")], gateway: ["admin": Self.admin])
    let gateway = try GatewayProcess(folder)
    let hostile = "\u{1b}[2J\u{9b}31m\u{202e}"
    try Data("{\"\(hostile.replacing("\u{1b}", with: "\\u001b"))\": 1}".utf8).write(
      to: URL(filePath: folder.path + "/clients.json"))
    gateway.signal(SIGHUP)
    #expect(try eventually(every: 0.1) { try top(folder, gateway, "--once").output.contains("[2J") })
    let text = try top(folder, gateway, "--once")
    #expect(text.output.utf8.allSatisfy { (0x20...0x7e).contains($0) || $0 == 0x0a }, "\(text.output)")
  }
}
