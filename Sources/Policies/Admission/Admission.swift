package import OAuth

/// An admitted request: its principal, route and instance. Ranges index the bytes of its head.
package struct Admission: Sendable {
  package let principal: Principal
  /// The index in `Policy.instances`.
  package let instanceIndex: Int32
  /// The index in `Policy.routes.routes`.
  package let routeIndex: Int32
  package let isWrite: Bool
  /// Whether the route has its own `times`; few do.
  package let hasOwnTimes: Bool
  /// The route's.
  package let keyRule: KeyRule
  package let form: Addressing.Form
  /// The path that Core gets after the instance's path prefix; starts with a slash.
  package let corePath: Range<Int>
  /// As sent, without the question mark.
  package let query: Range<Int>?
  /// The `instance_id` pair in `query`, which Core does not get; excludes the adjacent `&`.
  package let instanceParameter: Range<Int>?
  /// The route's limit, or else the gateway's.
  package let bodyBytesMax: Int

  /// The index in `Policy.clients`.
  package var clientIndex: Int32 { principal.clientIndex }
}

/// The result of admission for a request that is not rejected.
package enum AdmissionDecision: Sendable {
  case admitted(Admission)
  /// Only an introspection endpoint can verify the token; `authorize` follows once there is a principal.
  case pending(PendingToken)
}

/// What admission has found out about a request; recorded whether or not the request is admitted.
package struct AdmissionTrace: Equatable, Sendable {
  /// Indices as in `Admission`; -1: unknown.
  package internal(set) var clientIndex: Int32 = -1
  /// The index in `Policy.tokens.entries`; -1: unknown.
  package internal(set) var tokenIndex: Int32 = -1
  package internal(set) var instanceIndex: Int32 = -1
  package internal(set) var routeIndex: Int32 = -1
  /// The first 4 bytes of the presented token's digest, even if the token is unknown; nil: no token.
  package internal(set) var tokenDigestPrefix: UInt32?
  /// Of a token that the gateway has signed; nil: another token, or none.
  package internal(set) var tokenID: TokenID?
  /// The index in `IntrospectionTable.providers`, of a token in no policy file; -1: none.
  package internal(set) var providerIndex: Int32 = -1

  package init() {}

  /// - Parameter index: as `clientIndex`.
  package mutating func noteClient(_ index: Int32) { clientIndex = index }
}

extension Policy {
  /// Calls `body` with the names behind the indices in `trace`; empty where the index is unknown.
  ///
  /// The spans point into the tables: copying five names out would retain and release ten references.
  ///
  /// - Parameter body: `token` is the token's note, `route` the route's pattern.
  @_optimize(speed)
  package func withNames(
    of trace: AdmissionTrace,
    _ body: (
      _ client: Span<UInt8>, _ token: Span<UInt8>, _ instance: Span<UInt8>, _ route: Span<UInt8>,
      _ operation: Span<UInt8>
    ) -> Void
  ) {
    let client = clients.texts.span.extracting(
      trace.clientIndex < 0 ? 0..<0 : clients.idRange(of: Int(trace.clientIndex)))
    let token = tokens.notes.span.extracting(trace.tokenIndex < 0 ? 0..<0 : tokens.noteRange(of: trace.tokenIndex))
    let (instances, routes) = (instances.span, routes.routes.span)
    let instance = trace.instanceIndex < 0 ? Span() : instances[Int(trace.instanceIndex)].id.bytes.span
    guard trace.routeIndex >= 0 else { return body(client, token, instance, Span(), Span()) }
    let route = Int(trace.routeIndex)
    body(client, token, instance, routes[route].pattern.span, routes[route].operation.span)
  }
}
