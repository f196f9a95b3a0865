import Bytes
import HTTP1
import Policies
import Telemetry
import TestValues
import Testing

@testable import Gateway

@Suite struct LocalReplyWriterTests {
  private struct Kind {
    var reply = LocalReply(Rejection.tokenUnknown)
    var dateLine = "Date: 1\r\n"
    var keepsAlive = true
    var version = Version.http11
    var hasBody = true

    func text(by writer: inout LocalReplyWriter, id: RequestID) -> String {
      let output = ByteBuffer(capacity: 1)
      writer.write(
        reply, id: id, dateLine: Array(dateLine.utf8), keepsAlive: keepsAlive, version: version, hasBody: hasBody,
        to: output)
      return output.text
    }
  }

  /// Each differs from the first in one respect.
  private static let kinds: [Kind] = {
    let (first, retried) = (Kind(), LocalReply(.queueFull, outcome: .notSent))
    var kinds = [
      first, Kind(reply: LocalReply(Rejection.tokenExpired)), Kind(dateLine: "Date: 2\r\n"), Kind(keepsAlive: false),
      Kind(keepsAlive: true, version: .http10), Kind(hasBody: false), Kind(reply: retried),
    ]
    for change in [
      { $0.outcome = .unknown }, { $0.retryAfterSeconds = 2 }, { $0.allow = "GET" }, { $0.challenge = "Bearer" },
      { $0.rate = RateBudget(.read, quota: 1, windowSeconds: 2, resetSeconds: 3) },
      { $0.rate = RateBudget(.read, quota: 1, windowSeconds: 2, resetSeconds: 4) },
    ] as [(inout LocalReply) -> Void] {
      var reply = retried
      change(&reply)
      kinds.append(Kind(reply: reply))
    }
    return kinds
  }()

  @Test func `a reply is the same bytes after another reply as alone`() {
    var kept = LocalReplyWriter()
    var low: UInt64 = 0
    for first in Self.kinds {
      for second in Self.kinds {
        for kind in [first, second, second] {
          low += 1
          let id = RequestID(high: 7, low: low)
          var fresh = LocalReplyWriter()
          #expect(kind.text(by: &kept, id: id) == kind.text(by: &fresh, id: id))
        }
      }
    }
  }
}
