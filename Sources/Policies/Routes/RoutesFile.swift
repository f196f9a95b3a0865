import HTTP1

/// Decodes `routes.json`, which replaces the default table.
struct RoutesFile {
  static let pathsMax = 4096

  /// Of `gateway.json`; nil: idempotency keys have no effect.
  var idempotency: IdempotencySettings?

  func routes(_ root: Field) -> [RouteDefinition] {
    guard let members = root.members(["routes", schemaKey]), let field = members.required("routes"),
      let entries = field.entries()
    else { return [] }
    guard entries.count <= Self.pathsMax else { return field.fail("has more than \(Self.pathsMax) paths") ?? [] }
    members.readSchema()
    var firstTexts: [[RoutePattern.Segment]: String] = [:]
    var definitions: [RouteDefinition] = []
    for entry in entries {
      guard let pattern = RoutePattern(entry.name) else {
        entry.field.error(RoutePattern.rule)
        continue
      }
      if let first = firstTexts.updateValue(pattern.text, forKey: pattern.segments) {
        entry.field.error("matches the same paths as \(first)")
      }
      definitions += methods(of: pattern, entry.field)
    }
    warnOfConflicts(definitions, of: field, in: entries.map(\.field))
    if Set(definitions.map(\.scope)).count > RouteTable.scopesMax {
      field.error("has more than \(RouteTable.scopesMax) scopes")
    }
    return definitions
  }

  private func methods(of pattern: RoutePattern, _ field: Field) -> [RouteDefinition] {
    let methods: [HTTP1.Method] = [.get, .post, .put, .patch, .delete]
    guard let members = field.members(methods.map(\.text.description)) else { return [] }
    if members.isEmpty { field.error("must have at least one method") }
    return methods.compactMap { method in
      members[method.text.description].flatMap { field in definition(pattern, method, field) }
    }
  }

  private func definition(_ pattern: RoutePattern, _ method: HTTP1.Method, _ field: Field) -> RouteDefinition? {
    let known = ["scope", "operation", "body_bytes", "first_byte_s", "total_s", "idempotency"]
    guard let members = field.members(known) else { return nil }
    let scope = members.required("scope").flatMap(scope)
    let operation = members.required("operation").flatMap(operation)
    let bodyBytesMax = members["body_bytes"]?.integer(in: bodyBytesBounds)
    let times = times(members)
    guard let scope, let operation else { return nil }
    let definition = RouteDefinition(
      pattern: pattern, method: method, scope: scope, operation: operation, bodyBytesMax: bodyBytesMax, times: times,
      statedKeyRule: members["idempotency"]?.keyRule())
    if let field = members["idempotency"] {
      checkKeyRule(definition, field)
    } else if idempotency != nil, definition.takesKeys, !definition.pattern.canDetokenize, definition.isUpload {
      field.note("ignores idempotency keys, as uploads do by default; set \"idempotency\" to say whether it should")
    }
    return definition
  }

  private func checkKeyRule(_ definition: RouteDefinition, _ field: Field) {
    guard let rule = definition.statedKeyRule, rule != .off else { return }
    if definition.pattern.canDetokenize {
      field.error(
        "must be \"off\": the path matches Core's detokenize calls, and the journal would keep the plain text that they "
          + "return")
    } else if !definition.takesKeys {
      field.warning("has no effect on a read, which can be repeated without a key; remove it")
    } else if idempotency == nil {
      let message = "has no effect without \"idempotency\" in gateway.json; add it there"
      if rule == .required { field.error(message) } else { field.warning(message) }
    } else if definition.isUpload, let idempotency {
      field.warning(
        "a request with a key and a body of more than \(idempotency.bodyBytesMax) bytes (idempotency.body_bytes_max) "
          + "gets 413")
    }
  }

  /// Within the same bounds as an instance's `timeouts`.
  private func times(_ members: Members) -> RouteTimes? {
    guard members["first_byte_s"] != nil || members["total_s"] != nil else { return nil }
    let times = RouteTimes(
      firstByteMilliseconds: members["first_byte_s"]?.milliseconds(inSeconds: exchangeSecondsBounds),
      totalMilliseconds: members["total_s"]?.milliseconds(inSeconds: exchangeSecondsBounds))
    if let firstByte = times.firstByteMilliseconds, let total = times.totalMilliseconds, firstByte > total {
      members["first_byte_s"]?.warning("is longer than \"total_s\", which ends the exchange earlier; raise \"total_s\"")
    }
    return times
  }

  private func scope(_ field: Field) -> Scope? {
    guard let text = field.string() else { return nil }
    guard let scope = Scope(text) else { return field.fail(scopeRule) }
    return scope
  }

  /// A label in metrics and logs.
  private func operation(_ field: Field) -> String? {
    guard let text = field.string() else { return nil }
    let isPlain = text.utf8.allSatisfy { byte in
      isAlphanumeric(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
    }
    guard isPlain, (1...64).contains(text.utf8.count) else {
      return field.fail("must be 1 to 64 characters of A-Z a-z 0-9 _ .")
    }
    return text
  }
}

let scopeRule = "must be 1 to 128 printable ASCII characters without spaces, quotes and backslashes (RFC 6749 §3.3)"
