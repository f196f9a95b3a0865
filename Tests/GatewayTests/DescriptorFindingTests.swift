import Foundation
import Policies
import Testing

@testable import Gateway

@Suite struct DescriptorFindingTests {
  @Test(arguments: [
    ("{\n\"limits\": {\"connections\": 1000, \"upstream_connections\": 1000}}", Finding.Severity.error, false),
    ("{\n\"limits\": {\"connections\": 100}}", .note, true), ("{\n\"limits\": {}}", .note, true),
    ("{\n\"limits\": {\"connections\": 100, \"upstream_connections\": 100}}", nil, true),
  ])
  func `refuses stated bounds that do not fit, and notes defaults that become less`(
    text: String, severity: Finding.Severity?, isValid: Bool
  ) throws {
    let path = NSTemporaryDirectory() + "descriptor-tests-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    try Data(text.utf8).write(to: URL(filePath: path + "/gateway.json"))
    try Data(#"{"instances": {}}"#.utf8).write(to: URL(filePath: path + "/instances.json"))
    try Data(#"{"clients": {}}"#.utf8).write(to: URL(filePath: path + "/clients.json"))
    let folder = PolicyFolder(path: path, environment: [:])
    let policy = try #require(Policy.load(folder, now: UnixSeconds(0)).policy)
    let result = policy.fitted(toDescriptors: 1_024, in: folder)
    #expect((result.policy != nil) == isValid)
    #expect(result.findings.map(\.severity) == (severity.map { [$0] } ?? []))
    #expect(result.findings.allSatisfy { $0.line == 2 && $0.keyPath == "limits" && $0.message.contains("descriptors") })
    // Fitted once, it fits.
    if let fitted = result.policy { #expect(fitted.fitted(toDescriptors: 1_024, in: folder).findings.isEmpty) }
  }
}
