package import Digests

/// What an introspection endpoint has said about a token.
package enum IntrospectionResult: Sendable {
  case active(IntrospectionAnswer)
  case inactive
  /// There is no usable answer.
  ///
  /// - Parameter reason: for the operator.
  case unavailable(reason: String)
}

/// A result together with what was asked.
package struct SettledIntrospection: Sendable {
  package let key: Digest
  package let result: IntrospectionResult

  package init(key: Digest, _ result: IntrospectionResult) {
    self.key = key
    self.result = result
  }
}

/// What a loop remembers of introspection endpoints' answers. It holds answers, never decisions: each request is decided
/// under its own policy.
///
/// Bound: `activeMax` answers about active tokens and `inactiveMax` about others. Only the endpoint can make a token
/// active, so made-up tokens never evict the answers about real ones.
package struct IntrospectedTokens: ~Copyable {
  private struct Entry {
    let answer: IntrospectionAnswer
    /// When the question was asked.
    let askedAt: UnixSeconds
  }

  static let activeMax = 2_048
  static let inactiveMax = 256
  static let inactiveSeconds: Int64 = 10

  private var active: [Digest: Entry] = [:]
  /// The keys of `active` in the order of their insertion.
  private var order: [Digest] = []
  private var oldest = 0
  private var inactive: [(key: Digest, askedAt: UnixSeconds)] = []
  private var oldestInactive = 0

  /// For the request that is being admitted: what it has waited for, or what has admitted it before. It counts for this
  /// request however old it is.
  package var held: SettledIntrospection?
  /// The answer that has admitted the last request with an introspected token.
  package private(set) var used: SettledIntrospection?
  /// Why the last request with an introspected token was rejected although the token is active; nil: it was not.
  package var refusal: AnswerRefusal?

  package init() {}

  /// The result to decide with; nil: the endpoint must be asked.
  mutating func result(of key: Digest, at now: UnixSeconds, secondsMax: Int) -> IntrospectionResult? {
    if let held, held.key == key { return held.result }
    if let entry = active[key], Self.isFresh(entry.askedAt, now, Int64(secondsMax)) { return .active(entry.answer) }
    let isInactive = inactive.contains { $0.key == key && Self.isFresh($0.askedAt, now, Self.inactiveSeconds) }
    return isInactive ? .inactive : nil
  }

  mutating func use(_ answer: IntrospectionAnswer, _ key: Digest) {
    used = SettledIntrospection(key: key, .active(answer))
  }

  /// Remembers a result that has just arrived.
  ///
  /// - Parameters:
  ///   - askedAt: when the question was asked.
  ///   - secondsMax: the provider's `cache_s`.
  package mutating func insert(
    _ settled: SettledIntrospection, askedAt: UnixSeconds, at now: UnixSeconds, secondsMax: Int
  ) {
    let key = settled.key
    switch settled.result {
    case .active(let answer):
      guard secondsMax > 0, answer.expiry.map({ $0 > now.rawValue }) ?? true else { return forget(key) }
      if active.updateValue(Entry(answer: answer, askedAt: askedAt), forKey: key) != nil { return }
      if order.count < Self.activeMax { return order.append(key) }
      active[order[oldest]] = nil
      order[oldest] = key
      oldest = (oldest + 1) % Self.activeMax
    case .inactive:
      forget(key)
      if inactive.count < Self.inactiveMax { return inactive.append((key, askedAt)) }
      inactive[oldestInactive] = (key, askedAt)
      oldestInactive = (oldestInactive + 1) % Self.inactiveMax
    case .unavailable: break
    }
  }

  /// Keeps the slot in `order`; the key may come back.
  private mutating func forget(_ key: Digest) {
    guard active.removeValue(forKey: key) != nil else { return }
    order.removeAll { $0 == key }
    oldest = order.isEmpty ? 0 : oldest % order.count
  }

  /// Also false after the clock was set back.
  private static func isFresh(_ askedAt: UnixSeconds, _ now: UnixSeconds, _ secondsMax: Int64) -> Bool {
    now >= askedAt && now.rawValue - askedAt.rawValue < secondsMax
  }
}
