package import HTTP1

/// Why a request does not go to its Core. All that its answer says derives from the case.
package enum Rejection: Error, Equatable, Sendable {
  case tokenRequired
  case authorizationMalformed
  case tokenUnknown
  case tokenExpired
  case tokenRevoked
  case networkForbidden
  case pathMalformed(PathFault)
  case routeUnknown
  case methodNotAllowed(allow: MethodSet)
  case scopeInsufficient(Scope)
  case instanceRequired
  case instanceMalformed
  /// An instance that is not the client's, and one that does not exist: the answer must not tell which.
  case instanceForbidden
  /// Only for clients that may use every instance.
  case instanceUnknown
  case instanceReadOnly
  /// The head states a longer body than the route takes.
  case bodyTooLarge
  case rateLimited(RateBudget)
  /// The client has `max` requests under way.
  case concurrencyLimited(max: Int)
  /// The instance's breaker is open, or its health checks fail.
  ///
  /// - Parameter milliseconds: after which another try makes sense.
  case instanceUnavailable(milliseconds: Int64)
  /// The instance's `limits.concurrent` is reached.
  case instanceBusy
  /// The audit log cannot be told of the write.
  case auditUnavailable
  case draining
}

extension Rejection {
  package var status: Int {
    switch self {
    case .authorizationMalformed, .pathMalformed, .instanceRequired, .instanceMalformed: 400
    case .tokenRequired, .tokenUnknown, .tokenExpired, .tokenRevoked: 401
    case .networkForbidden, .scopeInsufficient, .instanceForbidden: 403
    case .routeUnknown, .instanceUnknown: 404
    case .methodNotAllowed: 405
    case .bodyTooLarge: 413
    case .rateLimited, .concurrencyLimited: 429
    case .instanceReadOnly, .instanceUnavailable, .instanceBusy, .auditUnavailable, .draining: 503
    }
  }

  /// `error_detail.code`, the reason in logs and the label in metrics.
  package var code: String {
    switch self {
    case .tokenRequired: "GATEWAY_TOKEN_REQUIRED"
    case .authorizationMalformed: "GATEWAY_AUTHORIZATION_MALFORMED"
    case .tokenUnknown: "GATEWAY_TOKEN_INVALID"
    case .tokenExpired: "GATEWAY_TOKEN_EXPIRED"
    case .tokenRevoked: "GATEWAY_TOKEN_REVOKED"
    case .networkForbidden: "GATEWAY_NETWORK_FORBIDDEN"
    case .pathMalformed: "GATEWAY_REQUEST_MALFORMED"
    case .routeUnknown: "GATEWAY_ROUTE_UNKNOWN"
    case .methodNotAllowed: "GATEWAY_METHOD_NOT_ALLOWED"
    case .scopeInsufficient: "GATEWAY_SCOPE_INSUFFICIENT"
    case .instanceRequired: "GATEWAY_INSTANCE_REQUIRED"
    case .instanceMalformed: "GATEWAY_INSTANCE_MALFORMED"
    case .instanceForbidden: "GATEWAY_INSTANCE_FORBIDDEN"
    case .instanceUnknown: "GATEWAY_INSTANCE_UNKNOWN"
    case .instanceReadOnly: "GATEWAY_INSTANCE_READ_ONLY"
    case .bodyTooLarge: "GATEWAY_BODY_TOO_LARGE"
    case .rateLimited: "GATEWAY_RATE_LIMITED"
    case .concurrencyLimited: "GATEWAY_CONCURRENCY_LIMITED"
    case .instanceUnavailable: "GATEWAY_UPSTREAM_UNAVAILABLE"
    case .instanceBusy: "GATEWAY_UPSTREAM_BUSY"
    case .auditUnavailable: "GATEWAY_AUDIT_UNAVAILABLE"
    case .draining: "GATEWAY_DRAINING"
    }
  }

  /// One sentence for the client's developer; needs no escape in JSON.
  package var message: String {
    switch self {
    case .tokenRequired: "Send an access token as Authorization: Bearer <token>."
    case .authorizationMalformed: "Send exactly one Authorization field of the form Bearer <token>."
    case .tokenUnknown: "The access token is not known."
    case .tokenExpired: "The access token has expired."
    case .tokenRevoked: "The access token is revoked."
    case .networkForbidden: "The client may not call from this address."
    case .pathMalformed: "The path has empty or dot segments, or bytes or escapes that are not allowed."
    case .routeUnknown: "There is no such route."
    case .methodNotAllowed: "The route does not take this method."
    case .scopeInsufficient: "The access token lacks the scope that the route asks for."
    case .instanceRequired: "Name the instance: /proxy/<path>?instance_id=<id> or /instances/<id>/<path>."
    case .instanceMalformed: "Send instance_id exactly once, written plainly and not empty; outside /proxy send none."
    case .instanceForbidden: "The client may not use this instance."
    case .instanceUnknown: "There is no such instance."
    case .instanceReadOnly: "The instance takes no writes at present."
    case .bodyTooLarge: "The request body is larger than this route takes."
    case .rateLimited: "The client has sent too many requests."
    case .concurrencyLimited: "The client has too many requests under way."
    case .instanceUnavailable: "The instance does not answer at present. The request was not sent."
    case .instanceBusy: "All connections to the instance are in use. The request was not sent."
    case .auditUnavailable: "The audit log cannot be written at present. The request was not sent."
    case .draining: "The gateway is shutting down. The request was not sent."
    }
  }

  /// The value of `WWW-Authenticate`; nil: no such field.
  package var challenge: String? {
    switch self {
    // RFC 6750 §3.1: no error code where no credentials came.
    case .tokenRequired: #"Bearer realm="blnk""#
    case .authorizationMalformed: #"Bearer realm="blnk", error="invalid_request""#
    case .tokenUnknown, .tokenExpired, .tokenRevoked: #"Bearer realm="blnk", error="invalid_token""#
    case .scopeInsufficient(let scope): #"Bearer realm="blnk", error="insufficient_scope", scope="\#(scope.text)""#
    case .networkForbidden, .pathMalformed, .routeUnknown, .methodNotAllowed, .instanceRequired, .instanceMalformed,
      .instanceForbidden, .instanceUnknown, .instanceReadOnly, .bodyTooLarge, .rateLimited, .concurrencyLimited,
      .instanceUnavailable, .instanceBusy, .auditUnavailable, .draining:
      nil
    }
  }

  /// The value of `Allow`; nil: no such field.
  package var allow: String? {
    switch self {
    case .methodNotAllowed(let methods): methods.allow
    case .tokenRequired, .authorizationMalformed, .tokenUnknown, .tokenExpired, .tokenRevoked, .networkForbidden,
      .pathMalformed, .routeUnknown, .scopeInsufficient, .instanceRequired, .instanceMalformed, .instanceForbidden,
      .instanceUnknown, .instanceReadOnly, .bodyTooLarge, .rateLimited, .concurrencyLimited, .instanceUnavailable,
      .instanceBusy, .auditUnavailable, .draining:
      nil
    }
  }

  /// The value of `Retry-After` in seconds; nil: no such field.
  package var retryAfterSeconds: Int? {
    switch self {
    case .instanceReadOnly: 30
    case .rateLimited(let budget): budget.resetSeconds
    case .instanceUnavailable(let milliseconds): Int((milliseconds + 999) / 1_000)
    case .concurrencyLimited, .instanceBusy, .auditUnavailable, .draining: 1
    case .tokenRequired, .authorizationMalformed, .tokenUnknown, .tokenExpired, .tokenRevoked, .networkForbidden,
      .pathMalformed, .routeUnknown, .methodNotAllowed, .scopeInsufficient, .instanceRequired, .instanceMalformed,
      .instanceForbidden, .instanceUnknown, .bodyTooLarge:
      nil
    }
  }

  /// The budget in `RateLimit` and `RateLimit-Policy`; nil: no such fields.
  package var rateBudget: RateBudget? {
    switch self {
    case .rateLimited(let budget): budget
    case .concurrencyLimited(let max): RateBudget(.concurrent, quota: max, windowSeconds: 1, resetSeconds: 1)
    case .tokenRequired, .authorizationMalformed, .tokenUnknown, .tokenExpired, .tokenRevoked, .networkForbidden,
      .pathMalformed, .routeUnknown, .methodNotAllowed, .scopeInsufficient, .instanceRequired, .instanceMalformed,
      .instanceForbidden, .instanceUnknown, .instanceReadOnly, .bodyTooLarge, .instanceUnavailable, .instanceBusy,
      .auditUnavailable, .draining:
      nil
    }
  }

  /// Whether the answer says `"outcome": "not_sent"`.
  package var saysNotSent: Bool {
    switch self {
    case .instanceReadOnly, .bodyTooLarge, .instanceUnavailable, .instanceBusy, .auditUnavailable, .draining: true
    case .tokenRequired, .authorizationMalformed, .tokenUnknown, .tokenExpired, .tokenRevoked, .networkForbidden,
      .pathMalformed, .routeUnknown, .methodNotAllowed, .scopeInsufficient, .instanceRequired, .instanceMalformed,
      .instanceForbidden, .instanceUnknown, .rateLimited, .concurrencyLimited:
      false
    }
  }

  /// Whether the connection ends: its body stays unread, or the gateway ends.
  package var closesConnection: Bool {
    switch self {
    case .bodyTooLarge, .draining: true
    case .tokenRequired, .authorizationMalformed, .tokenUnknown, .tokenExpired, .tokenRevoked, .networkForbidden,
      .pathMalformed, .routeUnknown, .methodNotAllowed, .scopeInsufficient, .instanceRequired, .instanceMalformed,
      .instanceForbidden, .instanceUnknown, .instanceReadOnly, .rateLimited, .concurrencyLimited,
      .instanceUnavailable, .instanceBusy, .auditUnavailable:
      false
    }
  }
}
