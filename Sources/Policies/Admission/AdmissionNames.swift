extension Policy {
  /// Lends the names of what admission has found, ready for logs: as they stand in the tables, since to copy five of
  /// them out would count ten references up and down. Empty is what it has not found.
  ///
  /// - Parameter body: `token` is what the operator calls it, `route` its pattern.
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
