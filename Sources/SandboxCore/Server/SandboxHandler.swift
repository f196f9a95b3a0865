import Bytes
import HTTP1
import SmallServer

/// Answers requests from a ledger and records them.
///
/// Like Core, it has no deadlines: idle connections and incomplete requests stay open. It parses HTTP/1.1 more strictly
/// than Core.
final class SandboxHandler: RequestHandler {
  /// The body limit is Core's.
  static let bounds = SmallServerBounds(connectionsMax: 1_024, bodyBytesMax: 5 << 20, timeoutMilliseconds: nil)

  private let ledger: SharedLedger
  private let requests: ReceivedRequests

  init(_ ledger: SharedLedger, requests: ReceivedRequests) {
    self.ledger = ledger
    self.requests = requests
  }

  func respond(
    to head: borrowing RequestHead, _ bytes: Span<UInt8>, _ request: SmallRequest, _ output: ByteBuffer
  ) -> SmallResponse {
    let received = ReceivedRequest(head, bytes, body: request.body)
    requests.append(received)
    let answer: SandboxResponse
    switch ledger.respond(to: SandboxRequest(received)) {
    case .answer(let response): answer = response
    case .close: return SmallResponse(keepsAlive: false)
    case .silence: return SmallResponse(keepsAlive: true)
    }
    let keepsAlive = head.keepAlive && answer.keepsConnection
    let writer = ResponseWriter(
      method: head.method, version: head.version, keepsAlive: keepsAlive, peer: request.peer,
      forwardedFor: received.values(of: "X-Forwarded-For").first, seconds: request.seconds)
    writer.write(answer, to: output)
    return SmallResponse(keepsAlive: keepsAlive)
  }

  func reject(_ fault: SmallRequestFault, isHead: Bool, at seconds: Int64, to output: ByteBuffer) {
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

extension SandboxRequest {
  fileprivate init(_ received: ReceivedRequest) {
    self.init(
      method: received.method, target: received.target, key: received.values(of: "X-Blnk-Key").first,
      forwardedPrefix: received.values(of: "X-Forwarded-Prefix").first, body: received.body)
  }
}

extension SandboxResponse {
  fileprivate var keepsConnection: Bool { !fields.contains(SandboxField("Connection", "close")) }

  /// The response to a body above Core's limit; Go's server closes the connection after it.
  fileprivate static let bodyTooLarge = CoreError.malformed("http: request body too large").response

  /// The response of Go's server to invalid HTTP, which never reaches Core.
  fileprivate static func unreadable(status: Int) -> SandboxResponse {
    SandboxResponse(
      status: status, fields: [SandboxField("Content-Type", "text/plain; charset=utf-8")],
      body: Array("\(status) invalid HTTP request".utf8))
  }
}

extension HeadFault {
  /// The status of Go's server.
  fileprivate var status: Int {
    switch self {
    case .malformed: 400
    case .targetTooLong, .headersTooLarge: 431
    case .notImplemented: 501
    case .versionUnsupported: 505
    case .expectationUnsupported: 417
    }
  }
}
