/// What an admitted request is and where it goes. Ranges lie in the bytes of its head.
package struct Admission: Sendable {
  package let principal: Principal
  /// The index in `Policy.instances`.
  package let instanceIndex: Int32
  /// The index in `Policy.routes.routes`.
  package let routeIndex: Int32
  package let isWrite: Bool
  /// Whether the route has `times` of its own; few have.
  package let hasOwnTimes: Bool
  package let form: Addressing.Form
  /// What Core gets, behind the instance's path prefix: begins with a slash.
  package let corePath: Range<Int>
  /// As sent, without the question mark.
  package let query: Range<Int>?
  /// The pair of `query` that Core does not get, without the `&` beside it.
  package let instanceParameter: Range<Int>?
  /// The route's bound, else the gateway's.
  package let bodyBytesMax: Int

  /// The index in `Policy.clients`.
  package var clientIndex: Int32 { principal.clientIndex }
}

/// What becomes of a request that is not refused.
package enum AdmissionDecision: Sendable {
  case admitted(Admission)
  /// Only an introspection endpoint can judge its token: `authorize` follows once there is a principal.
  case pending(PendingToken)
}

/// How far admission came: what the record of a request says whether or not it was admitted.
package struct AdmissionTrace: Equatable, Sendable {
  /// Indices as in `Admission`; -1: not known.
  package internal(set) var clientIndex: Int32 = -1
  /// The index in `Policy.tokens.entries`; -1: not known.
  package internal(set) var tokenIndex: Int32 = -1
  package internal(set) var instanceIndex: Int32 = -1
  package internal(set) var routeIndex: Int32 = -1
  /// The first 4 bytes of the digest of the token that was presented, known or not; nil: none was.
  package internal(set) var tokenDigestPrefix: UInt32?

  package init() {}
}
