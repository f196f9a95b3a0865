/// A holder of tokens and its rights: an entry of `clients.json`.
package struct Client: Sendable {
  package let id: ClientID
  package let name: String
  let scopes: ScopeSet
  let instances: InstanceGrant
  /// The index in `Policy.instances` for requests that name no instance; nil: none.
  package let defaultInstance: Int32?
  package let isRevoked: Bool
  let callers: CallerGrant
  package let limits: ClientLimits
  /// nil: it gets no tokens from the token endpoint.
  var oauth: OAuthClient?
  /// Signed tokens issued before are invalid; nil: none.
  var tokensNotBefore: UnixSeconds?
}

/// The instances that a token is restricted to.
struct TokenBinding {
  /// Ascending indices in `Policy.instances`, a subset of the client's; nil: all of the client's.
  let instances: [Int32]?
  /// As `Client.defaultInstance`.
  let defaultInstance: Int32?
}

/// A client's limits on rates and on concurrent requests.
package struct ClientLimits: Hashable, Sendable {
  package enum Rates: Hashable, Sendable {
    case unlimited
    /// One budget for reads and writes together.
    case shared(RateLimit)
    /// A budget for each; nil: unlimited.
    case separate(read: RateLimit?, write: RateLimit?)
  }

  package var rates = Rates.unlimited
  /// Concurrent exchanges; 0: unlimited.
  package var concurrentMax = 0
}

package struct RateLimit: Hashable, Sendable {
  /// 0.001 to 1,000,000.
  package let requestsPerSecond: Double
  /// Requests that may arrive at once, 1 to 1,000,000.
  package let burst: Int
  /// The time in which the budget regains one request.
  let intervalNanoseconds: Int64

  init(requestsPerSecond: Double, burst: Int) {
    self.requestsPerSecond = requestsPerSecond
    self.burst = burst
    intervalNanoseconds = max(1, Int64((1_000_000_000 / requestsPerSecond).rounded()))
  }
}

extension ClientLimits {
  /// Keys that the field does not have keep their defaults.
  init(_ field: Field) {
    self.init()
    guard let members = field.members(["read", "write", "concurrent", "requests_per_second", "burst"]) else { return }
    members.read("concurrent", in: 0...1_000_000, into: &concurrentMax)
    let isFlat = members["requests_per_second"] != nil || members["burst"] != nil
    let isSeparate = members["read"] != nil || members["write"] != nil
    if isFlat, isSeparate {
      field.error("must have either \"requests_per_second\" or \"read\" and \"write\", not both")
    }
    if isFlat { rates = RateLimit(members).map(Rates.shared) ?? .unlimited }
    if isSeparate {
      rates = .separate(read: members["read"].flatMap(RateLimit.init), write: members["write"].flatMap(RateLimit.init))
    }
  }
}

extension RateLimit {
  fileprivate init?(_ field: Field) {
    guard let members = field.members(["requests_per_second", "burst"]) else { return nil }
    self.init(members)
  }

  /// The default burst is one second of requests.
  fileprivate init?(_ members: Members) {
    guard let rate = members.required("requests_per_second")?.number(in: 0.001...1_000_000) else { return nil }
    let burst = members["burst"]?.integer(in: 1...1_000_000) ?? Int(rate.rounded(.up))
    self.init(requestsPerSecond: rate, burst: burst)
  }
}
