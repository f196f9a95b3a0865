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
  /// What is known of the instance is not enough to reach it.
  case instanceMisconfigured
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
  package var code: GatewayCode {
    switch self {
    case .tokenRequired: .tokenRequired
    case .authorizationMalformed: .authorizationMalformed
    case .tokenUnknown: .tokenInvalid
    case .tokenExpired: .tokenExpired
    case .tokenRevoked: .tokenRevoked
    case .networkForbidden: .networkForbidden
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
    }
  }

  /// One sentence for the client's developer; needs no escape in JSON.
  package var message: String {
    if case .pathMalformed = self {
      return "The path has empty or dot segments, or bytes or escapes that are not allowed."
    }
    return code.message
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
      .instanceForbidden, .instanceUnknown, .instanceReadOnly, .instanceMisconfigured, .bodyTooLarge, .rateLimited,
      .concurrencyLimited,
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
      .instanceUnknown, .instanceReadOnly, .instanceMisconfigured, .bodyTooLarge, .rateLimited, .concurrencyLimited,
      .instanceUnavailable,
      .instanceBusy, .auditUnavailable, .draining:
      nil
    }
  }

  /// The value of `Retry-After` in seconds; nil: no such field.
  package var retryAfterSeconds: Int? {
    switch self {
    case .rateLimited(let budget): budget.resetSeconds
    case .instanceUnavailable(let milliseconds): Int((milliseconds + 999) / 1_000)
    case .tokenRequired, .authorizationMalformed, .tokenUnknown, .tokenExpired, .tokenRevoked, .networkForbidden,
      .pathMalformed, .routeUnknown, .methodNotAllowed, .scopeInsufficient, .instanceRequired, .instanceMalformed,
      .instanceForbidden, .instanceUnknown, .instanceReadOnly, .instanceMisconfigured, .bodyTooLarge,
      .concurrencyLimited, .instanceBusy,
      .auditUnavailable, .draining:
      code.retryAfterSeconds
    }
  }

  /// The budget in `RateLimit` and `RateLimit-Policy`; nil: no such fields.
  package var rateBudget: RateBudget? {
    switch self {
    case .rateLimited(let budget): budget
    case .concurrencyLimited(let max): RateBudget(.concurrent, quota: max, windowSeconds: 1, resetSeconds: 1)
    case .tokenRequired, .authorizationMalformed, .tokenUnknown, .tokenExpired, .tokenRevoked, .networkForbidden,
      .pathMalformed, .routeUnknown, .methodNotAllowed, .scopeInsufficient, .instanceRequired, .instanceMalformed,
      .instanceForbidden, .instanceUnknown, .instanceReadOnly, .instanceMisconfigured, .bodyTooLarge,
      .instanceUnavailable, .instanceBusy,
      .auditUnavailable, .draining:
      nil
    }
  }

  /// Whether the answer says `"outcome": "not_sent"`.
  package var saysNotSent: Bool {
    switch self {
    case .instanceReadOnly, .instanceMisconfigured, .bodyTooLarge, .instanceUnavailable, .instanceBusy,
      .auditUnavailable, .draining:
      true
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
      .instanceForbidden, .instanceUnknown, .instanceReadOnly, .instanceMisconfigured, .rateLimited,
      .concurrencyLimited,
      .instanceUnavailable, .instanceBusy, .auditUnavailable:
      false
    }
  }
}
