import Foundation
import Policies
import Testing

/// The table "Replies" of `policies/README.md`.
@Suite struct AnswersTableTests {
  /// Codes without a reply, and codes that no configuration of this version leads to.
  private static let unanswered: Set<GatewayCode> = [.responseCut, .clientLeft, .introspectionUnavailable]

  @Test func `it has every code, with its status`() throws {
    let text = try String(contentsOfFile: ShippedPolicyTests.folder + "/README.md", encoding: .utf8)
    let section = try #require(text.components(separatedBy: "\n## ").first { $0.hasPrefix("Replies\n") })
    let rows = section.split(separator: "\n").filter { $0.hasPrefix("| ") }.map { $0.components(separatedBy: " | ") }
    for code in GatewayCode.allCases where !Self.unanswered.contains(code) {
      let name = code.text.dropFirst("GATEWAY_".count)
      let row = rows.first { row in row.last?.split { !$0.isUppercase && $0 != "_" }.contains(name) == true }
      #expect(row?.joined().contains("\(code.status)") == true, "\(code.text) \(code.status)")
    }
  }
}
