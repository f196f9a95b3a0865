import Audit
import FoundationEssentials
import Gateway
import Policies

/// A write in the audit log: its intent and, if there is one, its outcome, and what Core said about it later.
final class LoggedWrite {
  let request: AuditRequestID
  /// Its position in the log.
  let index: Int
  let intentLine: [UInt8]
  /// The writer of the intent.
  private let writer: UInt64
  var outcomeLine: [UInt8]?
  /// The entry of a command that has settled it.
  var settlementLine: [UInt8]?
  /// What Core says now.
  var asked: AskedOutcome?

  init(intent: Span<UInt8>, _ request: AuditRequestID, index: Int, writer: UInt64) {
    self.request = request
    self.index = index
    intentLine = intent.bytes
    self.writer = writer
  }

  /// The entries, verbatim; without an outcome, why it is missing.
  func json(_ writers: AuditWriters) -> String {
    let missing = #"null,"outcome_missing":"\#(writers.state(of: writer).rawValue)""#
    let outcome = outcomeLine.map { String(decoding: $0, as: UTF8.self) } ?? missing
    let settlement = settlementLine.map { #","settlement":\#(String(decoding: $0, as: UTF8.self))"# } ?? ""
    let asked =
      asked.map { #","asked":\#(String(decoding: $0.json(recorded: $0.recorded ?? false), as: UTF8.self))"# } ?? ""
    return #"{"intent":\#(String(decoding: intentLine, as: UTF8.self)),"outcome":\#(outcome)\#(settlement)\#(asked)}"#
  }

  func text(_ writers: AuditWriters) -> String {
    guard let intent else { return printable(String(decoding: intentLine, as: UTF8.self)) }
    let lists = [
      Self.list("sources", intent.sources, more: intent.moreSources),
      Self.list("destinations", intent.destinations, more: intent.moreDestinations),
      Self.list("transactions", intent.transactions, more: intent.moreTransactions),
    ]
    let named = ([Self.list(intent.named)] + lists).filter { !$0.isEmpty }.joined(separator: ", ")
    let subjects = [Self.list(intent.target), named].filter { !$0.isEmpty }.joined(separator: " → ")
    let call = [printable(intent.operation), subjects].filter { !$0.isEmpty }.joined(separator: "  ")
    let token = intent.token.map { "token \"\(printable($0))\" " } ?? "token "
    let own = intent.clientRequestId.map { ", the client's \(printable($0))" } ?? ""
    let identifier = intent.tokenId.map { "id \($0)" } ?? "sha256 \(intent.tokenSha256 ?? "")"
    return """
      \(intent.time)  \(call)
          \(outcome?.text ?? Self.missing(writers.state(of: writer)))\(later)
          by \(printable(intent.client)), \(token)(\(identifier)…), from \(printable(intent.peer ?? "")) to \(printable(intent.instance))
          request \(intent.requestId)\(own), body \(intent.bodySha256.map { "sha256 \($0)" } ?? "streamed")
      """
  }

  /// The ids are what a client has sent.
  private static func list(_ ids: [String: String]?) -> String {
    (ids ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key) \(printable($0.value))" }.joined(separator: ", ")
  }

  private static func list(_ name: String, _ elements: [[String: String]]?, more: Int?) -> String {
    guard let elements else { return "" }
    let texts = elements.map { element in
      elementKeys.compactMap { element[$0].map(printable) }.joined(separator: " ")
    }
    return "\(name) \((texts + (more.map { ["\($0) more"] } ?? [])).joined(separator: "; "))"
  }

  private static let elementKeys = [
    "identifier", "distribution", "reference", "source", "destination", "amount", "precise_amount", "currency",
  ]

  /// The outcome in a line; nil if it is not one.
  static func outcome(_ line: Span<UInt8>) -> Outcome? {
    Outcome(auditLine: line.bytes)
  }

  var intent: Intent? { Intent(auditLine: intentLine) }

  var outcome: Outcome? { outcomeLine.flatMap { Outcome(auditLine: $0) } }

  /// The ids by which Core knows a transaction that was settled.
  var settlementIDs: [String] { [settlement?.id, settlement?.executionId].compactMap(\.self) }

  private var settlement: Settlement? {
    settlementLine.flatMap { Settlement(auditLine: $0) }
  }

  /// A line each for what an earlier question and this one have found.
  private var later: String {
    let lines = [settlement.map { "\($0.text), as Core said at \($0.time)" }, asked.map { "asked now: \($0.text)" }]
    return lines.compactMap(\.self).map { "\n    \($0)" }.joined()
  }

  private static func missing(_ state: AuditWriters.State) -> String {
    switch state {
    case .open: "no outcome yet: the write is in progress, or the gateway was killed"
    case .killed: "outcome missing: it was not on disk when the gateway was killed; the client may have got a response"
    case .ended: "outcome missing: the gateway stopped without writing it; the client may have got a response"
    }
  }

  struct Intent: Decodable {
    let time: String
    let requestId: String
    let operation: String
    let method: String?
    let path: String?
    let client: String
    let token: String?
    let tokenSha256: String?
    let tokenId: String?
    let instance: String
    let peer: String?
    let target: [String: String]?
    let named: [String: String]?
    let bodySha256: String?
    let clientRequestId: String?
    let sources: [[String: String]]?
    let destinations: [[String: String]]?
    let transactions: [[String: String]]?
    let moreSources: Int?
    let moreDestinations: Int?
    let moreTransactions: Int?

    /// The segments of the path at Core.
    var corePath: [String] {
      let segments = (path ?? "").split(separator: "/").map(String.init)
      switch segments.first {
      case "proxy": return Array(segments.dropFirst())
      case "instances": return Array(segments.dropFirst(2))
      default: return segments
      }
    }
  }

  struct Outcome: Decodable {
    let time: String
    let outcome: String
    let status: Int?
    let code: String?
    let balanceId: String?
    let identityId: String?
    let ledgerId: String?
    let transactionId: String?

    /// The ids in Core's response.
    var ids: [String: String] {
      ["balance_id": balanceId, "identity_id": identityId, "ledger_id": ledgerId, "transaction_id": transactionId]
        .compactMapValues(\.self)
    }

    fileprivate var text: String {
      let ids = ids.isEmpty ? "" : ", \(LoggedWrite.list(ids))"
      return
        "\(outcome)\(status.map { ", status \($0)" } ?? "")\(code.map { ", \($0)" } ?? "")\(ids); outcome written at \(time)"
    }
  }

  private struct Settlement: Decodable {
    let time: String
    let outcome: String
    let id: String?
    /// The transaction by which Core has executed a queued one.
    let executionId: String?
    let coreStatus: String?

    /// Core has chosen the id and the status.
    var text: String {
      "\(outcome)\(id.map { ", \(printable($0))" } ?? "")\(coreStatus.map { " \(printable($0))" } ?? "")"
    }
  }
}

extension AskedOutcome {
  fileprivate var text: String {
    let transaction = status.map { " \(printable($0))" } ?? ""
    let execution = executionId.map { ", executed as \(printable($0))" } ?? ""
    let what =
      "\(outcome == .unknown ? "still unknown" : outcome.rawValue)\(id.map { ", \(printable($0))" } ?? "")\(transaction)"
    let isLost = isSettled && recorded != true
    return "\(what)\(execution)\(reason.map { ": \($0)" } ?? "")\(isLost ? "; the audit log could not be written" : "")"
  }
}

extension Span<UInt8> {
  var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    for index in indices { bytes.append(self[index]) }
    return bytes
  }

  /// Whether `part` occurs in it.
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

extension Command.Option {
  static let auditJSON = Command.Option(
    name: "--json", value: nil, help: "print a JSON object per line, with the entries \"intent\" and \"outcome\"")
}
