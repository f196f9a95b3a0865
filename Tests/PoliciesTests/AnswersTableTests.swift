import Foundation
import Policies
import Testing

/// The table "Answers" of `README.md`.
@Suite struct AnswersTableTests {
  /// What has no reply, and what no configuration of this version brings about.
  private static let unanswered: Set<GatewayCode> = [.responseCut, .clientLeft, .introspectionUnavailable]

  @Test func `it has every code, with its status`() throws {
    let text = try String(contentsOfFile: ShippedPolicyTests.folder + "/../README.md", encoding: .utf8)
    let section = try #require(text.components(separatedBy: "\n## ").first { $0.hasPrefix("Answers\n") })
    let rows = section.split(separator: "\n").filter { $0.hasPrefix("| ") }.map { $0.components(separatedBy: " | ") }
    for code in GatewayCode.allCases where !Self.unanswered.contains(code) {
      let name = code.text.dropFirst("GATEWAY_".count)
      let row = rows.first { row in row.last?.split { !$0.isUppercase && $0 != "_" }.contains(name) == true }
      #expect(row?.joined().contains("\(code.status)") == true, "\(code.text) \(code.status)")
    }
  }
}
