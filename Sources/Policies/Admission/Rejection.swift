package import HTTP1

/// Why a request is not admitted: always the downstream side's to change, but for `instanceReadOnly`.
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
}

extension Rejection {
  package var status: Int {
    switch self {
    case .authorizationMalformed, .pathMalformed, .instanceRequired, .instanceMalformed: 400
    case .tokenRequired, .tokenUnknown, .tokenExpired, .tokenRevoked: 401
    case .networkForbidden, .scopeInsufficient, .instanceForbidden: 403
    case .routeUnknown, .instanceUnknown: 404
    case .methodNotAllowed: 405
    case .instanceReadOnly: 503
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
    }
  }

  /// One sentence for the caller's developer; needs no escape in JSON.
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
      .instanceForbidden, .instanceUnknown, .instanceReadOnly:
      nil
    }
  }

  /// The value of `Allow`; nil: no such field.
  package var allow: String? {
    guard case .methodNotAllowed(let methods) = self else { return nil }
    return methods.allow
  }

  /// The value of `Retry-After` in seconds; nil: no such field. Such an answer also says `"outcome": "not_sent"`.
  package var retryAfterSeconds: Int? {
    guard case .instanceReadOnly = self else { return nil }
    return 30
  }
}
