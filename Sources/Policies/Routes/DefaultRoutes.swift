import HTTP1

/// The routes without a `routes.json`: the documented calls on balances and identities.
let defaultRoutes: [RouteDefinition] = [
  route("/proxy/balances", .get, .read, "balances.list"),
  route("/proxy/balances", .post, .write, "balances.create"),
  route("/proxy/balances/filter", .post, .read, "balances.filter"),
  route("/proxy/balances/:id", .get, .read, "balances.get"),
  route("/proxy/balances/:id/identity", .put, .write, "balances.link_identity"),
  route("/proxy/balances/:id/at", .get, .read, "balances.at"),
  route("/proxy/balances/:id/lineage", .get, .read, "balances.lineage"),
  route("/proxy/balances/indicator/:indicator/currency/:currency", .get, .read, "balances.by_indicator"),
  route("/proxy/identities", .get, .read, "identities.list"),
  route("/proxy/identities", .post, .write, "identities.create"),
  route("/proxy/identities/filter", .post, .read, "identities.filter"),
  route("/proxy/identities/:id", .get, .read, "identities.get"),
  route("/proxy/identities/:id", .put, .write, "identities.update"),
  route("/proxy/identities/:id", .delete, .write, "identities.delete"),
  route("/proxy/identities/:id/tokenized-fields", .get, .read, "identities.tokenized_fields"),
  route("/proxy/identities/:id/tokenize", .post, .write, "identities.tokenize"),
  route("/proxy/identities/:id/tokenize/:field", .post, .write, "identities.tokenize"),
  route("/proxy/identities/:id/detokenize", .post, .write, "identities.detokenize"),
  route("/proxy/identities/:id/detokenize/:field", .get, .read, "identities.detokenize"),
]

private func route(_ pattern: String, _ method: HTTP1.Method, _ scope: Scope, _ operation: String) -> RouteDefinition {
  guard let pattern = RoutePattern(pattern) else { preconditionFailure("\(pattern) is not a pattern") }
  return RouteDefinition(pattern: pattern, method: method, scope: scope, operation: operation)
}
