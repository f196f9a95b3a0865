import Foundation
import Policies
import TestFolders
import Testing

@testable import Gateway

@Suite struct DescriptorFindingTests {
  @Test(arguments: [
    ("{\n\"limits\": {\"connections\": 1000, \"upstream_connections\": 1000}}", Finding.Severity.error, false),
    ("{\n\"limits\": {\"connections\": 100}}", .note, true), ("{\n\"limits\": {}}", .note, true),
    ("{\n\"limits\": {\"connections\": 100, \"upstream_connections\": 100}}", nil, true),
  ])
  func `rejects configured bounds that do not fit, and notes reduced defaults`(
    text: String, severity: Finding.Severity?, isValid: Bool
  ) throws {
    try withTemporaryFolder { files in
      try files.write(text, to: "gateway.json")
      try files.write(#"{"instances": {}}"#, to: "instances.json")
      try files.write(#"{"clients": {}}"#, to: "clients.json")
      let folder = PolicyFolder(path: files.path, environment: [:])
      let policy = try #require(Policy.load(folder, now: UnixSeconds(0)).policy)
      let result = policy.fitted(toDescriptors: 1_024, in: FolderReading(folder))
      #expect((result.policy != nil) == isValid)
      #expect(result.findings.map(\.severity) == (severity.map { [$0] } ?? []))
      #expect(
        result.findings.allSatisfy { $0.line == 2 && $0.keyPath == "limits" && $0.message.contains("descriptors") })
      // Bounds that were reduced once fit.
      if let fitted = result.policy {
        #expect(fitted.fitted(toDescriptors: 1_024, in: FolderReading(folder)).findings.isEmpty)
      }
    }
  }
}
