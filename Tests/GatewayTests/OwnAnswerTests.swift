import Bytes
import Foundation
import HTTP1
import Policies
import Telemetry
import TestValues
import Testing

@testable import Gateway

@Suite struct OwnAnswerTests {
  static let rejections: [Rejection] = [
    .tokenRequired, .authorizationMalformed, .tokenUnknown, .tokenExpired, .tokenRevoked, .networkForbidden,
    .pathMalformed(.dotSegment), .routeUnknown, .methodNotAllowed(allow: MethodSet(.get)), .instanceRequired,
    .instanceMalformed, .instanceForbidden, .instanceUnknown, .instanceReadOnly,
  ]

  static let all: [OwnAnswer] =
    rejections.map { OwnAnswer($0) } + Fault.allCases.map { OwnAnswer($0, outcome: .unknown) }
    + HeadFault.Reason.allCases.map { OwnAnswer(HeadFault.malformed($0)) }
    + [.targetTooLong, .headersTooLarge, .notImplemented, .versionUnsupported, .expectationUnsupported].map(
      OwnAnswer.init) + [.headTimedOut, .bodyTooLarge, .draining]

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
