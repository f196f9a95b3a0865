package import HTTP1

/// Why the gateway rejects a request. The reply's status, code, message and fields derive from the case.
package enum Rejection: Error, Equatable, Sendable {
  case tokenRequired
  case authorizationMalformed
  case tokenUnknown
  case tokenExpired
  case tokenRevoked
  case networkForbidden
  /// The token's introspection endpoint gives no usable answer.
  case introspectionUnavailable
  /// The client requires a TLS certificate, and the caller has none or another one.
  case certificateMismatch
  case pathMalformed(PathFault)
  case routeUnknown
  case methodNotAllowed(allow: MethodSet)
  case scopeInsufficient(Scope)
  case instanceRequired
  case instanceMalformed
  /// The instance is not the client's or does not exist; the reply must not reveal which.
  case instanceForbidden
  /// Only for clients that may use every instance.
  case instanceUnknown
  case instanceReadOnly
  /// The gateway has no valid definition of the instance.
  case instanceMisconfigured
  /// `Content-Length` exceeds the route's limit.
  case bodyTooLarge
  case rateLimited(RateBudget)
  /// The client has `max` requests in progress.
  case concurrencyLimited(max: Int)
  /// The instance's breaker is open, or its health checks fail.
  ///
  /// - Parameter milliseconds: how long to wait before a retry.
  case instanceUnavailable(milliseconds: Int64)
  /// The instance's `limits.concurrent` is reached.
  case instanceBusy
  /// The audit log cannot record the write.
  case auditUnavailable
  case draining
  /// The route requires an idempotency key, and the request has none.
  case idempotencyKeyRequired
  case idempotencyKeyMalformed(IdempotencyKeyFault)
  /// The key was used for another request.
  case idempotencyKeyReused
  /// Core's record under the request's name is not known to be its result.
  case idempotencyRecordDiffers
  /// The earlier request with the key is in flight.
  case idempotencyInProgress
  /// Core answered the earlier request with this status, and the response was too large to keep.
  case idempotencyResponseNotKept(status: Int)
  /// Core may have executed the earlier request.
  case outcomeUnknown
  /// The journal cannot take the key: it cannot write, or it is full.
  case journalUnavailable
}

extension Rejection {
  package var code: GatewayCode {
    switch self {
    case .tokenRequired: .tokenRequired
    case .authorizationMalformed: .authorizationMalformed
    case .tokenUnknown: .tokenInvalid
    case .tokenExpired: .tokenExpired
    case .tokenRevoked: .tokenRevoked
    case .networkForbidden: .networkForbidden
    case .certificateMismatch: .certificateMismatch
    case .introspectionUnavailable: .introspectionUnavailable
    case .pathMalformed: .requestMalformed
    case .routeUnknown: .routeUnknown
    case .methodNotAllowed: .methodNotAllowed
    case .scopeInsufficient: .scopeInsufficient
    case .instanceRequired: .instanceRequired
    case .instanceMalformed: .instanceMalformed
    case .instanceForbidden: .instanceForbidden
    case .instanceUnknown: .instanceUnknown
    case .instanceReadOnly: .instanceReadOnly
    case .instanceMisconfigured: .instanceMisconfigured
    case .bodyTooLarge: .bodyTooLarge
    case .rateLimited: .rateLimited
    case .concurrencyLimited: .concurrencyLimited
    case .instanceUnavailable: .upstreamUnavailable
    case .instanceBusy: .upstreamBusy
    case .auditUnavailable: .auditUnavailable
    case .draining: .draining
    case .idempotencyKeyRequired: .idempotencyKeyRequired
    case .idempotencyKeyMalformed: .idempotencyKeyMalformed
    case .idempotencyKeyReused: .idempotencyKeyReused
    case .idempotencyRecordDiffers: .idempotencyRecordDiffers
    case .idempotencyInProgress: .idempotencyInProgress
    case .idempotencyResponseNotKept: .idempotencyResponseNotKept
    case .outcomeUnknown: .outcomeUnknown
    case .journalUnavailable: .journalUnavailable
    }
  }

  /// One or two sentences for the caller's developer; needs no escaping in JSON.
  package var message: String {
    switch self {
    case .pathMalformed: "The path contains an empty or dot segment, or a byte or escape that is not allowed."
    case .idempotencyKeyMalformed(let fault):
      "The Idempotency-Key is malformed: \(fault.text). Send one key of 1 to 255 printable ASCII characters in double "
        + "quotes."
    case .idempotencyResponseNotKept(let status):
      "The earlier request with this idempotency key was answered with status \(status), but the response was too large "
        + "to keep. Read the result from Core; the request is not sent again."
    case .tokenRequired, .authorizationMalformed, .tokenUnknown, .tokenExpired, .tokenRevoked, .networkForbidden,
      .introspectionUnavailable, .certificateMismatch, .routeUnknown, .methodNotAllowed, .scopeInsufficient,
      .instanceRequired, .instanceMalformed, .instanceForbidden, .instanceUnknown, .instanceReadOnly,
      .instanceMisconfigured, .bodyTooLarge, .rateLimited, .concurrencyLimited, .instanceUnavailable, .instanceBusy,
      .auditUnavailable, .draining, .idempotencyKeyRequired, .idempotencyKeyReused, .idempotencyRecordDiffers,
      .idempotencyInProgress,
      .outcomeUnknown, .journalUnavailable:
      code.message
    }
  }

  /// The value of `WWW-Authenticate`; nil: no such field.
  package func challenge(_ challenges: BearerChallenges) -> String? {
    switch self {
    // RFC 6750 §3.1: no error code if the request has no credentials.
    case .tokenRequired: challenges.noCredentials
    case .authorizationMalformed: challenges.invalidRequest
    // RFC 8705 §3: a token with another certificate is an invalid token.
    case .tokenUnknown, .tokenExpired, .tokenRevoked, .certificateMismatch: challenges.invalidToken
    case .scopeInsufficient(let scope): #"Bearer realm="blnk", error="insufficient_scope", scope="\#(scope.text)""#
    case .networkForbidden, .introspectionUnavailable, .pathMalformed, .routeUnknown, .methodNotAllowed,
      .instanceRequired, .instanceMalformed,
      .instanceForbidden, .instanceUnknown, .instanceReadOnly, .instanceMisconfigured, .bodyTooLarge, .rateLimited,
      .concurrencyLimited,
      .instanceUnavailable, .instanceBusy, .auditUnavailable, .draining, .idempotencyKeyRequired,
      .idempotencyKeyMalformed, .idempotencyKeyReused, .idempotencyRecordDiffers,
      .idempotencyInProgress, .idempotencyResponseNotKept, .outcomeUnknown, .journalUnavailable:
      nil
    }
  }

  /// The value of `Allow`; nil: no such field.
  package var allow: String? {
    switch self {
    case .methodNotAllowed(let methods): methods.allow
    case .tokenRequired, .authorizationMalformed, .tokenUnknown, .tokenExpired, .tokenRevoked, .networkForbidden,
      .certificateMismatch, .introspectionUnavailable,
      .pathMalformed, .routeUnknown, .scopeInsufficient, .instanceRequired, .instanceMalformed, .instanceForbidden,
      .instanceUnknown, .instanceReadOnly, .instanceMisconfigured, .bodyTooLarge, .rateLimited, .concurrencyLimited,
      .instanceUnavailable,
      .instanceBusy, .auditUnavailable, .draining, .idempotencyKeyRequired, .idempotencyKeyMalformed,
      .idempotencyKeyReused, .idempotencyRecordDiffers,
      .idempotencyInProgress, .idempotencyResponseNotKept, .outcomeUnknown, .journalUnavailable:
      nil
    }
  }

  /// The value of `Retry-After` in seconds; nil: no such field.
  package var retryAfterSeconds: Int? {
    switch self {
    case .rateLimited(let budget): budget.resetSeconds
    case .instanceUnavailable(let milliseconds): Int((milliseconds + 999) / 1_000)
    case .tokenRequired, .authorizationMalformed, .tokenUnknown, .tokenExpired, .tokenRevoked, .networkForbidden,
      .certificateMismatch, .introspectionUnavailable,
      .pathMalformed, .routeUnknown, .methodNotAllowed, .scopeInsufficient, .instanceRequired, .instanceMalformed,
      .instanceForbidden, .instanceUnknown, .instanceReadOnly, .instanceMisconfigured, .bodyTooLarge,
      .concurrencyLimited, .instanceBusy,
      .auditUnavailable, .draining, .idempotencyKeyRequired, .idempotencyKeyMalformed, .idempotencyKeyReused,
      .idempotencyRecordDiffers,
      .idempotencyInProgress, .idempotencyResponseNotKept, .outcomeUnknown, .journalUnavailable:
      code.retryAfterSeconds
    }
  }

  /// The budget in `RateLimit` and `RateLimit-Policy`; nil: no such fields.
  package var rateBudget: RateBudget? {
    switch self {
    case .rateLimited(let budget): budget
    case .concurrencyLimited(let max): RateBudget(.concurrent, quota: max, windowSeconds: 1, resetSeconds: 1)
    case .tokenRequired, .authorizationMalformed, .tokenUnknown, .tokenExpired, .tokenRevoked, .networkForbidden,
      .certificateMismatch, .introspectionUnavailable,
      .pathMalformed, .routeUnknown, .methodNotAllowed, .scopeInsufficient, .instanceRequired, .instanceMalformed,
      .instanceForbidden, .instanceUnknown, .instanceReadOnly, .instanceMisconfigured, .bodyTooLarge,
      .instanceUnavailable, .instanceBusy,
      .auditUnavailable, .draining, .idempotencyKeyRequired, .idempotencyKeyMalformed, .idempotencyKeyReused,
      .idempotencyRecordDiffers,
      .idempotencyInProgress, .idempotencyResponseNotKept, .outcomeUnknown, .journalUnavailable:
      nil
    }
  }

  /// Whether the reply has `"outcome": "not_sent"`.
  package var saysNotSent: Bool {
    switch self {
    case .introspectionUnavailable, .instanceReadOnly, .instanceMisconfigured, .bodyTooLarge, .instanceUnavailable,
      .instanceBusy,
      .auditUnavailable, .draining, .journalUnavailable:
      true
    case .tokenRequired, .authorizationMalformed, .tokenUnknown, .tokenExpired, .tokenRevoked, .networkForbidden,
      .certificateMismatch,
      .pathMalformed, .routeUnknown, .methodNotAllowed, .scopeInsufficient, .instanceRequired, .instanceMalformed,
      .instanceForbidden, .instanceUnknown, .rateLimited, .concurrencyLimited, .idempotencyKeyRequired,
      .idempotencyKeyMalformed, .idempotencyKeyReused, .idempotencyRecordDiffers,
      .idempotencyInProgress, .idempotencyResponseNotKept, .outcomeUnknown:
      false
    }
  }

  /// Whether the gateway closes the connection after the reply: the body stays unread, or the gateway is draining.
  package var closesConnection: Bool {
    switch self {
    case .bodyTooLarge, .draining: true
    case .tokenRequired, .authorizationMalformed, .tokenUnknown, .tokenExpired, .tokenRevoked, .networkForbidden,
      .certificateMismatch, .introspectionUnavailable,
      .pathMalformed, .routeUnknown, .methodNotAllowed, .scopeInsufficient, .instanceRequired, .instanceMalformed,
      .instanceForbidden, .instanceUnknown, .instanceReadOnly, .instanceMisconfigured, .rateLimited,
      .concurrencyLimited,
      .instanceUnavailable, .instanceBusy, .auditUnavailable, .idempotencyKeyRequired, .idempotencyKeyMalformed,
      .idempotencyKeyReused, .idempotencyRecordDiffers,
      .idempotencyInProgress, .idempotencyResponseNotKept, .outcomeUnknown, .journalUnavailable:
      false
    }
  }
}
