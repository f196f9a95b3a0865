import Foundation
import Synchronization
import Testing

@testable import SandboxCore

/// The recorded exchanges in their order against one stand-in.
struct ReplayTests {
  /// It shows the request's forwarding fields, which the gateway never sends.
  private static let leftOut: Set<String> = ["traceparent + X-Request-ID + forwarded headers sent"]

  /// Status and fields agree; the body says on purpose that nothing is kept.
  private static let greetings: Set<String> = ["GET / (no key)"]

  /// Fields that the server adds or that count requests.
  private static let serverFields: Set<String> = [
    "Ratelimit-Remaining", "X-Rate-Limit-Request-Remote-Addr", "Content-Length", "Transfer-Encoding",
    "Connection",
  ]

  @Test
  func `answers as Core did`() throws {
    var ledger = SandboxLedger.numbered(key: "core-master-key-0001")
    Self.restore(&ledger)
    let report = try Self.replay(.routes, on: &ledger, without: Self.serverFields)
    #expect(report.failed.isEmpty && report.leftOut.count == Self.leftOut.count && report.agreed == 156)
  }

  @Test
  func `answers repeated ids, references and indicators as Core did`() throws {
    var ledger = SandboxLedger.numbered(key: "core-master-key-0001")
    let limiterFields = SandboxResponse.pageNotFound.fields.map(\.name).filter { $0.lowercased().contains("rate") }
    #expect(limiterFields.count == 5)
    let report = try Self.replay(
      .uniqueness, on: &ledger, Self.restoreBalances(&ledger), without: Self.serverFields.union(limiterFields))
    #expect(report.failed.isEmpty && report.leftOut.isEmpty && report.agreed == 21)
  }

  /// - Parameter ids: the sandbox's ids by the recorded ones.
  private static func replay(
    _ file: Recording.File, on ledger: inout SandboxLedger, _ ids: [String: String] = [:], without fields: Set<String>
  ) throws -> ReplayReport {
    var ids = ids
    var report = ReplayReport()
    for (index, recording) in try Recording.all(file).enumerated() {
      let name = "#\(index + 1) \(recording.title)"
      report.count += 1
      guard !Self.leftOut.contains(recording.title) else {
        report.leftOut.append(name)
        continue
      }
      let answer = ledger.answer(recording.sandboxRequest(ids))
      let expected = recording.response
      let body = recording.request.method == "HEAD" ? "" : String(decoding: answer.body, as: UTF8.self)
      let (recorded, ours) = try Self.comparable(expected.body, body)
      if recorded.ids.count == ours.ids.count {
        for (old, new) in zip(recorded.ids, ours.ids) where ids[old] == nil { ids[old] = new }
      }
      let isGreeting = Self.greetings.contains(recording.title)
      let text = isGreeting ? #""sandbox for Blnk Core, in memory only: server running...""# : recorded
      let ourFields = Self.fields(answer, without: fields)
      let expectedFields = Self.fields(expected, without: fields).map { $0.replacing(ids) }
      let isAgreed = [
        answer.status == expected.status, ours.withoutChance == text.replacing(ids).withoutChance,
        ourFields == expectedFields,
      ]
      let comment = Comment(rawValue: "\(recording.section): \(name)")
      #expect(answer.status == expected.status, comment)
      #expect(ours.withoutChance == text.replacing(ids).withoutChance, comment)
      #expect(ourFields == expectedFields, comment)
      if isAgreed.allSatisfy(\.self) { report.agreed += 1 } else { report.failed.append(name) }
      if isGreeting { report.differing.append("\(name) says that this is a sandbox") }
      if Self.hasSQL(expected.body) { report.differing.append("\(name) has SQL texts in its details") }
    }
    let missing = fields.subtracting(Self.serverFields).sorted()
    if !missing.isEmpty { report.differing.append("all lack \(missing.joined(separator: ", "))") }
    print(report)
    return report
  }

  /// What the recorded Core held before: a ledger, and what earlier runs had taken from @World.
  private static func restore(_ ledger: inout SandboxLedger) {
    ledger.create("/ledgers", #"{"name":"ts"}"#)
    for (index, amount) in [1, 1, 1, 1, 1, 6_020_595].enumerated() {
      ledger.create(
        "/transactions",
        #"{"precise_amount":\#(amount),"currency":"USD","reference":"before-\#(index)","description":"d","#
          + #""source":"@World","destination":"@Fees","allow_overdraft":true}"#)
    }
  }

  /// The balances of the second recording, which were created before it: the sandbox's ids by the recorded ones.
  private static func restoreBalances(_ ledger: inout SandboxLedger) -> [String: String] {
    var ids: [String: String] = [:]
    for id in [
      "bln_578a54f0-cdac-4d75-a601-4b470e0c98b8", "bln_23138525-ae9a-4727-b2ac-70eb83bb52b1",
      "bln_c28a0851-2e1a-4d89-9b36-2320261c775b",
    ] {
      let made = ledger.create("/balances", #"{"ledger_id":"general_ledger_id","currency":"USD"}"#)
      ids[id] = String(decoding: made.body, as: UTF8.self).ids.first
    }
    return ids
  }

  private static func fields(_ answer: SandboxResponse, without names: Set<String>) -> [String] {
    answer.fields.filter { !names.contains($0.name) }.map { "\($0.name): \($0.value)" }
  }

  private static func fields(_ response: Recording.Response, without names: Set<String>) -> [String] {
    response.headers.filter { !names.contains($0[0]) }.map { "\($0[0]): \($0[1])" }
  }

  /// Both bodies, without the SQL in `details`, and without what Core kept from before the recording in its lists.
  private static func comparable(_ recorded: String, _ ours: String) throws -> (String, String) {
    guard let left = try? JSONReader.read(Array(recorded.utf8)), let right = try? JSONReader.read(Array(ours.utf8))
    else { return (recorded, ours) }
    if hasSQL(recorded) {
      return (recorded.replacing(/"details":\{.*\}\}\}/, with: #""details":{}}}"#), ours)
    }
    guard case .array(let theirs) = left, case .array(let mine) = right, !mine.isEmpty else { return (recorded, ours) }
    let count = min(theirs.count, mine.count)
    return (text(theirs.prefix(count)), text(mine.prefix(count)))
  }

  private static func hasSQL(_ recorded: String) -> Bool { recorded.contains(#""Severity":"ERROR""#) }

  private static func text(_ elements: ArraySlice<JSONValue>) -> String {
    String(decoding: JSONValue.array(Array(elements)).bytes, as: UTF8.self)
  }
}

/// What came of a replay, printed for the reader.
private struct ReplayReport: CustomStringConvertible {
  var count = 0
  var agreed = 0
  var failed: [String] = []
  var leftOut: [String] = []
  /// Agreed in all but what is said here.
  var differing: [String] = []

  var description: String {
    """
    replay: \(agreed) of \(count) recordings agree, \(leftOut.count) left out: \(leftOut.joined(separator: "; "))
    replay: \(failed.count) fail\(failed.isEmpty ? "" : ": " + failed.joined(separator: "; "))
    replay: \(differing.count) of those that agree are compared without: \(differing.joined(separator: "; "))
    """
  }
}

extension SandboxLedger {
  /// A stand-in with a clock that ticks and ids that count.
  static func numbered(key: String, dialect: CoreDialect = .measured, recordsMax: Int = 1000) -> SandboxLedger {
    let count = Ticker()
    return SandboxLedger(
      key: key, dialect: dialect, recordsMax: recordsMax,
      clock: { 1_795_194_369_424_443_233 + count.next() * 1_000_000 },
      makeUUID: { String(format: "00000000-0000-4000-8000-%012d", count.next()) })
  }

  @discardableResult
  mutating func create(_ target: String, _ body: String) -> SandboxResponse {
    answer(SandboxRequest(method: "POST", target: target, key: "core-master-key-0001", body: Array(body.utf8)))
  }
}

private final class Ticker: Sendable {
  private let count = Atomic<Int64>(0)

  func next() -> Int64 { count.add(1, ordering: .relaxed).newValue }
}
