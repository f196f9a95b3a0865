import Background
import Bytes
import Digests
import HTTP1
package import OAuth
package import Policies
import Telemetry

/// What the gateway would do with a request, step by step. It runs the same code as the server.
package struct Explanation: Sendable {
  /// Who makes the request.
  package enum Identity: Sendable {
    /// The holder of this token.
    case token(String)
    /// This client, with an unspecified token.
    case client(ClientID)
  }

  /// One admission step; `name` is its name in the code.
  package struct Step: Sendable {
    package let name: String
    package let isPassed: Bool
    package let text: String
  }

  package let steps: [Step]
  /// The status and code of the local reply; nil if the request would be relayed.
  package let rejection: (status: Int, code: String)?
  /// The request line that Core would get, and the instance's URL; nil if the request would be rejected.
  package let destination: String?
}

extension Policy {
  /// Explains one request; nil if there is no such client.
  ///
  /// - Parameters:
  ///   - method: for example `GET`.
  ///   - target: path and query, for example `/proxy/balances?instance_id=inst_demo`.
  ///   - host: the value of `Host`.
  ///   - ask: asks an introspection provider about a token; nil: none is asked.
  package func explain(
    _ identity: Explanation.Identity, method: String, target: String, host: String = "gateway", at now: UnixSeconds,
    asking ask: ((IntrospectionProvider, _ token: [UInt8]) -> IntrospectionResult)? = nil
  ) -> Explanation? {
    let bytes = request(from: identity, method: method, target: target, host: host)
    var parser = RequestHeadParser(limits: HeadLimits(settings.limits))
    do throws(HeadFault) {
      guard try parser.parse(bytes.span) else { preconditionFailure("a head that ends with an empty line is complete") }
    } catch {
      return .unparsed(LocalReply(error))
    }
    var trace = AdmissionTrace()
    let revoked: Set<TokenID>? = if case .token = identity { revokedAtEndpoint } else { [] }
    var report: SignedTokenReport?
    if case .token(let token) = identity { report = self.report(onSigned: token, revoked: revoked ?? [], at: now) }
    report?.knowsRevocations = revoked != nil
    var answer: Explanation.Step?
    var caches = TokenCaches()
    do throws(Rejection) {
      let principal: Principal
      switch identity {
      case .token:
        caches.signed.revoke(revoked ?? [])
        // Without an address: networks are not checked.
        let first = try authenticate(parser.head, bytes.span, from: nil, at: now, &caches, noting: &trace)
        if case .pending(let pending) = first, let introspection {
          let provider = introspection.provider(pending.provider)
          let result =
            ask?(provider, pending.token.map { bytes[$0] })
            ?? .unavailable(reason: "not asked: its secret was not read")
          answer = Explanation.Step(result, of: provider)
          caches.introspected.held = SettledIntrospection(key: pending.key, result, askedAt: now)
          principal = try authenticate(
            parser.head, bytes.span, from: nil, at: now, &caches, noting: &trace
          ).requirePrincipal()
        } else {
          principal = try first.requirePrincipal()
        }
      case .client(let id):
        guard let index = clients.firstIndex(where: { $0.id == id }) else { return nil }
        principal = try assume(Int32(index), noting: &trace)
      }
      let admission = try authorize(principal, parser.head, bytes.span, noting: &trace)
      return .relayed(self, trace, report, admission, destination(parser.head, bytes.span, admission), after: answer)
    } catch {
      return .rejected(self, trace, report, error, caches.introspected.refusal, after: answer)
    }
  }

  /// What was revoked at the token endpoint, as the running gateways have written it; nil: it cannot be read.
  package var revokedAtEndpoint: Set<TokenID>? {
    guard let folder = settings.oauth?.revocationsFolder else { return [] }
    return RevocationLists(folder).ids
  }

  /// The head of the request. The parser rejects an invalid method, target or token.
  private func request(from identity: Explanation.Identity, method: String, target: String, host: String) -> [UInt8] {
    let request = ByteBuffer(capacity: 1_024)
    request.append(requestLine: method, target: target)
    request.append(field: "Host") { $0.append(text: host) }
    if case .token(let token) = identity {
      request.append(field: "Authorization") { $0.append(text: "Bearer \(token)") }
    }
    request.appendHeadEnd()
    var bytes: [UInt8] = []
    request.move(to: &bytes)
    return bytes
  }

  /// The request line that Core would get, and the instance's URL.
  private func destination(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ admission: Admission) -> String {
    let instance = instances[Int(admission.instanceIndex)]
    let output = ByteBuffer(capacity: 1_024)
    let writer = UpstreamHeadWriter(instance, key: instance.keys[0])
    writer.write(head, bytes, admission, id: RequestID(high: 0, low: 0), forwardingLines: [], to: output)
    let line = output.withBytes { written in
      let end = written.indices.first { written[$0] == UInt8(ascii: "\r") } ?? written.count
      return String(decoding: (0..<end).map { written[$0] }, as: UTF8.self)
    }
    return "\(line) to \(instance.url.isTLS ? "https" : "http")://\(instance.url.authority)"
  }
}

extension Explanation {
  fileprivate static func unparsed(_ answer: LocalReply) -> Explanation {
    Explanation(
      steps: [Step(name: "parse", isPassed: false, text: answer.message)],
      rejection: (answer.code.status, answer.code.text),
      destination: nil)
  }

  fileprivate static func relayed(
    _ policy: Policy, _ trace: AdmissionTrace, _ report: SignedTokenReport?, _ admission: Admission,
    _ destination: String, after answer: Step?
  ) -> Explanation {
    let resolve = Step(name: "resolve", isPassed: true, text: policy.describeInstance(trace, named: admission.form))
    let limit = Step(name: "limit", isPassed: true, text: policy.describeLimits(on: admission))
    let steps = passed(policy, trace, report, after: answer).filter { $0.name != resolve.name } + [resolve, limit]
    return Explanation(steps: steps, rejection: nil, destination: destination)
  }

  fileprivate static func rejected(
    _ policy: Policy, _ trace: AdmissionTrace, _ report: SignedTokenReport?, _ rejection: Rejection,
    _ refusal: AnswerRefusal?, after answer: Step?
  ) -> Explanation {
    let name = rejection.step
    let before = passed(policy, trace, report, after: answer).prefix { $0.name != name }
    let rule =
      refusal.map { "\(rejection.message) Reason: \($0.text)." } ?? policy.rule(behind: rejection, trace, report)
    let step = Step(name: name, isPassed: false, text: rule)
    return Explanation(
      steps: before + [step], rejection: (rejection.code.status, rejection.code.text), destination: nil)
  }

  /// The steps that the trace shows as passed, in order.
  ///
  /// - Parameter answer: of an introspection provider.
  private static func passed(
    _ policy: Policy, _ trace: AdmissionTrace, _ report: SignedTokenReport?, after answer: Step?
  ) -> [Step] {
    var steps = [Step(name: "parse", isPassed: true, text: "the request line is well formed")]
    if let answer { steps.append(answer) }
    if let client = policy.client(trace) {
      let note = trace.tokenIndex < 0 ? report?.text ?? "" : policy.describeToken(trace.tokenIndex)
      steps.append(Step(name: "authenticate", isPassed: true, text: "client \(client.id.text)\(note)"))
    }
    if let route = policy.route(trace) {
      let pattern = String(decoding: route.pattern, as: UTF8.self)
      let operation = String(decoding: route.operation, as: UTF8.self)
      steps.append(
        Step(name: "route", isPassed: true, text: "\(route.method.text) \(pattern), operation \(operation)"))
      steps.append(Step(name: "authorize", isPassed: true, text: "the client has the scope \(route.scope.text)"))
    }
    if trace.instanceIndex >= 0 {
      steps.append(Step(name: "resolve", isPassed: true, text: policy.describeInstance(trace)))
    }
    return steps
  }
}

extension Rejection {
  /// The admission step that throws it.
  fileprivate var step: String {
    switch self {
    case .tokenRequired, .authorizationMalformed, .tokenUnknown, .tokenExpired, .tokenRevoked, .networkForbidden,
      .certificateMismatch, .introspectionUnavailable:
      "authenticate"
    case .pathMalformed, .routeUnknown, .methodNotAllowed: "route"
    case .scopeInsufficient: "authorize"
    case .instanceRequired, .instanceMalformed, .instanceForbidden, .instanceUnknown, .instanceReadOnly,
      .instanceMisconfigured:
      "resolve"
    case .bodyTooLarge, .rateLimited, .concurrencyLimited, .instanceUnavailable, .instanceBusy, .auditUnavailable,
      .draining, .idempotencyKeyRequired, .idempotencyKeyMalformed, .idempotencyKeyReused, .idempotencyRecordDiffers,
      .idempotencyInProgress, .idempotencyResponseNotKept, .outcomeUnknown, .journalUnavailable:
      "limit"
    }
  }
}

extension Policy {
  fileprivate func client(_ trace: AdmissionTrace) -> Client? {
    trace.clientIndex < 0 ? nil : clients[Int(trace.clientIndex)]
  }

  fileprivate func route(_ trace: AdmissionTrace) -> Route? {
    trace.routeIndex < 0 ? nil : routes.routes[Int(trace.routeIndex)]
  }

  /// Describes the instance, what named it if not the path or query, and whether it rejects writes.
  fileprivate func describeInstance(_ trace: AdmissionTrace, named form: Addressing.Form = .inQuery) -> String {
    let instance = instances[Int(trace.instanceIndex)]
    let maintenance = instance.acceptsWrites ? "" : "; its \"writes\" is false, but this is a read"
    let origin =
      switch form {
      case .inQuery, .inPath, .inQueryOfCorePath: ""
      case .byHost: ", named by the host"
      case .byDefault: ", the \(isBound(trace) ? "token" : "client")'s default"
      }
    return "instance \(instance.id.text)\(origin), which the client may use\(maintenance)"
  }

  /// Describes a token by its note, the first digits of its digest, and its binding. Never shows the token.
  fileprivate func describeToken(_ index: Int32) -> String {
    let note = String(decoding: tokens.note(of: index), as: UTF8.self)
    let digest = tokens.entries[Int(index)].digest.hex.prefix(8)
    let name = note.isEmpty ? "sha256 \(digest)…" : "\"\(note)\" (sha256 \(digest)…)"
    return ", token \(name)\(describeBinding(of: Int(tokens.entries[Int(index)].clientIndex)))"
  }

  private func describeBinding(of row: Int) -> String {
    guard isBinding(row) else { return "" }
    let holder = clients[row]
    let names = clients.instances(of: row).map { indices in
      indices.map { instances[Int($0)].id.text }.joined(separator: ", ")
    }
    let byDefault = holder.defaultInstance.map { "default \(instances[Int($0)].id.text)" } ?? "no default"
    return " bound to \(names ?? "all instances") (\(byDefault))"
  }

  /// Whether the token has its own binding to instances, in place of its client's.
  private func isBound(_ trace: AdmissionTrace) -> Bool { isBinding(Int(trace.clientIndex)) }

  /// Whether a row of the client table is that of a token binding: these follow the rows of the clients.
  private func isBinding(_ row: Int) -> Bool { row >= clients.count }

  /// The rejection's message, with the key in the policy files that decided.
  fileprivate func rule(
    behind rejection: Rejection, _ trace: AdmissionTrace, _ report: SignedTokenReport?
  ) -> String {
    let name = client(trace).map { "clients.\($0.id.text)" } ?? "clients"
    let holder = isBound(trace) ? "The token's entry in \(name).tokens" : name
    if rejection.step == "authenticate", let refusal = report?.refusal(settings.oauth) {
      return "\(rejection.message) \(refusal)"
    }
    switch rejection {
    case .tokenUnknown where trace.providerIndex >= 0:
      return "\(rejection.message) No \"tokens\" has its digest, and its introspection provider does not vouch for it."
    case .tokenUnknown: return "\(rejection.message) No \"tokens\" in \(name) has its digest."
    case .tokenExpired: return "\(rejection.message) \(name).tokens: \"expires\" has passed."
    case .tokenRevoked where trace.tokenIndex >= 0 && tokens.entries[Int(trace.tokenIndex)].isRevoked:
      return "\(rejection.message) revoked.json lists its digest."
    case .tokenRevoked: return "\(rejection.message) \(name).revoked is true, or revoked.json lists the client."
    case .networkForbidden: return "\(rejection.message) \(name).networks does not contain it."
    case .certificateMismatch: return "\(rejection.message) \(name).certificates does not contain the caller's."
    case .scopeInsufficient(let scope) where report?.content.map { !$0.cut.contains(scope.text) } ?? false:
      return "\(rejection.message) The token lacks \"\(scope.text)\": \(name).scopes must have it, and the app must "
        + "request it at POST /oauth/token."
    case .scopeInsufficient(let scope): return "\(rejection.message) \(name).scopes lacks \"\(scope.text)\"."
    case .methodNotAllowed: return "\(rejection.message) Allowed: \(rejection.allow ?? "other methods")."
    case .instanceRequired: return "\(rejection.message) \(holder) has no \"default_instance\" either."
    case .instanceForbidden where isBound(trace):
      return "\(rejection.message) \(holder) has \"instances\" that do not include it."
    case .instanceForbidden: return "\(rejection.message) \(name).instances does not include it."
    case .instanceUnknown: return "\(rejection.message) instances.json has no such entry."
    case .instanceMisconfigured: return "\(rejection.message) See `blnk-gateway check`."
    case .instanceReadOnly: return "\(rejection.message) Its \"writes\" is false in instances.json."
    case .introspectionUnavailable, .tokenRequired, .authorizationMalformed, .pathMalformed, .routeUnknown,
      .instanceMalformed, .bodyTooLarge,
      .rateLimited, .concurrencyLimited, .instanceUnavailable, .instanceBusy, .auditUnavailable, .draining,
      .idempotencyKeyRequired, .idempotencyKeyMalformed, .idempotencyKeyReused, .idempotencyRecordDiffers,
      .idempotencyInProgress,
      .idempotencyResponseNotKept, .outcomeUnknown, .journalUnavailable:
      return rejection.message
    }
  }
}

// MARK: Introspection

/// Asks an introspection provider on the calling thread.
package func introspectNow(_ provider: IntrospectionProvider, _ token: [UInt8]) -> IntrospectionResult {
  IntrospectionResult(IntrospectionClient.askNow(IntrospectionEndpoint(provider), token))
}

extension Explanation.Step {
  /// The provider's answer, whose texts may contain anything.
  fileprivate init(_ result: IntrospectionResult, of provider: IntrospectionProvider) {
    name = "introspect"
    switch result {
    case .active(let answer):
      isPassed = true
      let texts: [(String, String?)] = [
        ("client_id", answer.clientID?.text), ("sub", answer.subject?.text), ("iss", answer.issuer?.text),
        ("aud", answer.audiences?.map(\.text).joined(separator: " ")),
        ("scope", answer.scopes.map(\.text).joined(separator: " ")),
        ("exp", answer.expiry.map { String($0) }), ("iat", answer.issuedAt.map { String($0) }),
      ]
      let known = texts.compactMap { key, text in text.map { "\(key) \"\(printable($0))\"" } }
      text = "\(provider.name) answers active: \(known.joined(separator: ", "))"
    case .inactive:
      isPassed = false
      text =
        "\(provider.name) answers that the token is not active (servers may hide other clients' tokens: Keycloak 26.6.2 and "
        + "later those without \"client_id\" in their aud; Glewlwyd all, without \"introspection-revocation-auth-scope\")"
    case .unavailable(let reason):
      isPassed = false
      text = "\(provider.name): \(reason)"
    }
  }
}
