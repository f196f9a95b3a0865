/// A holder of tokens and what it may do: an entry of `clients.json`.
package struct Client: Sendable {
  package let id: ClientID
  package let name: String
  let scopes: ScopeSet
  let instances: InstanceGrant
  /// The place in `Policy.instances` for callers that name none.
  package let defaultInstance: Int32?
  package let isRevoked: Bool
  let networks: NetworkGrant
  package let limits: ClientLimits
}

/// What a token of a client is bound to.
struct TokenBinding {
  /// Ascending places in `Policy.instances`, all of them the client's; nil: what the client may use.
  let instances: [Int32]?
  /// As `Client.defaultInstance`.
  let defaultInstance: Int32?
}

/// How much a client may ask for.
package struct ClientLimits: Hashable, Sendable {
  package enum Rates: Hashable, Sendable {
    case unlimited
    /// One budget for reads and writes together.
    case shared(RateLimit)
    /// A budget each; nil: no bound.
    case separate(read: RateLimit?, write: RateLimit?)
  }

  package var rates = Rates.unlimited
  /// Exchanges under way; 0: no bound.
  package var concurrentMax = 0
}

package struct RateLimit: Hashable, Sendable {
  /// 0.001 to 1,000,000.
  package let requestsPerSecond: Double
  /// Requests that may come at once, 1 to 1,000,000.
  package let burst: Int
  /// A request's share of time.
  let intervalNanoseconds: Int64

  init(requestsPerSecond: Double, burst: Int) {
    self.requestsPerSecond = requestsPerSecond
    self.burst = burst
    intervalNanoseconds = max(1, Int64((1_000_000_000 / requestsPerSecond).rounded()))
  }
}

extension ClientLimits {
  /// What the file states, with the defaults for the rest.
  init(_ field: Field) {
    self.init()
    guard let members = field.members(["read", "write", "concurrent", "requests_per_second", "burst"]) else { return }
    members.read("concurrent", in: 0...1_000_000, into: &concurrentMax)
    let isFlat = members["requests_per_second"] != nil || members["burst"] != nil
    let isSeparate = members["read"] != nil || members["write"] != nil
    if isFlat, isSeparate { field.error("must have either \"requests_per_second\" or \"read\" and \"write\"") }
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

  /// The burst is a second's requests unless stated.
  fileprivate init?(_ members: Members) {
    guard let rate = members.required("requests_per_second")?.number(in: 0.001...1_000_000) else { return nil }
    let burst = members["burst"]?.integer(in: 1...1_000_000) ?? Int(rate.rounded(.up))
    self.init(requestsPerSecond: rate, burst: burst)
  }
}
