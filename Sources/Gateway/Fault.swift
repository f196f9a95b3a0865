import HTTP1
import Policies
import Upstream

/// What can have become of a request at Core.
enum Outcome: Equatable, Sendable {
  /// Not a byte of it left in any try, or Core refused the gateway's key: its auth runs before any work.
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

/// What failed in an exchange, refusals aside: the cause, from which the code, the source and the breaker's verdict follow.
enum Fault: Error, Equatable, Sendable {
  /// No connection to the instance came about; libcurl's own words are in the log beside it.
  case connect(ConnectFault.Kind)
  /// No connection is free, and the queue is full; or the wait in it took too long.
  case queueFull, queueTimedOut
  case auditUnavailable, auditTimedOut
  case introspectionTimedOut
  // The client, in the middle of its body.
  case bodyTooLarge
  case bodyMalformed(ChunkFault)
  case bodyTimedOut
  // The instance, before its response was relayed.
  case closedWithoutResponse
  /// It closed while the client still owed body bytes, or had owed them: the client's stall may be why.
  case closedDuringUpload
  /// It reads the request too slowly, or does not respond in time.
  case requestNotRead, responseTimedOut
  case headMalformed(ResponseFault)
  case keyRefused
  // While the response was relayed: it is cut.
  case closedInBody
  case chunkMalformed(ChunkFault)
  case responseStalled
  /// The client reads the response too slowly.
  case clientReadsTooSlowly
  /// The gateway stops, and waits no longer.
  case drainTimedOut
  /// A bug: see `ExchangeMachine`.
  case illegalEvent
}

extension Fault {
  /// What the client is told, or the log alone where the response is cut.
  var code: GatewayCode {
    switch self {
    case .connect(let kind): kind.code
    case .queueFull, .queueTimedOut: .upstreamBusy
    case .auditUnavailable, .auditTimedOut: .auditUnavailable
    case .introspectionTimedOut: .introspectionUnavailable
    case .bodyTooLarge: .bodyTooLarge
    case .bodyMalformed: .requestMalformed
    case .bodyTimedOut: .requestTimeout
    case .closedWithoutResponse, .closedDuringUpload: .upstreamBroken
    case .requestNotRead, .responseTimedOut: .upstreamTimeout
    case .headMalformed: .upstreamMalformed
    case .keyRefused: .upstreamKeyRejected
    case .closedInBody, .chunkMalformed, .responseStalled, .clientReadsTooSlowly:
      .responseCut
    case .drainTimedOut: .draining
    case .illegalEvent: .internalFault
    }
  }

  var source: FaultSource {
    switch self {
    case .closedDuringUpload, .clientReadsTooSlowly: .client
    case .connect, .queueFull, .queueTimedOut, .auditUnavailable, .auditTimedOut, .introspectionTimedOut, .bodyTooLarge,
      .bodyMalformed, .bodyTimedOut, .closedWithoutResponse, .requestNotRead, .responseTimedOut, .headMalformed,
      .keyRefused, .closedInBody, .chunkMalformed, .responseStalled, .drainTimedOut,
      .illegalEvent:
      code.source
    }
  }

  /// What the instance's breaker is told: a fault that began with the client never counts.
  var breaker: BreakerVerdict {
    switch self {
    case .closedDuringUpload, .clientReadsTooSlowly: .nothing
    case .closedInBody, .chunkMalformed, .responseStalled: .failure
    case .connect, .queueFull, .queueTimedOut, .auditUnavailable, .auditTimedOut, .introspectionTimedOut, .bodyTooLarge,
      .bodyMalformed, .bodyTimedOut, .closedWithoutResponse, .requestNotRead, .responseTimedOut, .headMalformed,
      .keyRefused, .drainTimedOut, .illegalEvent:
      code.breaker
    }
  }

  /// For the log and `/status`, where the code alone does not tell, and neither libcurl nor the system has words for it.
  var cause: String? {
    switch self {
    case .connect, .queueFull, .auditUnavailable, .bodyTooLarge, .keyRefused: nil
    case .queueTimedOut: "no connection became free within timeouts.queue_s"
    case .auditTimedOut: "the audit log did not make the intent durable in time"
    case .introspectionTimedOut: "the introspection endpoint did not answer in time"
    case .bodyMalformed(let fault): "request body: \(fault.text)"
    case .bodyTimedOut: "the client sent its body too slowly"
    case .closedWithoutResponse: "the instance closed the connection before its response head was whole"
    case .closedDuringUpload: "the instance closed the connection while the client owed body bytes"
    case .requestNotRead: "the instance did not read the request in time"
    case .responseTimedOut: "no response in time"
    case .headMalformed(let fault): "response head: \(fault.text)"
    case .closedInBody: "the instance closed the connection in the middle of the response"
    case .chunkMalformed(let fault): "response body: \(fault.text)"
    case .responseStalled: "the instance paused for too long in the middle of the response"
    case .clientReadsTooSlowly: "the client read the response too slowly"
    case .drainTimedOut: "the gateway stopped before the exchange was over"
    case .illegalEvent: "a bug in the gateway: an event that is illegal in the exchange's state"
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
