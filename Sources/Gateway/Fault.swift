/// What can have become of a request at Core.
enum Outcome: Equatable, Sendable {
  /// Not a byte of it was written.
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

/// Something failed after a request was admitted: upstream's fault, or the client's while it sent its body.
enum Fault: Error, Hashable, Sendable, CaseIterable {
  // Upstream.
  case refused, unresolved, tlsFailed, connectTimedOut, busy, broken, malformed, timedOut, keyRejected
  // The gateway's own: the audit log cannot be told of the write.
  case auditUnavailable
  // Downstream, in the middle of a body.
  case bodyTooLarge, bodyMalformed, bodyTimedOut

  var status: Int {
    switch self {
    case .refused, .unresolved, .tlsFailed, .broken, .malformed, .keyRejected: 502
    case .connectTimedOut, .timedOut: 504
    case .busy, .auditUnavailable: 503
    case .bodyTooLarge: 413
    case .bodyMalformed: 400
    case .bodyTimedOut: 408
    }
  }

  var code: String {
    switch self {
    case .refused: "GATEWAY_UPSTREAM_REFUSED"
    case .unresolved: "GATEWAY_UPSTREAM_UNRESOLVED"
    case .tlsFailed: "GATEWAY_UPSTREAM_TLS_FAILED"
    case .connectTimedOut: "GATEWAY_UPSTREAM_CONNECT_TIMEOUT"
    case .busy: "GATEWAY_UPSTREAM_BUSY"
    case .auditUnavailable: "GATEWAY_AUDIT_UNAVAILABLE"
    case .broken: "GATEWAY_UPSTREAM_BROKEN"
    case .malformed: "GATEWAY_UPSTREAM_MALFORMED"
    case .timedOut: "GATEWAY_UPSTREAM_TIMEOUT"
    case .keyRejected: "GATEWAY_UPSTREAM_KEY_REJECTED"
    case .bodyTooLarge: "GATEWAY_BODY_TOO_LARGE"
    case .bodyMalformed: "GATEWAY_REQUEST_MALFORMED"
    case .bodyTimedOut: "GATEWAY_REQUEST_TIMEOUT"
    }
  }

  var message: String {
    switch self {
    case .refused: "The instance refuses connections. The request was not sent."
    case .unresolved: "The instance's name cannot be resolved. The request was not sent."
    case .tlsFailed: "There is no trusted TLS connection to the instance. The request was not sent."
    case .connectTimedOut: "The instance did not accept a connection in time. The request was not sent."
    case .busy: "All connections to the instance are in use. The request was not sent."
    case .auditUnavailable: "The audit log cannot be written at present. The request was not sent."
    case .broken: "The instance ended the connection without an answer. It may have executed the request."
    case .malformed: "The instance's answer is not valid HTTP."
    case .timedOut: "The instance did not answer in time. It may have executed the request."
    case .keyRejected: "The instance refuses the gateway's own key. The request was not executed."
    case .bodyTooLarge: "The request body is larger than this route takes."
    case .bodyMalformed: "The chunks of the request body are malformed."
    case .bodyTimedOut: "The request body did not arrive in time."
    }
  }

  /// Seconds after which another try makes sense; nil where the status does not call for it.
  var retryAfterSeconds: Int? {
    switch self {
    case .busy, .auditUnavailable: 1
    case .refused, .unresolved, .tlsFailed, .connectTimedOut, .broken, .malformed, .timedOut, .keyRejected,
      .bodyTooLarge, .bodyMalformed, .bodyTimedOut:
      nil
    }
  }

  /// Whether the framing of the client's connection is in doubt, or its body unread.
  var isDownstreams: Bool {
    switch self {
    case .bodyTooLarge, .bodyMalformed, .bodyTimedOut: true
    case .refused, .unresolved, .tlsFailed, .connectTimedOut, .busy, .auditUnavailable, .broken, .malformed, .timedOut,
      .keyRejected:
      false
    }
  }

  /// The codes that speak of the instance itself.
  static let codesOfInstances = Set(allCases.filter { $0.speaksOfIllness || $0 == .keyRejected }.map(\.code))

  /// Whether the instance is not well: what its breaker counts.
  var speaksOfIllness: Bool {
    switch self {
    case .refused, .unresolved, .tlsFailed, .connectTimedOut, .broken, .malformed, .timedOut: true
    // No place and no audit are our own, and a key is no illness.
    case .busy, .auditUnavailable, .keyRejected, .bodyTooLarge, .bodyMalformed, .bodyTimedOut: false
    }
  }
}
