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
  /// When the question was asked.
  package let askedAt: UnixSeconds

  package init(key: Digest, _ result: IntrospectionResult, askedAt: UnixSeconds) {
    self.key = key
    self.result = result
    self.askedAt = askedAt
  }

  /// Whether it is younger than `secondsMax`; also false after the clock was set back.
  func isFresh(at now: UnixSeconds, secondsMax: Int) -> Bool {
    now >= askedAt && now.rawValue - askedAt.rawValue < Int64(secondsMax)
  }
}

/// What a result says about its token under the policy in force, whatever is requested with it.
package enum TokenStanding: Equatable, Sendable {
  /// It is a token of a client that may call from where it was presented.
  case admitted
  /// It is not active, or not a token of such a client: anybody can present those.
  case refused
  /// The endpoint has not said anything, or is not asked any more.
  case unknown
}

/// What a loop remembers of introspection endpoints' answers. It holds answers, never decisions: each request is decided
/// under its own policy.
///
/// Bound: `admittedMax` answers about tokens of clients and `refusedMax` about others. Made-up tokens, and active ones of
/// other services, never evict the answers about clients.
package struct IntrospectedTokens: ~Copyable {
  static let admittedMax = 2_048
  static let refusedMax = 256
  static let refusedSeconds = 10

  private var admitted: [Digest: SettledIntrospection] = [:]
  /// The keys of `admitted` in the order of their insertion.
  private var order: [Digest] = []
  private var oldest = 0
  private var refused: [SettledIntrospection] = []
  private var oldestRefused = 0

  /// For the request that is being admitted: what it has waited for, or what has admitted it before. It counts for this
  /// request however old it is.
  package var held: SettledIntrospection?
  /// The answer that has admitted the last request with an introspected token.
  package private(set) var used: SettledIntrospection?
  /// Why the request that is being admitted is rejected although its token is active; nil: it is not, or for another
  /// reason.
  package var refusal: AnswerRefusal?

  package init() {}

  /// Forgets what the last request has left for its exchange.
  mutating func beginAdmission() {
    used = nil
    refusal = nil
  }

  /// The result to decide with; nil: the endpoint must be asked.
  mutating func result(of key: Digest, at now: UnixSeconds, secondsMax: Int) -> SettledIntrospection? {
    if let held, held.key == key { return held }
    if let settled = admitted[key], settled.isFresh(at: now, secondsMax: secondsMax) { return settled }
    guard let settled = refusedResult(of: key, at: now), case .inactive = settled.result else { return nil }
    return settled
  }

  /// The answer about an active token that was refused a moment ago. It may only refuse it again: `cache_s` does not
  /// count for it.
  func refusedAnswer(about key: Digest, at now: UnixSeconds) -> IntrospectionAnswer? {
    guard case .active(let answer) = refusedResult(of: key, at: now)?.result else { return nil }
    return answer
  }

  private func refusedResult(of key: Digest, at now: UnixSeconds) -> SettledIntrospection? {
    refused.last { $0.key == key && $0.isFresh(at: now, secondsMax: Self.refusedSeconds) }
  }

  mutating func use(_ settled: SettledIntrospection) { used = settled }

  /// Remembers a result that has just arrived.
  ///
  /// - Parameters:
  ///   - standing: of its token.
  ///   - secondsMax: the provider's `cache_s`.
  package mutating func insert(
    _ settled: SettledIntrospection, _ standing: TokenStanding, at now: UnixSeconds, secondsMax: Int
  ) {
    switch standing {
    case .unknown: break
    case .admitted: insertAdmitted(settled, at: now, secondsMax)
    case .refused:
      forget(settled.key)
      if refused.count < Self.refusedMax { return refused.append(settled) }
      refused[oldestRefused] = settled
      oldestRefused = (oldestRefused + 1) % Self.refusedMax
    }
  }

  private mutating func insertAdmitted(_ settled: SettledIntrospection, at now: UnixSeconds, _ secondsMax: Int) {
    // An earlier refusal is out of date.
    refused.removeAll { $0.key == settled.key }
    oldestRefused = refused.isEmpty ? 0 : oldestRefused % refused.count
    guard secondsMax > 0 else { return forget(settled.key) }
    if admitted.updateValue(settled, forKey: settled.key) != nil { return }
    if order.count < Self.admittedMax { return order.append(settled.key) }
    admitted[order[oldest]] = nil
    order[oldest] = settled.key
    oldest = (oldest + 1) % Self.admittedMax
  }

  private mutating func forget(_ key: Digest) {
    guard admitted.removeValue(forKey: key) != nil else { return }
    order.removeAll { $0 == key }
    oldest = order.isEmpty ? 0 : oldest % order.count
  }
}
