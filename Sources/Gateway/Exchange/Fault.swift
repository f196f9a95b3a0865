import HTTP1
import Policies
import Upstream

/// Whether Core may have executed a request.
enum Outcome: Equatable, Sendable {
  /// No try sent a byte, except those whose key Core refused: it checks the key before any work.
  case notSent
  /// Core may have executed it.
  case unknown

  var text: String {
    switch self {
    case .notSent: "not_sent"
    case .unknown: "unknown"
    }
  }
}

/// The cause of a failed exchange (not of a rejected one). The code, the source and the breaker's verdict follow from
/// it.
enum Fault: Error, Equatable, Sendable {
  /// Connecting to the instance failed. The log also has libcurl's message.
  case connect(ConnectFault.Kind)
  /// No connection was free, and the queue was full or the wait in it too long.
  case queueFull, queueTimedOut
  case auditUnavailable, auditTimedOut
  /// The journal has no place for the key, or does not answer.
  case journalUnavailable, journalTimedOut
  case introspectionTimedOut
  case grantTimedOut
  // The request's body.
  case bodyTooLarge
  case bodyMalformed(ChunkFault)
  case bodyTimedOut
  // The instance, before its response was relayed.
  case closedWithoutResponse
  /// It closed while the body was incomplete and had stalled: the stall may be the reason.
  case closedDuringUpload
  /// It did not read the request, or did not respond, in time.
  case requestNotRead, responseTimedOut
  case headMalformed(ResponseFault)
  case keyRefused
  /// It closed in the middle of a response that the journal would have kept.
  case closedBeforeEnd
  // While the response was being relayed; it is then cut off.
  case closedInBody
  case chunkMalformed(ChunkFault)
  case responseStalled
  /// Downstream did not read the response in time.
  case downstreamStalled
  /// The gateway stopped before the exchange ended.
  case drainTimedOut
  /// A bug: see `ExchangeMachine`.
  case illegalEvent
}

extension Fault {
  /// The code of the local reply; if the response is cut, for the log only.
  var code: GatewayCode {
    switch self {
    case .connect(let kind): kind.code
    case .queueFull, .queueTimedOut: .upstreamBusy
    case .auditUnavailable, .auditTimedOut: .auditUnavailable
    case .journalUnavailable, .journalTimedOut: .journalUnavailable
    case .introspectionTimedOut: .introspectionUnavailable
    case .grantTimedOut: .oauthUnavailable
    case .bodyTooLarge: .bodyTooLarge
    case .bodyMalformed: .requestMalformed
    case .bodyTimedOut: .requestTimeout
    case .closedWithoutResponse, .closedDuringUpload, .closedBeforeEnd: .upstreamBroken
    case .requestNotRead, .responseTimedOut: .upstreamTimeout
    case .headMalformed: .upstreamMalformed
    case .keyRefused: .upstreamKeyRejected
    case .closedInBody, .chunkMalformed, .responseStalled, .downstreamStalled:
      .responseCut
    case .drainTimedOut: .draining
    case .illegalEvent: .internalFault
    }
  }

  var source: FaultSource {
    switch self {
    case .closedDuringUpload, .downstreamStalled: .client
    case .connect, .queueFull, .queueTimedOut, .auditUnavailable, .auditTimedOut, .journalUnavailable,
      .journalTimedOut, .introspectionTimedOut, .grantTimedOut, .bodyTooLarge, .closedBeforeEnd,
      .bodyMalformed, .bodyTimedOut, .closedWithoutResponse, .requestNotRead, .responseTimedOut, .headMalformed,
      .keyRefused, .closedInBody, .chunkMalformed, .responseStalled, .drainTimedOut,
      .illegalEvent:
      code.source
    }
  }

  /// The verdict for the instance's breaker. A fault that began downstream never counts.
  var breaker: BreakerVerdict {
    switch self {
    case .closedDuringUpload, .downstreamStalled: .nothing
    case .closedInBody, .chunkMalformed, .responseStalled: .failure
    case .connect, .queueFull, .queueTimedOut, .auditUnavailable, .auditTimedOut, .journalUnavailable,
      .journalTimedOut, .introspectionTimedOut, .grantTimedOut, .bodyTooLarge, .closedBeforeEnd,
      .bodyMalformed, .bodyTimedOut, .closedWithoutResponse, .requestNotRead, .responseTimedOut, .headMalformed,
      .keyRefused, .drainTimedOut, .illegalEvent:
      code.breaker
    }
  }

  /// A description for the log and `/status`; nil if the code says enough, or libcurl or the system describes the
  /// error.
  var cause: String? {
    switch self {
    case .connect, .queueFull, .auditUnavailable, .journalUnavailable, .bodyTooLarge, .keyRefused: nil
    case .queueTimedOut: "no connection became free within timeouts.queue_s"
    case .journalTimedOut: "the journal of idempotency keys did not answer in time"
    case .auditTimedOut: "the audit log did not make the intent durable in time"
    case .grantTimedOut: "the folder of oauth.revocations could not be written in time"
    case .introspectionTimedOut: "the introspection endpoint did not answer in time"
    case .bodyMalformed(let fault): "request body: \(fault.text)"
    case .bodyTimedOut: "the client sent the request body too slowly"
    case .closedWithoutResponse: "the instance closed the connection before its response head was complete"
    case .closedDuringUpload: "the instance closed the connection before the request body was complete"
    case .requestNotRead: "the instance did not read the request in time"
    case .responseTimedOut: "the instance did not respond in time"
    case .headMalformed(let fault): "response head: \(fault.text)"
    case .closedInBody, .closedBeforeEnd: "the instance closed the connection in the middle of the response"
    case .chunkMalformed(let fault): "response body: \(fault.text)"
    case .responseStalled: "the instance paused for too long in the middle of the response"
    case .downstreamStalled: "the client read the response too slowly"
    case .drainTimedOut: "the gateway stopped before the exchange ended"
    case .illegalEvent: "a bug in the gateway: an illegal event in the exchange's state machine"
    }
  }
}

extension ConnectFault.Kind {
  fileprivate var code: GatewayCode {
    switch self {
    case .refused, .closedEarly: .upstreamRefused
    case .unresolved: .upstreamUnresolved
    case .tlsFailed: .upstreamTLSFailed
    case .timedOut: .upstreamConnectTimeout
    case .spokeFirst: .upstreamMalformed
    }
  }
}
