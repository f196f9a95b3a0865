import Bytes
import FoundationEssentials
import HTTP1
import SmallServer
import System

/// The stand-in behind its server: the ledger, and what came for it.
///
/// Like Core it has no deadlines: an idle or half-sent request stays. Stricter than Core, it takes only what
/// HTTP/1.1 allows.
final class SandboxSite: Site {
  /// The body's bound is Core's own.
  static let bounds = SmallServerBounds(connectionsMax: 1_024, bodyBytesMax: 5 << 20, milliseconds: nil)

  private var ledger: SandboxLedger
  private let requests: ReceivedRequests

  init(key: String, dialect: CoreDialect, requests: ReceivedRequests) {
    self.requests = requests
    ledger = SandboxLedger(
      key: key, dialect: dialect, clock: { MonotonicClock.wallMicroseconds * 1000 },
      makeUUID: { UUID().uuidString.lowercased() })
  }

  func respond(
    to head: borrowing RequestHead, _ bytes: Span<UInt8>, _ request: SmallRequest, _ output: ByteBuffer
  ) -> SmallResponse {
    let received = ReceivedRequest(head, bytes, body: request.body)
    requests.append(received)
    let answer = ledger.answer(SandboxRequest(received))
    let keepsAlive = head.keepAlive && answer.keepsConnection
    let writer = ResponseWriter(
      method: head.method, version: head.version, keepsAlive: keepsAlive, peer: request.peer,
      forwardedFor: received.values(of: "X-Forwarded-For").first, seconds: request.seconds)
    writer.write(answer, to: output)
    return SmallResponse(keepsAlive: keepsAlive)
  }

  func refuse(_ fault: SmallRequestFault, isHead: Bool, at seconds: Int64, to output: ByteBuffer) {
    let answer: SandboxResponse =
      switch fault {
      case .head(let fault): .unreadable(status: fault.status)
      case .body(.tooLarge): .bodyTooLarge
      case .body(.malformed): .unreadable(status: 400)
      }
    let writer = ResponseWriter(
      method: isHead ? .head : .get, version: .http11, keepsAlive: false, peer: nil, forwardedFor: nil, seconds: seconds
    )
    writer.write(answer, to: output)
  }
}
