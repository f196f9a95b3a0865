/// The code of each local reply and of each exchange that ends early, as replies, the access log, the audit log and
/// metrics show it.
///
/// Each case has one status, one fault source and one breaker verdict. The access log has the cause.
package enum GatewayCode: UInt8, CaseIterable, Sendable {
  // Rejected before an instance is involved; the caller can correct the request.
  case tokenRequired, authorizationMalformed, tokenInvalid, tokenExpired, tokenRevoked, networkForbidden,
    certificateMismatch, oauthClientInvalid, oauthRefused
  case routeUnknown, methodNotAllowed, scopeInsufficient
  case instanceRequired, instanceMalformed, instanceForbidden, instanceUnknown
  case rateLimited, concurrencyLimited
  // Idempotency keys.
  case idempotencyKeyRequired, idempotencyKeyMalformed, idempotencyKeyReused, idempotencyInProgress
  case idempotencyRecordDiffers
  case idempotencyResponseNotKept, outcomeUnknown, journalUnavailable
  // Malformed or unsupported HTTP.
  case requestMalformed, requestTimeout, bodyTooLarge, targetTooLong, expectationUnsupported, headersTooLarge
  case notImplemented, versionUnsupported
  // The gateway's own state.
  case draining, overloaded, auditUnavailable, introspectionUnavailable, oauthUnavailable, instanceReadOnly,
    instanceMisconfigured
  case upstreamBusy, upstreamUnavailable
  // The instance failed.
  case upstreamRefused, upstreamUnresolved, upstreamTLSFailed, upstreamConnectTimeout
  case upstreamBroken, upstreamMalformed, upstreamTimeout, upstreamKeyRejected
  // No reply: the downstream connection ends in the middle of a response, or ended before one.
  case responseCut, clientLeft
  /// A bug: an event that is illegal in the exchange's state.
  case internalFault
}

/// Which side caused a fault.
package enum FaultSource: String, Sendable {
  case client, gateway, instance
}

/// How an exchange counts for the instance's circuit breaker.
package enum BreakerVerdict: Equatable, Sendable {
  case nothing
  case success
  case failure
}

extension GatewayCode {
  package static let prefix = "GATEWAY_"

  /// The text of a code without the prefix that all have.
  package static func short(_ text: String) -> String {
    text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : text
  }

  /// `error_detail.code`, the reason in logs and the label in metrics.
  package var text: String {
    switch self {
    case .tokenRequired: "GATEWAY_TOKEN_REQUIRED"
    case .authorizationMalformed: "GATEWAY_AUTHORIZATION_MALFORMED"
    case .tokenInvalid: "GATEWAY_TOKEN_INVALID"
    case .tokenExpired: "GATEWAY_TOKEN_EXPIRED"
    case .tokenRevoked: "GATEWAY_TOKEN_REVOKED"
    case .networkForbidden: "GATEWAY_NETWORK_FORBIDDEN"
    case .certificateMismatch: "GATEWAY_CERTIFICATE_MISMATCH"
    case .routeUnknown: "GATEWAY_ROUTE_UNKNOWN"
    case .methodNotAllowed: "GATEWAY_METHOD_NOT_ALLOWED"
    case .scopeInsufficient: "GATEWAY_SCOPE_INSUFFICIENT"
    case .instanceRequired: "GATEWAY_INSTANCE_REQUIRED"
    case .instanceMalformed: "GATEWAY_INSTANCE_MALFORMED"
    case .instanceForbidden: "GATEWAY_INSTANCE_FORBIDDEN"
    case .instanceUnknown: "GATEWAY_INSTANCE_UNKNOWN"
    case .rateLimited: "GATEWAY_RATE_LIMITED"
    case .concurrencyLimited: "GATEWAY_CONCURRENCY_LIMITED"
    case .idempotencyKeyRequired: "GATEWAY_IDEMPOTENCY_KEY_REQUIRED"
    case .idempotencyKeyMalformed: "GATEWAY_IDEMPOTENCY_KEY_MALFORMED"
    case .idempotencyKeyReused: "GATEWAY_IDEMPOTENCY_KEY_REUSED"
    case .idempotencyRecordDiffers: "GATEWAY_IDEMPOTENCY_RECORD_DIFFERS"
    case .idempotencyInProgress: "GATEWAY_IDEMPOTENCY_IN_PROGRESS"
    case .idempotencyResponseNotKept: "GATEWAY_IDEMPOTENCY_RESPONSE_NOT_KEPT"
    case .outcomeUnknown: "GATEWAY_OUTCOME_UNKNOWN"
    case .journalUnavailable: "GATEWAY_JOURNAL_UNAVAILABLE"
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
    case .oauthClientInvalid: "GATEWAY_OAUTH_CLIENT_INVALID"
    case .oauthRefused: "GATEWAY_OAUTH_REFUSED"
    case .introspectionUnavailable: "GATEWAY_INTROSPECTION_UNAVAILABLE"
    case .oauthUnavailable: "GATEWAY_OAUTH_UNAVAILABLE"
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
    // Codes never change, so this one keeps an older word for the response.
    case .responseCut: "GATEWAY_ANSWER_CUT"
    case .clientLeft: "GATEWAY_CLIENT_LEFT"
    case .internalFault: "GATEWAY_INTERNAL_FAULT"
    }
  }

  /// The HTTP status (RFC 9110 §15); for codes without a reply, the closest one.
  package var status: Int {
    switch self {
    case .authorizationMalformed, .instanceRequired, .instanceMalformed, .requestMalformed, .oauthRefused,
      .idempotencyKeyRequired, .idempotencyKeyMalformed:
      400
    case .tokenRequired, .tokenInvalid, .tokenExpired, .tokenRevoked, .certificateMismatch, .oauthClientInvalid: 401
    case .networkForbidden, .scopeInsufficient, .instanceForbidden: 403
    case .routeUnknown, .instanceUnknown: 404
    case .methodNotAllowed: 405
    case .requestTimeout, .clientLeft: 408
    case .idempotencyInProgress, .idempotencyResponseNotKept, .outcomeUnknown: 409
    case .bodyTooLarge: 413
    case .targetTooLong: 414
    case .expectationUnsupported: 417
    // draft-ietf-httpapi-idempotency-key-header-07 §2.7.
    case .idempotencyKeyReused, .idempotencyRecordDiffers: 422
    case .rateLimited, .concurrencyLimited: 429
    case .headersTooLarge: 431
    case .internalFault: 500
    case .notImplemented: 501
    case .upstreamRefused, .upstreamUnresolved, .upstreamTLSFailed, .upstreamBroken, .upstreamMalformed,
      .upstreamKeyRejected, .responseCut:
      502
    case .draining, .overloaded, .auditUnavailable, .introspectionUnavailable, .oauthUnavailable, .instanceReadOnly,
      .instanceMisconfigured, .journalUnavailable, .upstreamBusy,
      .upstreamUnavailable:
      503
    case .upstreamConnectTimeout, .upstreamTimeout: 504
    case .versionUnsupported: 505
    }
  }

  /// The default message: one or two sentences for the caller's developer; needs no escaping in JSON.
  package var message: String {
    switch self {
    case .tokenRequired: "Access token missing. Send it as Authorization: Bearer <token> or X-Blnk-Key: <token>."
    case .authorizationMalformed:
      "Send exactly one access token, as Authorization: Bearer <token> or X-Blnk-Key: <token>, and not in the query."
    case .tokenInvalid: "The access token is unknown."
    case .tokenExpired: "The access token has expired."
    case .tokenRevoked: "The access token has been revoked."
    case .networkForbidden: "The client is not allowed to call from this address."
    case .certificateMismatch: "The access token may be used only with the TLS certificate that is registered for it."
    case .routeUnknown: "No route matches the request path."
    case .methodNotAllowed: "The route does not support this method."
    case .scopeInsufficient: "The access token lacks the scope that the route requires."
    case .instanceRequired: "Name the instance, as ?instance_id=<id> or as /instances/<id>/<path>."
    case .instanceMalformed:
      "Send instance_id once, non-empty and not percent-encoded; path, query and Host must name the same instance."
    case .instanceForbidden: "The client is not allowed to use this instance."
    case .instanceUnknown: "There is no instance with this id."
    case .rateLimited: "The client has exceeded its rate limit."
    case .concurrencyLimited: "The client has reached its limit of concurrent requests."
    case .idempotencyKeyRequired:
      "This route requires an Idempotency-Key. Send a new key with each write, and the same key when you retry it."
    case .idempotencyKeyMalformed:
      "The Idempotency-Key is malformed. Send it once, with 1 to 255 printable ASCII characters in double quotes."
    case .idempotencyKeyReused:
      "The idempotency key was used before with another method, path, query or body. Use a new key for a new request."
    case .idempotencyRecordDiffers:
      "The outcome of the earlier request with this idempotency key is not known, and Core's record under its reference or "
        + "id is not known to be its result. The request is not sent again; ask the operator to resolve the key."
    case .idempotencyInProgress:
      "The earlier request with this idempotency key is still in progress. Retry to get its response."
    case .idempotencyResponseNotKept:
      "The earlier request with this idempotency key was answered, but the response was too large to keep. Read the "
        + "result from Core; the request is not sent again."
    case .outcomeUnknown:
      "The earlier request with this idempotency key may have been executed, and is not sent again. Read the result from "
        + "Core, or ask the operator to resolve the key."
    case .journalUnavailable:
      "The gateway cannot store the idempotency key at the moment. The request was not sent."
    case .requestMalformed: "The chunked encoding of the request body is malformed."
    case .requestTimeout: "The request did not arrive in time."
    case .bodyTooLarge: "The request body exceeds the size limit of this route."
    case .targetTooLong: "The request line is too long."
    case .expectationUnsupported: "Only Expect: 100-continue is supported."
    case .headersTooLarge: "The request has too many header fields, or they are too large."
    case .notImplemented: "The transfer coding is not supported."
    case .versionUnsupported: "Only HTTP/1.1 and HTTP/1.0 are supported."
    case .draining: "The gateway is shutting down. The request was not sent."
    case .overloaded: "Connection limit reached. No request was sent."
    case .auditUnavailable: "The audit log is currently unavailable. The request was not sent."
    case .oauthClientInvalid: "Client authentication failed."
    case .oauthRefused: "The request for a token was refused."
    case .oauthUnavailable: "Codes and revocations cannot be stored at the moment."
    case .introspectionUnavailable: "The access token cannot be verified at the moment. The request was not sent."
    case .instanceReadOnly: "The instance is in maintenance and does not accept writes."
    case .instanceMisconfigured: "The gateway's configuration of the instance is invalid. The request was not sent."
    case .upstreamBusy: "All connections to the instance are in use. The request was not sent."
    case .upstreamUnavailable: "The instance is currently unavailable. The request was not sent."
    case .upstreamRefused: "The instance refused the connection. The request was not sent."
    case .upstreamUnresolved: "The instance's host name could not be resolved. The request was not sent."
    case .upstreamTLSFailed: "No trusted TLS connection to the instance could be established. The request was not sent."
    case .upstreamConnectTimeout: "Connecting to the instance timed out. The request was not sent."
    case .upstreamBroken: "The instance closed the connection without a response. It may have executed the request."
    case .upstreamMalformed: "The instance's response is not valid HTTP. It may have executed the request."
    case .upstreamTimeout: "The instance did not respond in time. It may have executed the request."
    case .upstreamKeyRejected: "The instance rejected the gateway's key. The request was not executed."
    case .responseCut: "The response was cut off."
    case .clientLeft: "The client closed the connection."
    case .internalFault: "Internal error in the gateway. The request may have been executed."
    }
  }

  /// The default `Retry-After` in seconds; nil: waiting alone does not help.
  package var retryAfterSeconds: Int? {
    switch self {
    case .concurrencyLimited, .draining, .overloaded, .auditUnavailable, .introspectionUnavailable, .oauthUnavailable,
      .idempotencyInProgress, .journalUnavailable, .upstreamBusy:
      1
    case .instanceReadOnly, .instanceMisconfigured: 30
    // Replaced by the exact time where it is known: a budget's reset, a breaker's pause.
    case .rateLimited, .upstreamUnavailable: 1
    case .tokenRequired, .authorizationMalformed, .tokenInvalid, .tokenExpired, .tokenRevoked, .networkForbidden,
      .certificateMismatch, .oauthClientInvalid, .oauthRefused,
      .routeUnknown, .methodNotAllowed, .scopeInsufficient, .instanceRequired, .instanceMalformed, .instanceForbidden,
      .instanceUnknown, .idempotencyKeyRequired, .idempotencyKeyMalformed, .idempotencyKeyReused,
      .idempotencyRecordDiffers,
      .idempotencyResponseNotKept, .outcomeUnknown, .requestMalformed, .requestTimeout, .bodyTooLarge, .targetTooLong,
      .expectationUnsupported,
      .headersTooLarge, .notImplemented, .versionUnsupported, .upstreamRefused, .upstreamUnresolved,
      .upstreamTLSFailed, .upstreamConnectTimeout, .upstreamBroken, .upstreamMalformed, .upstreamTimeout,
      .upstreamKeyRejected, .responseCut, .clientLeft, .internalFault:
      nil
    }
  }

  /// Whether the default reply has `"outcome": "not_sent"`. A reply that invites a retry does, so that the client can
  /// retry a write, except one about an earlier request, which was sent.
  package var saysNotSent: Bool { retryAfterSeconds != nil && self != .idempotencyInProgress }

  package var source: FaultSource {
    switch self {
    case .tokenRequired, .authorizationMalformed, .tokenInvalid, .tokenExpired, .tokenRevoked, .networkForbidden,
      .certificateMismatch, .oauthClientInvalid, .oauthRefused,
      .routeUnknown, .methodNotAllowed, .scopeInsufficient, .instanceRequired, .instanceMalformed, .instanceForbidden,
      .instanceUnknown, .rateLimited, .concurrencyLimited, .idempotencyKeyRequired, .idempotencyKeyMalformed,
      .idempotencyKeyReused, .idempotencyRecordDiffers, .idempotencyInProgress, .requestMalformed, .requestTimeout,
      .bodyTooLarge,
      .targetTooLong, .expectationUnsupported, .headersTooLarge, .notImplemented, .versionUnsupported, .clientLeft:
      .client
    case .draining, .overloaded, .auditUnavailable, .introspectionUnavailable, .oauthUnavailable, .instanceReadOnly,
      .instanceMisconfigured, .idempotencyResponseNotKept, .outcomeUnknown, .journalUnavailable, .internalFault:
      .gateway
    case .upstreamBusy, .upstreamUnavailable, .upstreamRefused, .upstreamUnresolved, .upstreamTLSFailed,
      .upstreamConnectTimeout, .upstreamBroken, .upstreamMalformed, .upstreamTimeout, .upstreamKeyRejected,
      .responseCut:
      .instance
    }
  }

  /// Whether the fault counts against the instance. A full queue is the gateway's own limit, and a rejected key is not
  /// a sign of an unhealthy instance; for a cut response, the cause decides.
  package var breaker: BreakerVerdict {
    switch self {
    case .upstreamRefused, .upstreamUnresolved, .upstreamTLSFailed, .upstreamConnectTimeout, .upstreamBroken,
      .upstreamMalformed, .upstreamTimeout:
      .failure
    case .tokenRequired, .authorizationMalformed, .tokenInvalid, .tokenExpired, .tokenRevoked, .networkForbidden,
      .certificateMismatch, .oauthClientInvalid, .oauthRefused,
      .routeUnknown, .methodNotAllowed, .scopeInsufficient, .instanceRequired, .instanceMalformed, .instanceForbidden,
      .instanceUnknown, .rateLimited, .concurrencyLimited, .idempotencyKeyRequired, .idempotencyKeyMalformed,
      .idempotencyKeyReused, .idempotencyRecordDiffers, .idempotencyInProgress, .idempotencyResponseNotKept,
      .outcomeUnknown, .journalUnavailable,
      .requestMalformed, .requestTimeout, .bodyTooLarge,
      .targetTooLong, .expectationUnsupported, .headersTooLarge, .notImplemented, .versionUnsupported, .draining,
      .overloaded, .auditUnavailable, .introspectionUnavailable, .oauthUnavailable, .instanceReadOnly,
      .instanceMisconfigured,
      .upstreamBusy,
      .upstreamUnavailable, .upstreamKeyRejected, .responseCut, .clientLeft, .internalFault:
      .nothing
    }
  }

  /// Whether the gateway closes the downstream connection after the reply: the start of the next request is in doubt
  /// (RFC 9112 §2.2, §6.3), or the gateway serves nothing more.
  package var endsConnection: Bool {
    switch self {
    case .requestMalformed, .requestTimeout, .bodyTooLarge, .targetTooLong, .expectationUnsupported, .headersTooLarge,
      .notImplemented, .versionUnsupported, .draining, .overloaded, .responseCut, .clientLeft, .internalFault:
      true
    case .tokenRequired, .authorizationMalformed, .tokenInvalid, .tokenExpired, .tokenRevoked, .networkForbidden,
      .certificateMismatch, .oauthClientInvalid, .oauthRefused,
      .routeUnknown, .methodNotAllowed, .scopeInsufficient, .instanceRequired, .instanceMalformed, .instanceForbidden,
      .instanceUnknown, .rateLimited, .concurrencyLimited, .idempotencyKeyRequired, .idempotencyKeyMalformed,
      .idempotencyKeyReused, .idempotencyRecordDiffers, .idempotencyInProgress, .idempotencyResponseNotKept,
      .outcomeUnknown, .journalUnavailable,
      .auditUnavailable, .introspectionUnavailable,
      .oauthUnavailable,
      .instanceReadOnly, .instanceMisconfigured, .upstreamBusy, .upstreamUnavailable, .upstreamRefused,
      .upstreamUnresolved,
      .upstreamTLSFailed, .upstreamConnectTimeout, .upstreamBroken, .upstreamMalformed, .upstreamTimeout,
      .upstreamKeyRejected:
      false
    }
  }
}
