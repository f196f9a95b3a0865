import Bytes
import Foundation
import HTTP1
import Policies
import Reactor
import Telemetry
import TestSupport
import TestValues
import Testing
import Upstream

@testable import Gateway

@Suite struct LocalReplyTests {
  static let rejections: [Rejection] = [
    .tokenRequired, .authorizationMalformed, .tokenUnknown, .tokenExpired, .tokenRevoked, .networkForbidden,
    .pathMalformed(.dotSegment), .routeUnknown, .methodNotAllowed(allow: MethodSet(.get)), .instanceRequired,
    .instanceMalformed, .instanceForbidden, .instanceUnknown, .instanceReadOnly, .instanceMisconfigured,
    .idempotencyKeyRequired, .idempotencyKeyReused, .idempotencyRecordDiffers, .idempotencyInProgress,
    .idempotencyResponseNotKept(status: 201),
    .outcomeUnknown, .journalUnavailable,
  ]

  static let all: [LocalReply] =
    rejections.map { LocalReply($0) } + IdempotencyKeyFault.allCases.map { LocalReply(.idempotencyKeyMalformed($0)) }
    + GatewayCode.allCases.map { LocalReply($0) }
    + GatewayCode.allCases.map {
      var reply = LocalReply($0)
      reply.outcome = .unknown
      return reply
    } + HeadFault.Reason.allCases.map { LocalReply(HeadFault.malformed($0)) }
    + [HeadFault.targetTooLong, .headersTooLarge, .notImplemented, .versionUnsupported, .expectationUnsupported].map {
      LocalReply($0)
    } + [.overloaded(connectionsMax: 12_000), .addressOverloaded(connectionsMax: 10)]

  @Test func `every reply is valid JSON of the length it states, in Blnk's error shape`() throws {
    for reply in Self.all {
      var parser = TestMessageParser()
      parser.append(Array(Self.text(of: reply, hasBody: true).utf8))
      let parsed = parser.next()
      let message = try #require(parsed, "\(reply.code)")
      #expect(message["Content-Length"] != nil && parser.rest.isEmpty, "\(reply.code)")
      let object = try JSONSerialization.jsonObject(with: Data(message.body)) as? [String: any Sendable]
      let detail = object?["error_detail"] as? [String: String]
      #expect(object?["error"] as? String == reply.message)
      #expect(detail == ["code": reply.code.text, "message": reply.message])
      #expect(object?["request_id"] as? String == "00000000000000010000000000000002")
      #expect(object?["outcome"] as? String == reply.outcome.map { "\($0.text)" })
      // With a reason phrase.
      let start = "HTTP/1.1 \(reply.code.status) "
      #expect(message.startLine.hasPrefix(start) && message.startLine != start)
    }
  }

  @Test func `a reply to HEAD states the length and has no body`() {
    let text = Self.text(of: LocalReply(.tokenInvalid), hasBody: false)
    #expect(text.hasSuffix("\r\n\r\n"))
    #expect(!text.contains("Content-Length: 0"))
  }

  @Test func `a reply that invites a retry says that the request was not sent, unless an earlier one is in progress`() {
    for code in GatewayCode.allCases {
      let isSaid = code.retryAfterSeconds != nil && code != .idempotencyInProgress
      #expect(LocalReply(code).outcome == (isSaid ? .notSent : nil), "\(code)")
    }
    #expect(LocalReply(GatewayCode.idempotencyInProgress).retryAfterSeconds == 1)
    for rejection in Self.rejections where rejection.code != .instanceMisconfigured {
      #expect(LocalReply(rejection).outcome == LocalReply(rejection.code).outcome, "\(rejection)")
    }
  }

  @Test func `every code has a unique text`() {
    let texts = GatewayCode.allCases.map(\.text)
    #expect(Set(texts).count == texts.count)
    #expect(texts.allSatisfy { $0.hasPrefix("GATEWAY_") })
  }

  static let upstreamFaults: [(Fault, Int, String, FaultSource, BreakerVerdict)] = [
    (.auditUnavailable, 503, "AUDIT_UNAVAILABLE", .gateway, .nothing),
    (.auditTimedOut, 503, "AUDIT_UNAVAILABLE", .gateway, .nothing),
    (.introspectionTimedOut, 503, "INTROSPECTION_UNAVAILABLE", .gateway, .nothing),
    (.connect(.refused), 502, "UPSTREAM_REFUSED", .instance, .failure),
    (.connect(.unresolved), 502, "UPSTREAM_UNRESOLVED", .instance, .failure),
    (.connect(.tlsFailed), 502, "UPSTREAM_TLS_FAILED", .instance, .failure),
    (.connect(.timedOut), 504, "UPSTREAM_CONNECT_TIMEOUT", .instance, .failure),
    (.connect(.closedEarly), 502, "UPSTREAM_REFUSED", .instance, .failure),
    (.connect(.spokeFirst), 502, "UPSTREAM_MALFORMED", .instance, .failure),
    (.queueFull, 503, "UPSTREAM_BUSY", .instance, .nothing),
    (.queueTimedOut, 503, "UPSTREAM_BUSY", .instance, .nothing),
    (.closedWithoutResponse, 502, "UPSTREAM_BROKEN", .instance, .failure),
    (.closedDuringUpload, 502, "UPSTREAM_BROKEN", .client, .nothing),
    (.headMalformed(.headTooLarge), 502, "UPSTREAM_MALFORMED", .instance, .failure),
    (.requestNotRead, 504, "UPSTREAM_TIMEOUT", .instance, .failure),
    (.responseTimedOut, 504, "UPSTREAM_TIMEOUT", .instance, .failure),
    (.keyRefused, 502, "UPSTREAM_KEY_REJECTED", .instance, .nothing),
    (.bodyTooLarge, 413, "BODY_TOO_LARGE", .client, .nothing),
    (.bodyMalformed(.sizeMalformed), 400, "REQUEST_MALFORMED", .client, .nothing),
    (.bodyTimedOut, 408, "REQUEST_TIMEOUT", .client, .nothing),
    (.closedInBody, 502, "ANSWER_CUT", .instance, .failure),
    (.chunkMalformed(.bareCR), 502, "ANSWER_CUT", .instance, .failure),
    (.responseStalled, 502, "ANSWER_CUT", .instance, .failure),
    (.downstreamStalled, 502, "ANSWER_CUT", .client, .nothing),
    (.drainTimedOut, 503, "DRAINING", .gateway, .nothing),
    (.illegalEvent, 500, "INTERNAL_FAULT", .gateway, .nothing),
  ]

  @Test(arguments: upstreamFaults)
  func `each fault has its status, its code, its source and the breaker's verdict`(
    fault: Fault, status: Int, code: String, source: FaultSource, verdict: BreakerVerdict
  ) {
    #expect(fault.code.status == status && fault.code.text == "GATEWAY_\(code)")
    #expect(fault.source == source && fault.breaker == verdict)
  }

  private static func text(of reply: LocalReply, hasBody: Bool) -> String {
    let output = ByteBuffer(capacity: 64)
    var writer = LocalReplyWriter()
    writer.write(
      reply, id: RequestID(high: 1, low: 2), dateLine: Array("Date: x\r\n".utf8), keepsAlive: true,
      version: .http11, hasBody: hasBody, to: output)
    return output.text
  }
}
