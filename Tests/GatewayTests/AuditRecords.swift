import Foundation
import Telemetry
import TestSupport
import Testing

/// The entries of audit files, read by Foundation, which shares nothing with what wrote them.
struct AuditRecords {
  let entries: [[String: any Sendable]]

  init(_ gateway: RunningGateway, _ names: [String] = ["audit.log"]) throws {
    entries = try names.flatMap { name in
      try String(contentsOfFile: "\(gateway.statePath)/\(name)", encoding: .utf8).split(separator: "\n").map { line in
        try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: any Sendable] ?? [:]
      }
    }
  }

  func of(_ kind: String) -> [[String: any Sendable]] { entries.filter { $0["kind"] as? String == kind } }

  var intents: [[String: any Sendable]] { of("intent") }
  var outcomes: [[String: any Sendable]] { of("outcome") }

  /// What became of each write, in the order of the intents; every intent has one outcome, behind it.
  func words() throws -> [String] {
    for (kind, entries) in [("intent", intents), ("outcome", outcomes)] {
      let ids = entries.compactMap { $0["request_id"] as? String }
      #expect(Set(ids).count == ids.count, "\(kind) twice")
    }
    return try intents.map { intent in
      let id = try #require(intent["request_id"] as? String)
      let outcome = try #require(outcomes.first { $0["request_id"] as? String == id }, "no outcome of \(id)")
      return try #require(outcome["outcome"] as? String)
    }
  }

  /// What does not hold of the chains of these files.
  static func findings(_ gateway: RunningGateway, _ names: [String] = ["audit.log"]) throws -> [String] {
    var verifier = AuditVerifier(AuditChain(key: Array(TestPolicyFolder.key.utf8)))
    for name in names {
      verifier.begin(file: name)
      let handle = try FileHandle(forReadingFrom: URL(filePath: "\(gateway.statePath)/\(name)"))
      var lines = AuditLines(handle)
      while try lines.next() { lines.withLine { verifier.read($0, isWhole: lines.isWhole) } }
    }
    verifier.end()
    return verifier.findings.map(\.description)
  }
}
