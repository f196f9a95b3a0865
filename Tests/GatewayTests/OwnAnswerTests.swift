import Foundation
import HTTP1
import Policies
import Reactor
import Telemetry
import Testing

@testable import Gateway

@Suite struct OwnAnswerTests {
  static let rejections: [Rejection] = [
    .tokenRequired, .authorizationMalformed, .tokenUnknown, .tokenExpired, .tokenRevoked, .networkForbidden,
    .pathMalformed(.dotSegment), .routeUnknown, .methodNotAllowed(allow: MethodSet(.get)), .instanceRequired,
    .instanceMalformed, .instanceForbidden, .instanceUnknown,
  ]

  private static let budget = RateBudget(.read, quota: 100, windowSeconds: 2, resetSeconds: 3)

  /// With status, code, Retry-After, and whether the connection ends; all but the budgets' say `not_sent`.
  static let limits: [(Rejection, Int, String, Int?, Bool)] = [
    (.instanceReadOnly, 503, "INSTANCE_READ_ONLY", 30, false), (.bodyTooLarge, 413, "BODY_TOO_LARGE", nil, true),
    (.rateLimited(budget), 429, "RATE_LIMITED", 3, false),
    (.concurrencyLimited(max: 7), 429, "CONCURRENCY_LIMITED", 1, false),
    (.instanceUnavailable(milliseconds: 1_001), 503, "UPSTREAM_UNAVAILABLE", 2, false),
    (.instanceBusy, 503, "UPSTREAM_BUSY", 1, false), (.auditUnavailable, 503, "AUDIT_UNAVAILABLE", 1, false),
    (.draining, 503, "DRAINING", 1, true),
  ]

  static let all: [OwnAnswer] =
    (rejections + limits.map(\.0)).map { OwnAnswer($0) } + Fault.allCases.map { OwnAnswer($0, outcome: .unknown) }
    + HeadFault.Reason.allCases.map { OwnAnswer(HeadFault.malformed($0)) }
    + [.targetTooLong, .headersTooLarge, .notImplemented, .versionUnsupported, .expectationUnsupported].map(
      OwnAnswer.init) + [.headTimedOut]

  @Test func `every answer is valid JSON of the length it states, in Blnk's error shape`() throws {
    for answer in Self.all {
      let text = Self.text(of: answer, hasBody: true)
      let parts = text.firstRange(of: "\r\n\r\n").map { (text[..<$0.lowerBound], text[$0.upperBound...]) }
      let (head, body) = try #require(parts)
      #expect(head.contains("\r\nContent-Length: \(body.utf8.count)\r\n"), "\(answer.code)")
      let object = try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: any Sendable]
      let detail = object?["error_detail"] as? [String: String]
      #expect(object?["error"] as? String == answer.message)
      #expect(detail == ["code": answer.code, "message": answer.message])
      #expect(object?["request_id"] as? String == "00000000000000010000000000000002")
      #expect(object?["outcome"] as? String == answer.outcome.map { "\($0.text)" })
      #expect(head.hasPrefix("HTTP/1.1 \(answer.status) ") && !head.contains(" Error\r\n"))
    }
  }

  @Test func `an answer to HEAD states the length and has no body`() {
    let text = Self.text(of: OwnAnswer(.tokenUnknown), hasBody: false)
    #expect(text.hasSuffix("\r\n\r\n"))
    #expect(!text.contains("Content-Length: 0"))
  }

  @Test(arguments: limits)
  func `a limit is answered as the table says`(
    rejection: Rejection, status: Int, code: String, retryAfter: Int?, closes: Bool
  ) {
    let answer = OwnAnswer(rejection)
    #expect(answer.status == status && answer.code == "GATEWAY_\(code)" && answer.closes == closes)
    #expect(answer.retryAfterSeconds == retryAfter && answer.challenge == nil && answer.allow == nil)
    #expect(answer.outcome == (status == 429 ? nil : .notSent))
    #expect(Self.text(of: answer, hasBody: true).contains("\r\nRateLimit: ") == (status == 429))
  }

  @Test func `a refusal that is no limit leaves outcome, Retry-After and the connection alone`() {
    for answer in Self.rejections.map({ OwnAnswer($0) }) {
      #expect(answer.outcome == nil && answer.retryAfterSeconds == nil && answer.rate == nil && !answer.closes)
    }
  }

  @Test func `a client is told of the budget that is used up`() {
    let rate = Self.text(of: OwnAnswer(.rateLimited(Self.budget)), hasBody: true)
    #expect(rate.contains("\r\nRateLimit-Policy: \"read\";q=100;w=2\r\nRateLimit: \"read\";r=0;t=3\r\n"))
    let concurrency = Self.text(of: OwnAnswer(.concurrencyLimited(max: 7)), hasBody: true)
    #expect(
      concurrency.contains("\r\nRateLimit-Policy: \"concurrent\";q=7;w=1\r\nRateLimit: \"concurrent\";r=0;t=1\r\n"))
  }

  /// The same limit is met before the request waits, and while it does.
  @Test(arguments: [
    (Rejection.instanceBusy, Fault.busy), (.auditUnavailable, .auditUnavailable), (.bodyTooLarge, .bodyTooLarge),
  ])
  func `a rejection and the fault of its code are answered alike`(rejection: Rejection, fault: Fault) {
    #expect(OwnAnswer(rejection) == OwnAnswer(fault, outcome: .notSent))
  }

  @Test func `the statuses of upstream faults are those of the table`() {
    let table: [Fault: (Int, String)] = [
      .auditUnavailable: (503, "GATEWAY_AUDIT_UNAVAILABLE"),
      .refused: (502, "GATEWAY_UPSTREAM_REFUSED"), .unresolved: (502, "GATEWAY_UPSTREAM_UNRESOLVED"),
      .tlsFailed: (502, "GATEWAY_UPSTREAM_TLS_FAILED"), .connectTimedOut: (504, "GATEWAY_UPSTREAM_CONNECT_TIMEOUT"),
      .busy: (503, "GATEWAY_UPSTREAM_BUSY"), .broken: (502, "GATEWAY_UPSTREAM_BROKEN"),
      .malformed: (502, "GATEWAY_UPSTREAM_MALFORMED"), .timedOut: (504, "GATEWAY_UPSTREAM_TIMEOUT"),
      .keyRejected: (502, "GATEWAY_UPSTREAM_KEY_REJECTED"), .bodyTooLarge: (413, "GATEWAY_BODY_TOO_LARGE"),
      .bodyMalformed: (400, "GATEWAY_REQUEST_MALFORMED"),
      .bodyTimedOut: (408, "GATEWAY_REQUEST_TIMEOUT"),
    ]
    for fault in Fault.allCases {
      #expect(table[fault]?.0 == fault.status && table[fault]?.1 == fault.code)
    }
  }

  private static func text(of answer: OwnAnswer, hasBody: Bool) -> String {
    let output = ByteBuffer(capacity: 64)
    var writer = OwnAnswerWriter()
    writer.write(
      answer, id: RequestID(high: 1, low: 2), dateLine: Array("Date: x\r\n".utf8), keepsAlive: true,
      version: .http11, hasBody: hasBody, to: output)
    return output.text
  }
}
