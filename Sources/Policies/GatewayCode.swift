/// Every response of the gateway's own, and every early end of an exchange, by the code that replies, the access log, the
/// audit log and metrics show.
///
/// One case has one status, one source and one meaning for the breaker, whatever led to it; the cause is the log's.
package enum GatewayCode: UInt8, CaseIterable, Sendable {
  // Refused before anything is asked of an instance: the client's to change.
  case tokenRequired, authorizationMalformed, tokenInvalid, tokenExpired, tokenRevoked, networkForbidden
  case routeUnknown, methodNotAllowed, scopeInsufficient
  case instanceRequired, instanceMalformed, instanceForbidden, instanceUnknown
  case rateLimited, concurrencyLimited
  // Bad HTTP.
  case requestMalformed, requestTimeout, bodyTooLarge, targetTooLong, expectationUnsupported, headersTooLarge
  case notImplemented, versionUnsupported
  // The gateway's own state.
  case draining, overloaded, auditUnavailable, introspectionUnavailable, instanceReadOnly, instanceMisconfigured
  case upstreamBusy, upstreamUnavailable
  // The instance failed.
  case upstreamRefused, upstreamUnresolved, upstreamTLSFailed, upstreamConnectTimeout
  case upstreamBroken, upstreamMalformed, upstreamTimeout, upstreamKeyRejected
  // No reply: the client's connection ends in the middle of a response, or ended before one.
  case responseCut, clientLeft
  /// A bug: an event that is illegal in the exchange's state.
  case internalFault
}

/// Whose fault it is.
package enum FaultSource: String, Sendable {
  case client, gateway, instance
}

/// What the instance's circuit breaker is told.
package enum BreakerVerdict: Equatable, Sendable {
  case nothing
  case success
  case failure
}

extension GatewayCode {
  /// `error_detail.code`, the reason in logs and the label in metrics.
  package var text: String {
    switch self {
    case .tokenRequired: "GATEWAY_TOKEN_REQUIRED"
    case .authorizationMalformed: "GATEWAY_AUTHORIZATION_MALFORMED"
    case .tokenInvalid: "GATEWAY_TOKEN_INVALID"
    case .tokenExpired: "GATEWAY_TOKEN_EXPIRED"
    case .tokenRevoked: "GATEWAY_TOKEN_REVOKED"
    case .networkForbidden: "GATEWAY_NETWORK_FORBIDDEN"
    case .routeUnknown: "GATEWAY_ROUTE_UNKNOWN"
    case .methodNotAllowed: "GATEWAY_METHOD_NOT_ALLOWED"
    case .scopeInsufficient: "GATEWAY_SCOPE_INSUFFICIENT"
    case .instanceRequired: "GATEWAY_INSTANCE_REQUIRED"
    case .instanceMalformed: "GATEWAY_INSTANCE_MALFORMED"
    case .instanceForbidden: "GATEWAY_INSTANCE_FORBIDDEN"
    case .instanceUnknown: "GATEWAY_INSTANCE_UNKNOWN"
    case .rateLimited: "GATEWAY_RATE_LIMITED"
    case .concurrencyLimited: "GATEWAY_CONCURRENCY_LIMITED"
    case .requestMalformed: "GATEWAY_REQUEST_MALFORMED"
    case .requestTimeout: "GATEWAY_REQUEST_TIMEOUT"
    case .bodyTooLarge: "GATEWAY_BODY_TOO_LARGE"
    case .targetTooLong: "GATEWAY_TARGET_TOO_LONG"
    case .expectationUnsupported: "GATEWAY_EXPECTATION_UNSUPPORTED"
    case .headersTooLarge: "GATEWAY_HEADERS_TOO_LARGE"
    case .notImplemented: "GATEWAY_NOT_IMPLEMENTED"
    case .versionUnsupported: "GATEWAY_VERSION_UNSUPPORTED"
    case .draining: "GATEWAY_DRAINING"
    case .overloaded: "GATEWAY_OVERLOADED"
    case .auditUnavailable: "GATEWAY_AUDIT_UNAVAILABLE"
    case .introspectionUnavailable: "GATEWAY_INTROSPECTION_UNAVAILABLE"
    case .instanceReadOnly: "GATEWAY_INSTANCE_READ_ONLY"
    case .instanceMisconfigured: "GATEWAY_INSTANCE_MISCONFIGURED"
    case .upstreamBusy: "GATEWAY_UPSTREAM_BUSY"
    case .upstreamUnavailable: "GATEWAY_UPSTREAM_UNAVAILABLE"
    case .upstreamRefused: "GATEWAY_UPSTREAM_REFUSED"
    case .upstreamUnresolved: "GATEWAY_UPSTREAM_UNRESOLVED"
    case .upstreamTLSFailed: "GATEWAY_UPSTREAM_TLS_FAILED"
    case .upstreamConnectTimeout: "GATEWAY_UPSTREAM_CONNECT_TIMEOUT"
    case .upstreamBroken: "GATEWAY_UPSTREAM_BROKEN"
    case .upstreamMalformed: "GATEWAY_UPSTREAM_MALFORMED"
    case .upstreamTimeout: "GATEWAY_UPSTREAM_TIMEOUT"
    case .upstreamKeyRejected: "GATEWAY_UPSTREAM_KEY_REJECTED"
    case .responseCut: "GATEWAY_ANSWER_CUT"
    case .clientLeft: "GATEWAY_CLIENT_LEFT"
    case .internalFault: "GATEWAY_INTERNAL_FAULT"
    }
  }

  /// RFC 9110 §15; for the codes without a reply, what one would say.
  package var status: Int {
    switch self {
    case .authorizationMalformed, .instanceRequired, .instanceMalformed, .requestMalformed: 400
    case .tokenRequired, .tokenInvalid, .tokenExpired, .tokenRevoked: 401
    case .networkForbidden, .scopeInsufficient, .instanceForbidden: 403
    case .routeUnknown, .instanceUnknown: 404
    case .methodNotAllowed: 405
    case .requestTimeout, .clientLeft: 408
    case .bodyTooLarge: 413
    case .targetTooLong: 414
    case .expectationUnsupported: 417
    case .rateLimited, .concurrencyLimited: 429
    case .headersTooLarge: 431
    case .internalFault: 500
    case .notImplemented: 501
    case .upstreamRefused, .upstreamUnresolved, .upstreamTLSFailed, .upstreamBroken, .upstreamMalformed,
      .upstreamKeyRejected, .responseCut:
      502
    case .draining, .overloaded, .auditUnavailable, .introspectionUnavailable, .instanceReadOnly,
      .instanceMisconfigured, .upstreamBusy,
      .upstreamUnavailable:
      503
    case .upstreamConnectTimeout, .upstreamTimeout: 504
    case .versionUnsupported: 505
    }
  }

  /// One sentence for the client's developer, where the case at hand has none of its own; needs no escape in JSON.
  package var message: String {
    switch self {
    case .tokenRequired: "Send an access token as Authorization: Bearer <token>, or as X-Blnk-Key."
    case .authorizationMalformed: "Send exactly one access token: as Authorization: Bearer <token>, or as X-Blnk-Key."
    case .tokenInvalid: "The access token is not known."
    case .tokenExpired: "The access token has expired."
    case .tokenRevoked: "The access token is revoked."
    case .networkForbidden: "The client may not call from this address."
    case .routeUnknown: "There is no such route."
    case .methodNotAllowed: "The route does not take this method."
    case .scopeInsufficient: "The access token lacks the scope that the route asks for."
    case .instanceRequired: "Name the instance: as ?instance_id=<id>, or as /instances/<id>/<path>."
    case .instanceMalformed:
      "Send instance_id once, written plainly and not empty; path, query and Host must name the same instance."
    case .instanceForbidden: "The client may not use this instance."
    case .instanceUnknown: "There is no such instance."
    case .rateLimited: "The client has sent too many requests."
    case .concurrencyLimited: "The client has too many requests under way."
    case .requestMalformed: "The chunks of the request body are malformed."
    case .requestTimeout: "The request did not arrive in time."
    case .bodyTooLarge: "The request body is larger than this route takes."
    case .targetTooLong: "The request line is too long."
    case .expectationUnsupported: "Only Expect: 100-continue is supported."
    case .headersTooLarge: "The header fields are too large or too many."
    case .notImplemented: "The transfer coding is not supported."
    case .versionUnsupported: "Only HTTP/1.1 and HTTP/1.0 are supported."
    case .draining: "The gateway is shutting down. The request was not sent."
    case .overloaded: "Connection limit reached. No request was sent."
    case .auditUnavailable: "The audit log cannot be written at present. The request was not sent."
    case .introspectionUnavailable: "The access token cannot be checked at present. The request was not sent."
    case .instanceReadOnly: "The instance takes no writes at present."
    case .instanceMisconfigured:
      "The gateway cannot reach the instance until its configuration is repaired. Nothing was sent."
    case .upstreamBusy: "All connections to the instance are in use. The request was not sent."
    case .upstreamUnavailable: "The instance does not answer at present. The request was not sent."
    case .upstreamRefused: "The instance refuses connections. The request was not sent."
    case .upstreamUnresolved: "The instance's name cannot be resolved. The request was not sent."
    case .upstreamTLSFailed: "There is no trusted TLS connection to the instance. The request was not sent."
    case .upstreamConnectTimeout: "The instance did not accept a connection in time. The request was not sent."
    case .upstreamBroken: "The instance ended the connection without an answer. It may have executed the request."
    case .upstreamMalformed: "The instance's answer is not valid HTTP."
    case .upstreamTimeout: "The instance did not answer in time. It may have executed the request."
    case .upstreamKeyRejected: "The instance refuses the gateway's own key. The request was not executed."
    case .responseCut: "The response was cut off."
    case .clientLeft: "The client closed the connection."
    case .internalFault: "The gateway has a bug. The request may have been executed."
    }
  }

  /// Seconds after which another try makes sense, as `Retry-After`; nil where waiting alone does not help.
  package var retryAfterSeconds: Int? {
    switch self {
    case .concurrencyLimited, .draining, .overloaded, .auditUnavailable, .introspectionUnavailable, .upstreamBusy: 1
    case .instanceReadOnly, .instanceMisconfigured: 30
    // The case at hand says when: a budget, a breaker's pause.
    case .rateLimited, .upstreamUnavailable: 1
    case .tokenRequired, .authorizationMalformed, .tokenInvalid, .tokenExpired, .tokenRevoked, .networkForbidden,
      .routeUnknown, .methodNotAllowed, .scopeInsufficient, .instanceRequired, .instanceMalformed, .instanceForbidden,
      .instanceUnknown, .requestMalformed, .requestTimeout, .bodyTooLarge, .targetTooLong, .expectationUnsupported,
      .headersTooLarge, .notImplemented, .versionUnsupported, .upstreamRefused, .upstreamUnresolved,
      .upstreamTLSFailed, .upstreamConnectTimeout, .upstreamBroken, .upstreamMalformed, .upstreamTimeout,
      .upstreamKeyRejected, .responseCut, .clientLeft, .internalFault:
      nil
    }
  }

  package var source: FaultSource {
    switch self {
    case .tokenRequired, .authorizationMalformed, .tokenInvalid, .tokenExpired, .tokenRevoked, .networkForbidden,
      .routeUnknown, .methodNotAllowed, .scopeInsufficient, .instanceRequired, .instanceMalformed, .instanceForbidden,
      .instanceUnknown, .rateLimited, .concurrencyLimited, .requestMalformed, .requestTimeout, .bodyTooLarge,
      .targetTooLong, .expectationUnsupported, .headersTooLarge, .notImplemented, .versionUnsupported, .clientLeft:
      .client
    case .draining, .overloaded, .auditUnavailable, .introspectionUnavailable, .instanceReadOnly,
      .instanceMisconfigured, .internalFault:
      .gateway
    case .upstreamBusy, .upstreamUnavailable, .upstreamRefused, .upstreamUnresolved, .upstreamTLSFailed,
      .upstreamConnectTimeout, .upstreamBroken, .upstreamMalformed, .upstreamTimeout, .upstreamKeyRejected,
      .responseCut:
      .instance
    }
  }

  /// Whether the instance is ill. A full queue is our own bound, a refused key is no illness, and of a cut response only
  /// the cause tells.
  package var breaker: BreakerVerdict {
    switch self {
    case .upstreamRefused, .upstreamUnresolved, .upstreamTLSFailed, .upstreamConnectTimeout, .upstreamBroken,
      .upstreamMalformed, .upstreamTimeout:
      .failure
    case .tokenRequired, .authorizationMalformed, .tokenInvalid, .tokenExpired, .tokenRevoked, .networkForbidden,
      .routeUnknown, .methodNotAllowed, .scopeInsufficient, .instanceRequired, .instanceMalformed, .instanceForbidden,
      .instanceUnknown, .rateLimited, .concurrencyLimited, .requestMalformed, .requestTimeout, .bodyTooLarge,
      .targetTooLong, .expectationUnsupported, .headersTooLarge, .notImplemented, .versionUnsupported, .draining,
      .overloaded, .auditUnavailable, .introspectionUnavailable, .instanceReadOnly, .instanceMisconfigured,
      .upstreamBusy,
      .upstreamUnavailable, .upstreamKeyRejected, .responseCut, .clientLeft, .internalFault:
      .nothing
    }
  }

  /// Whether the client's connection ends behind the reply: where the next request begins is in doubt (RFC 9112 §2.2,
  /// §6.3), or nothing more is served.
  package var endsConnection: Bool {
    switch self {
    case .requestMalformed, .requestTimeout, .bodyTooLarge, .targetTooLong, .expectationUnsupported, .headersTooLarge,
      .notImplemented, .versionUnsupported, .draining, .overloaded, .responseCut, .clientLeft, .internalFault:
      true
    case .tokenRequired, .authorizationMalformed, .tokenInvalid, .tokenExpired, .tokenRevoked, .networkForbidden,
      .routeUnknown, .methodNotAllowed, .scopeInsufficient, .instanceRequired, .instanceMalformed, .instanceForbidden,
      .instanceUnknown, .rateLimited, .concurrencyLimited, .auditUnavailable, .introspectionUnavailable,
      .instanceReadOnly, .instanceMisconfigured, .upstreamBusy, .upstreamUnavailable, .upstreamRefused,
      .upstreamUnresolved,
      .upstreamTLSFailed, .upstreamConnectTimeout, .upstreamBroken, .upstreamMalformed, .upstreamTimeout,
      .upstreamKeyRejected:
      false
    }
  }
}
