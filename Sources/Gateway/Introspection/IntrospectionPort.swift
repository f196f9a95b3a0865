import Background
import Counters
import Digests
import Policies
import System
import Upstream

/// Connects a loop to introspection endpoints: one question for all exchanges that have the same token.
final class IntrospectionPort {
  /// A question under way, and the exchanges that wait for its answer.
  final class Question {
    let key: Digest
    let provider: IntrospectionProvider
    fileprivate let state: IntrospectionState
    fileprivate let metrics: IntrospectionMetrics
    fileprivate let address: PeerAddress
    fileprivate let askedAt: UnixSeconds
    /// Monotonic nanoseconds.
    fileprivate let startedAt: Int64
    fileprivate var waiters: [Exchange]

    fileprivate init(
      _ key: Digest, _ provider: IntrospectionProvider, _ state: IntrospectionState, _ metrics: IntrospectionMetrics,
      _ address: PeerAddress, askedAt: UnixSeconds, startedAt: Int64, for exchange: Exchange
    ) {
      self.key = key
      self.provider = provider
      self.state = state
      self.metrics = metrics
      self.address = address
      self.askedAt = askedAt
      self.startedAt = startedAt
      waiters = [exchange]
    }

    /// Withdraws interest in the answer; the question continues, for the cache.
    func withdraw(_ exchange: Exchange) { waiters.removeAll { $0 === exchange } }
  }

  enum Start {
    case waiting(Question)
    /// - Parameter reason: for the operator.
    case unavailable(reason: String)
  }

  private let service: IntrospectionService
  private let completions: CompletionPort<Question, IntrospectionResult>
  private var questions: [Digest: Question] = [:]
  private var limits = IntrospectionLimits()
  private let metrics: LoopMetrics
  private let report: @Sendable (String) -> Void

  init(
    _ service: IntrospectionService, _ metrics: LoopMetrics, report: @escaping @Sendable (String) -> Void,
    wakeLoop: @escaping @Sendable () -> Void
  ) {
    self.service = service
    self.metrics = metrics
    self.report = report
    completions = CompletionPort(CompletionQueue(wakeLoop: wakeLoop))
  }

  /// Asks about a token, or joins a question about it that is under way.
  ///
  /// - Parameters:
  ///   - token: the token's bytes.
  ///   - address: of the caller, for whom new questions are limited.
  ///   - now: monotonic nanoseconds.
  func ask(
    _ pending: PendingToken, _ token: [UInt8], _ provider: IntrospectionProvider, from address: PeerAddress,
    at wall: UnixSeconds, now: Int64, for exchange: Exchange
  ) -> Start {
    if let question = questions[pending.key] {
      question.waiters.append(exchange)
      return .waiting(question)
    }
    let milliseconds = now / 1_000_000
    guard limits.allows(address, now: milliseconds) else {
      return .unavailable(reason: "introspection \(provider.name): too many unknown tokens from this address")
    }
    let state = service.state(of: provider)
    let counts = metrics.introspection(provider.name)
    switch state.breaker.admit(isRead: true, now: milliseconds) {
    case .pass, .probe: break
    case .reject:
      return .unavailable(reason: "introspection \(provider.name): not asked, after repeated faults of the endpoint")
    }
    let question = Question(
      pending.key, provider, state, counts, address, askedAt: wall, startedAt: now, for: exchange)
    let (ticket, queue) = (completions.ticket(for: question), completions.queue)
    guard state.client.ask(token, completion: { queue.complete(ticket, IntrospectionResult($0)) }) else {
      completions.withdraw(ticket)
      state.breaker.probeEnded(now: milliseconds)
      return .unavailable(reason: "introspection \(provider.name): too many questions are waiting")
    }
    limits.asked(address, now: milliseconds)
    counts.asked.add()
    questions[pending.key] = question
    return .waiting(question)
  }

  /// Delivers answers to the exchanges that wait for them. Call it whenever the loop is woken.
  ///
  /// - Parameters:
  ///   - now: monotonic nanoseconds.
  ///   - remember: puts an answer into the loop's cache.
  func deliver(
    now: Int64, _ remember: (_ settled: SettledIntrospection, _ askedAt: UnixSeconds, IntrospectionProvider) -> Void
  ) {
    completions.deliver { question, result in
      questions[question.key] = nil
      note(result, question, now)
      let settled = SettledIntrospection(key: question.key, result)
      remember(settled, question.askedAt, question.provider)
      for exchange in question.waiters { exchange.introspectionSettled(settled) }
      question.waiters = []
    }
  }

  /// The number of questions under way.
  var questionCount: Int { questions.count }

  private func note(_ result: IntrospectionResult, _ question: Question, _ now: Int64) {
    question.metrics.latency.observe(now - question.startedAt)
    switch result {
    case .active:
      question.state.breaker.succeeded()
      limits.wasActive(question.address)
    case .inactive:
      question.state.breaker.succeeded()
      question.metrics.inactive.add()
    case .unavailable(let reason):
      let milliseconds = now / 1_000_000
      question.state.breaker.failed(now: milliseconds, jitter: .random(in: 0..<1))
      question.metrics.faults.add()
      limits.wasActive(question.address)
      if question.state.mayReport(milliseconds) {
        report(
          "introspection \(question.provider.name): \(question.provider.url): \(reason); requests with its tokens get 503"
        )
      }
    }
  }
}

/// Bounds questions about tokens that turn out not to be active, by address, or /64 of IPv6: each has 100, and
/// regains two a second.
///
/// A question counts from when it is asked, so that many at once are bounded, too; an answer that says `active` gives it
/// back.
struct IntrospectionLimits {
  private static let burst: Int64 = 100
  private static let millisecondsEach: Int64 = 500
  private static let entriesMax = 10_000

  /// Monotonic milliseconds when each address has all its questions again.
  private var fullAt: [PeerAddress: Int64] = [:]

  func allows(_ address: PeerAddress, now: Int64) -> Bool {
    guard let time = fullAt[address.host] else { return true }
    return time - now <= Self.millisecondsEach * (Self.burst - 1)
  }

  mutating func asked(_ address: PeerAddress, now: Int64) {
    let address = address.host
    if fullAt.count >= Self.entriesMax { fullAt = fullAt.filter { $0.value > now } }
    // Full of addresses that ask: the oldest are forgotten, so that new ones are limited.
    if fullAt.count >= Self.entriesMax { fullAt.removeAll() }
    fullAt[address] = max(fullAt[address] ?? now, now) + Self.millisecondsEach
  }

  mutating func wasActive(_ address: PeerAddress) {
    if let time = fullAt[address.host] { fullAt[address.host] = time - Self.millisecondsEach }
  }
}

/// One loop's counts about one provider: written by the loop alone.
final class IntrospectionMetrics: Sendable {
  /// Questions sent to the endpoint.
  let asked = Counter()
  /// Requests that a remembered answer has admitted.
  let hits = Counter()
  /// Answers that the token is not active.
  let inactive = Counter()
  /// Questions without a usable answer.
  let faults = Counter()
  let latency = Histogram()
}
