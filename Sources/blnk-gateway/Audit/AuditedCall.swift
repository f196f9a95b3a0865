import FoundationEssentials
import Telemetry

/// A write as the log tells it: its intent, and its outcome where there is one.
struct AuditedCall {
  private let intentLine: [UInt8]
  /// Of the intent.
  private let writer: UInt64
  var outcomeLine: [UInt8]?

  init(intent: Span<UInt8>, writer: UInt64) {
    intentLine = intent.bytes
    self.writer = writer
  }

  /// Both entries as they stand in the log; without an outcome, why it is missing.
  func json(_ writers: AuditWriters) -> String {
    let missing = #"null,"outcome_missing":"\#(writers.state(of: writer).rawValue)""#
    let outcome = outcomeLine.map { String(decoding: $0, as: UTF8.self) } ?? missing
    return #"{"intent":\#(String(decoding: intentLine, as: UTF8.self)),"outcome":\#(outcome)}"#
  }

  func text(_ writers: AuditWriters) -> String {
    guard let intent = Intent(line: intentLine) else { return String(decoding: intentLine, as: UTF8.self) }
    let outcome = outcomeLine.flatMap { try? Self.decoder.decode(Outcome.self, from: Data($0)) }
    let aims = (intent.target ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
    let names = (intent.named ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
    let what = [aims.joined(separator: ", "), names.joined(separator: ", ")].filter { !$0.isEmpty }
    let token = intent.token.map { "token \"\($0)\" " } ?? "token "
    return """
      \(intent.time)  \(intent.operation)  \(what.joined(separator: " → "))
          \(outcome?.text ?? Self.missing(writers.state(of: writer)))
          by \(intent.client), \(token)(sha256 \(intent.tokenSha256 ?? "")…), from \(intent.peer ?? "") to \(intent.instance)
          request \(intent.requestId), body \(intent.bodySha256.map { "sha256 \($0)" } ?? "streamed")
      """
  }

  private static func missing(_ state: AuditWriters.State) -> String {
    switch state {
    case .open: "still open: no outcome in these files yet; the write is under way, or the gateway has been killed"
    case .killed: "its outcome was not on the disk when the gateway was killed; the client may have been answered"
    case .ended: "outcome missing: the gateway ended without writing it; the client may have been answered"
    }
  }

  struct Intent: Decodable {
    let time: String
    let requestId: String
    let operation: String
    let client: String
    let token: String?
    let tokenSha256: String?
    let instance: String
    let peer: String?
    let target: [String: String]?
    let named: [String: String]?
    let bodySha256: String?

    /// nil for a line that is no JSON.
    init?(line: [UInt8]) {
      guard let intent = try? AuditedCall.decoder.decode(Self.self, from: Data(line)) else { return nil }
      self = intent
    }
  }

  private struct Outcome: Decodable {
    let time: String
    let outcome: String
    let status: Int?
    let code: String?

    var text: String {
      "\(outcome)\(status.map { ", status \($0)" } ?? "")\(code.map { ", \($0)" } ?? ""), at \(time)"
    }
  }

  private static var decoder: JSONDecoder {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return decoder
  }
}

extension Span<UInt8> {
  var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    for index in indices { bytes.append(self[index]) }
    return bytes
  }

  /// Whether `part` stands anywhere within.
  func contains(_ part: [UInt8]) -> Bool {
    guard let first = part.first, count >= part.count else { return part.isEmpty }
    for start in 0...count - part.count where self[start] == first {
      var index = 1
      while index < part.count, self[start + index] == part[index] { index += 1 }
      if index == part.count { return true }
    }
    return false
  }
}
