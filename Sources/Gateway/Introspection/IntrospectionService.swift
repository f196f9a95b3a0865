import Background
import Digests
import Policies
import Synchronization
import System
import Upstream

/// What all loops share about introspection providers: the threads that ask them, their breakers, and the limits of
/// addresses.
final class IntrospectionService: Sendable {
  /// By definition: a changed one starts with an empty state.
  private let states = Mutex<[Digest: IntrospectionState]>([:])
  private let limits = Mutex(IntrospectionLimits())
  private let transfers: BackgroundTransfers

  init(_ transfers: BackgroundTransfers) { self.transfers = transfers }

  /// Takes a question about an unknown token; false: the address has none left.
  ///
  /// - Parameter now: monotonic milliseconds, as for all functions here.
  func takeQuestion(_ address: PeerAddress, now: Int64) -> Bool {
    limits.withLock { $0.take(address, now: now) }
  }

  func giveBackQuestion(_ address: PeerAddress) { limits.withLock { $0.giveBack(address) } }

  /// The state of a provider, made at the first call.
  func state(of provider: IntrospectionProvider) -> IntrospectionState {
    states.withLock { $0.value(provider.definition, orElse: IntrospectionState(provider, transfers)) }
  }

  /// Applies the time limits of a policy's providers, and forgets providers that it does not have. Questions under way are
  /// still answered.
  func apply(_ policy: Policy) {
    let providers = policy.introspection?.providers ?? []
    let known = Set(providers.map(\.definition))
    states.withLock { states in
      states = states.filter { known.contains($0.key) }
      for provider in providers {
        states[provider.definition]?.client.setTimeout(milliseconds: provider.timeoutMilliseconds)
      }
    }
  }
}

/// One provider's threads, breakers and admitted tokens.
final class IntrospectionState: Sendable {
  let client: IntrospectionClient
  private static let breakerBounds = BreakerBounds(
    failuresMax: 5, openMilliseconds: 1_000, openMillisecondsMax: 30_000)
  /// Two: unknown tokens on which the endpoint fails open no breaker for clients.
  private let knownBreaker = UpstreamState(breakerBounds)
  private let unknownBreaker = UpstreamState(breakerBounds)
  private let admittedTokens = Mutex(AdmittedTokens())
  private let reportDue = Atomic<Int64>(0)
  private static let reportMilliseconds: Int64 = 10_000

  init(_ provider: IntrospectionProvider, _ transfers: BackgroundTransfers) {
    client = IntrospectionClient(IntrospectionEndpoint(provider), transfers)
  }

  func breaker(isKnown: Bool) -> UpstreamState { isKnown ? knownBreaker : unknownBreaker }

  /// The one that is not closed, if any.
  var breakerPhase: BreakerPhase {
    knownBreaker.breakerPhase == .closed ? unknownBreaker.breakerPhase : knownBreaker.breakerPhase
  }

  func wasAdmitted(_ key: Digest, now: Int64) -> Bool { admittedTokens.withLock { $0.contains(key, now: now) } }

  func admitted(_ key: Digest, now: Int64) { admittedTokens.withLock { $0.insert(key, now: now) } }

  func refused(_ key: Digest) { admittedTokens.withLock { $0.remove(key) } }

  /// Whether a fault may be reported now: one every 10 s.
  func mayReport(_ now: Int64) -> Bool {
    let due = reportDue.load(ordering: .relaxed)
    guard now >= due else { return false }
    return reportDue.compareExchange(expected: due, desired: now + Self.reportMilliseconds, ordering: .relaxed)
      .exchanged
  }
}

extension IntrospectionEndpoint {
  init(_ provider: IntrospectionProvider) {
    self.init(
      url: provider.url, clientID: Array(provider.clientID.utf8), clientSecret: provider.clientSecret.reveal())
    caBundle = provider.caBundle?.bytes
    timeoutMilliseconds = provider.timeoutMilliseconds
    bytesMax = IntrospectionAnswer.bytesMax
  }
}

/// A result, and whether it tells anything about the endpoint.
struct IntrospectionReport: Sendable {
  let result: IntrospectionResult
  /// false: the question did not get through the queue.
  let wasAsked: Bool
  /// Whether the endpoint may have rejected this question alone, such as for a token that is too long for it.
  let isOfToken: Bool

  init(_ reply: IntrospectionReply) {
    result = IntrospectionResult(reply)
    if case .notAsked = reply { wasAsked = false } else { wasAsked = true }
    if case .answered(let status, _) = reply {
      isOfToken = [400, 413, 414, 422, 431].contains(status)
    } else {
      isOfToken = false
    }
  }
}

extension IntrospectionResult {
  /// Only a response with status 200 says anything about a token; everything else is a fault of the endpoint.
  init(_ reply: IntrospectionReply) {
    switch reply {
    case .failed(let message), .notAsked(let message): self = .unavailable(reason: message)
    case .answered(status: 200, let body):
      do throws(IntrospectionFault) {
        self = try IntrospectionAnswer.read(body).map(IntrospectionResult.active) ?? .inactive
      } catch {
        self = .unavailable(reason: error.message)
      }
    case .answered(let status, _):
      let hint = status == 401 || status == 403 ? ": check \"client_id\" and \"client_secret\"" : ""
      self = .unavailable(reason: "the endpoint answered with status \(status)\(hint)")
    }
  }
}
