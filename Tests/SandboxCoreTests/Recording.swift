import Foundation
import SandboxCore

/// One exchange recorded from Blnk Core v0.15.2.
struct Recording: Decodable {
  struct Request: Decodable {
    let method: String
    let target: String
    /// As curl takes them: `Name: value`, or `Name;` for an empty value.
    let headers: [String]
    let body: String?
  }

  struct Response: Decodable {
    let status: Int
    let headers: [[String]]
    let body: String
  }

  let section: String
  let title: String
  let request: Request
  let response: Response

  /// A file of `Fixtures`.
  enum File: String {
    case routes = "recordings"
    /// Recorded later: what Core does with a repeated id, reference or indicator. Its rate limiter was off.
    case uniqueness = "recordings-uniqueness"
  }

  static func all(_ file: File) throws -> [Recording] {
    guard let file = Bundle.module.url(forResource: "Fixtures/\(file.rawValue)", withExtension: "jsonl") else {
      throw CocoaError(.fileNoSuchFile)
    }
    let text = try String(contentsOf: file, encoding: .utf8)
    return try text.split(separator: "\n").map { try JSONDecoder().decode(Recording.self, from: Data($0.utf8)) }
  }

  /// The request with every recorded id replaced by the stand-in's.
  func sandboxRequest(_ ids: [String: String]) -> SandboxRequest {
    SandboxRequest(
      method: request.method, target: request.target.replacing(ids), key: field("x-blnk-key"),
      forwardedPrefix: field("x-forwarded-prefix")?.trimmingCharacters(in: .whitespaces),
      body: Array((request.body ?? "").replacing(ids).utf8))
  }

  private func field(_ name: String) -> String? {
    let line = request.headers.first { $0.lowercased().hasPrefix(name) }
    return line.map { String($0.dropFirst(name.count + 1)) }
  }
}

extension String {
  /// Ledger, identity, balance and transaction ids, in their order.
  var ids: [String] { matches(of: /(ldg|idt|bln|txn)_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/).map { String($0.0) } }

  func replacing(_ ids: [String: String]) -> String {
    self.ids.reduce(self) { $0.replacingOccurrences(of: $1, with: ids[$1] ?? $1) }
  }

  /// Without what differs from one run to the next: times, tokens, hashes, counts, the order of Go's maps.
  var withoutChance: String {
    replacing(/20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z/, with: "TIME")
      .replacing(/FPT:[^"\\]*/, with: "FPT")
      .replacing(#"["FirstName","EmailAddress","LastName"]"#, with: #"["EmailAddress","FirstName","LastName"]"#)
      .replacing(/"total_count":[0-9]+/, with: "COUNT")
      .replacing(/"hash":"[0-9a-f]+"/, with: "HASH")
  }
}
