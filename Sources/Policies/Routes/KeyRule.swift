import HTTP1

/// What an idempotency key means on a route: the `idempotency` of its entry in `routes.json`.
package enum KeyRule: String, Sendable, CaseIterable {
  /// A request without a key is rejected.
  case required
  case optional
  /// A key has no effect.
  case off
}

extension RouteDefinition {
  /// The rule that applies, whether or not the gateway has a journal.
  ///
  /// The journal keeps the responses to requests with a key, so none of them may have what the ledger hides, and a body
  /// must be whole before it is sent.
  var keyRule: KeyRule {
    guard takesKeys, !pattern.canDetokenize else { return .off }
    return statedKeyRule ?? (isUpload ? .off : .optional)
  }

  /// GET changes nothing (RFC 9110 §9.2.1), whatever scope it requires.
  var takesKeys: Bool { isWrite && method != .get }

  /// Whether bodies may be larger than those that a key can be used with.
  var isUpload: Bool {
    pattern.canUpload || (bodyBytesMax ?? 0) > IdempotencySettings.keptBytesBounds.upperBound
  }
}

extension RoutePattern {
  /// Whether the route reaches Core's calls that return personal data in plain text.
  var canDetokenize: Bool {
    canMatch(["identities", nil, "detokenize"]) || canMatch(["identities", nil, "detokenize", nil])
  }

  /// Whether the route is Core's upload of a file.
  fileprivate var canUpload: Bool { segments == [.literal("reconciliation"), .literal("upload")] }

  /// Whether some path matches both this pattern and `other`, where nil is any segment.
  private func canMatch(_ other: [String?]) -> Bool {
    segments.count == other.count
      && zip(segments, other).allSatisfy { segment, text in
        text.map { segment == .parameter || segment == .literal($0) } ?? true
      }
  }
}

extension Field {
  func keyRule() -> KeyRule? {
    guard let text = string() else { return nil }
    guard let rule = KeyRule(rawValue: text) else {
      return fail("must be \"required\", \"optional\" or \"off\"")
    }
    return rule
  }
}
