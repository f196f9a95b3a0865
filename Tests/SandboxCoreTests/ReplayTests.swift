import Foundation
import SandboxCore
import Synchronization
import Testing

/// The recorded exchanges in their order against one stand-in.
struct ReplayTests {
  /// It shows the request's forwarding fields, which the gateway never sends.
  private static let leftOut: Set<String> = ["traceparent + X-Request-ID + forwarded headers sent"]

  /// Fields that the server adds or that count requests.
  private static let serverFields: Set<String> = [
    "Ratelimit-Remaining", "X-Rate-Limit-Request-Remote-Addr", "Content-Length", "Transfer-Encoding",
    "Connection",
  ]

  @Test
  func `answers as Core did`() throws {
    var ledger = SandboxLedger.numbered(key: "core-master-key-0001")
    Self.restore(&ledger)
    var ids: [String: String] = [:]
    var agreed = 0
    var skipped = 0
    for recording in try Recording.all() {
      guard !Self.leftOut.contains(recording.title) else {
        skipped += 1
        continue
      }
      let answer = ledger.answer(recording.sandboxRequest(ids))
      let expected = recording.response
      let body = recording.request.method == "HEAD" ? "" : String(decoding: answer.body, as: UTF8.self)
      let (recorded, ours) = try Self.comparable(expected.body, body)
      if recorded.ids.count == ours.ids.count {
        for (old, new) in zip(recorded.ids, ours.ids) where ids[old] == nil { ids[old] = new }
      }
      let comment = Comment(rawValue: "\(recording.section): \(recording.title)")
      let isAgreed = [
        (answer.status == expected.status),
        (ours.withoutChance == recorded.replacing(ids).withoutChance),
        (Self.fields(answer) == Self.fields(expected).map { $0.replacing(ids) }),
      ]
      #expect(answer.status == expected.status, comment)
      #expect(ours.withoutChance == recorded.replacing(ids).withoutChance, comment)
      #expect(Self.fields(answer) == Self.fields(expected).map { $0.replacing(ids) }, comment)
      if isAgreed.allSatisfy(\.self) { agreed += 1 }
    }
    print("recordings: \(agreed) agree, \(skipped) left out")
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

  private static func fields(_ answer: SandboxAnswer) -> [String] {
    answer.fields.filter { !serverFields.contains($0.name) }.map { "\($0.name): \($0.value)" }
  }

  private static func fields(_ response: Recording.Response) -> [String] {
    response.headers.filter { !serverFields.contains($0[0]) }.map { "\($0[0]): \($0[1])" }
  }

  /// Both bodies, without the SQL in `details`, and without what Core kept from before the recording in its lists.
  private static func comparable(_ recorded: String, _ ours: String) throws -> (String, String) {
    guard let left = try? JSONReader.read(Array(recorded.utf8)), let right = try? JSONReader.read(Array(ours.utf8))
    else { return (recorded, ours) }
    if recorded.contains(#""Severity":"ERROR""#) {
      return (recorded.replacing(/"details":\{.*\}\}\}/, with: #""details":{}}}"#), ours)
    }
    guard case .array(let theirs) = left, case .array(let mine) = right, !mine.isEmpty else { return (recorded, ours) }
    let count = min(theirs.count, mine.count)
    return (text(theirs.prefix(count)), text(mine.prefix(count)))
  }

  private static func text(_ elements: ArraySlice<JSONValue>) -> String {
    String(decoding: JSONValue.array(Array(elements)).bytes, as: UTF8.self)
  }
}

extension SandboxLedger {
  /// A stand-in with a clock that ticks and ids that count.
  static func numbered(key: String, recordsMax: Int = 1000) -> SandboxLedger {
    let count = Ticker()
    return SandboxLedger(
      key: key, recordsMax: recordsMax,
      clock: { 1_795_194_369_424_443_233 + count.next() * 1_000_000 },
      makeUUID: { String(format: "00000000-0000-4000-8000-%012d", count.next()) })
  }

  @discardableResult
  mutating func create(_ target: String, _ body: String) -> SandboxAnswer {
    answer(SandboxRequest(method: "POST", target: target, key: "core-master-key-0001", body: Array(body.utf8)))
  }
}

private final class Ticker: Sendable {
  private let count = Atomic<Int64>(0)

  func next() -> Int64 { count.add(1, ordering: .relaxed).newValue }
}
