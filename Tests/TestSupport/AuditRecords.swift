import Audit
import Foundation
import System

/// The entries of audit files, read by Foundation, which shares no code with their writer.
package struct AuditRecords {
  /// Entries that contradict each other.
  package struct Broken: Error {
    let what: String
  }

  package let entries: [[String: any Sendable]]

  /// - Parameter folder: the folder of the files.
  package init(_ folder: String, _ names: [String] = ["audit.log"]) throws {
    entries = try names.flatMap { name in
      // A line that a killed process did not complete is not an entry.
      try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8).split(separator: "\n").compactMap { line in
        let entry = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: any Sendable]
        return entry?.merging(["file": name]) { $1 }
      }
    }
  }

  private func of(_ kind: String) -> [[String: any Sendable]] { entries.filter { $0["kind"] as? String == kind } }

  package var intents: [[String: any Sendable]] { of("intent") }
  package var outcomes: [[String: any Sendable]] { of("outcome") }

  /// The outcome of each write, in the order of the intents; every intent has one outcome. A file that was set aside
  /// may lack an outcome, which the next one then has.
  package func words() throws -> [String] {
    for (kind, entries) in [("intent", intents), ("outcome", outcomes)] {
      let ids = entries.map { "\($0["file"] as? String ?? "") \($0["request_id"] as? String ?? "")" }
      guard Set(ids).count == ids.count else { throw Broken(what: "\(kind) twice") }
    }
    return try intents.map { intent in
      guard let id = intent["request_id"] as? String else { throw Broken(what: "an intent without a request_id") }
      let outcome = outcomes.first { $0["request_id"] as? String == id }
      guard let word = outcome?["outcome"] as? String else { throw Broken(what: "no outcome of \(id)") }
      return word
    }
  }

  /// What `AuditVerifier` finds wrong in these files.
  package static func findings(_ folder: String, _ names: [String] = ["audit.log"]) throws -> [String] {
    var verifier = AuditVerifier(AuditChain(key: Array(TestPolicyFolder.key.utf8)))
    for name in names {
      verifier.begin(file: name)
      var lines = LogLines(try InputFile(path: "\(folder)/\(name)"))
      while try lines.next() { lines.withLine { verifier.read($0, isWhole: lines.isWhole) } }
    }
    verifier.end()
    return verifier.findings.map(\.description)
  }
}
