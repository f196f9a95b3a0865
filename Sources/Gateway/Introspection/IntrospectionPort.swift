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
    /// Who asked first.
    let caller: Caller
    fileprivate let state: IntrospectionState
    fileprivate let metrics: IntrospectionMetrics
    /// Whether the token was admitted before.
    fileprivate let isKnown: Bool
    fileprivate let askedAt: UnixSeconds
    /// Monotonic nanoseconds.
    fileprivate let startedAt: Int64
    fileprivate var waiters: [Exchange]

    fileprivate init(
      _ key: Digest, _ provider: IntrospectionProvider, _ state: IntrospectionState, _ metrics: IntrospectionMetrics,
      _ caller: Caller, isKnown: Bool, askedAt: UnixSeconds, startedAt: Int64, for exchange: Exchange
    ) {
      self.key = key
      self.provider = provider
      self.state = state
      self.metrics = metrics
      self.caller = caller
      self.isKnown = isKnown
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
  private let completions: CompletionPort<Question, IntrospectionReport>
  private var questions: [Digest: Question] = [:]
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
  ///   - caller: for whom questions about tokens that were not admitted before are limited.
  ///   - now: monotonic nanoseconds.
  func ask(
    _ pending: PendingToken, _ token: [UInt8], _ provider: IntrospectionProvider, from caller: Caller,
    at wall: UnixSeconds, now: Int64, for exchange: Exchange
  ) -> Start {
    if let question = questions[pending.key] {
      question.waiters.append(exchange)
      return .waiting(question)
    }
    let milliseconds = now / 1_000_000
    let state = service.state(of: provider)
    let counts = metrics.introspection(provider.name)
    let isKnown = state.wasAdmitted(pending.key, now: milliseconds)
    guard isKnown || service.takeQuestion(caller.address, now: milliseconds) else {
      counts.unasked.add()
      return .unavailable(reason: "introspection \(provider.name): too many unknown tokens from this address")
    }
    let question = Question(
      pending.key, provider, state, counts, caller, isKnown: isKnown, askedAt: wall, startedAt: now, for: exchange)
    if let reason = send(question, token, milliseconds) {
      if !isKnown { service.giveBackQuestion(caller.address) }
      counts.unasked.add()
      return .unavailable(reason: "introspection \(provider.name): \(reason)")
    }
    counts.asked.add()
    questions[pending.key] = question
    return .waiting(question)
  }

  /// Returns why the question is not asked; nil: it is.
  private func send(_ question: Question, _ token: [UInt8], _ now: Int64) -> String? {
    let breaker = question.state.breaker(isKnown: question.isKnown)
    switch breaker.admit(isRead: true, now: now) {
    case .pass, .probe: break
    case .reject: return "not asked, after repeated faults of the endpoint"
    }
    let (ticket, queue) = (completions.ticket(for: question), completions.queue)
    let isTaken = question.state.client.ask(
      token, from: QuestionSource(question.caller.address), isKnown: question.isKnown
    ) { reply in queue.complete(ticket, IntrospectionReport(reply)) }
    guard !isTaken else { return nil }
    completions.withdraw(ticket)
    breaker.probeEnded(now: now)
    return IntrospectionClient.fullMessage
  }

  typealias Answer = CompletionQueue<IntrospectionReport>.Completion

  /// The answers that have come. Call it whenever the loop is woken, and pass them to `deliver`.
  func takeAnswers() -> [Answer] { completions.takeAll() }

  /// Delivers answers to the exchanges that wait for them.
  ///
  /// - Parameters:
  ///   - now: monotonic nanoseconds.
  ///   - judge: puts an answer into the loop's cache, and returns what it says about its token.
  func deliver(_ answers: [Answer], now: Int64, _ judge: (SettledIntrospection, Question) -> TokenStanding) {
    completions.deliver(answers) { question, report in
      questions[question.key] = nil
      note(report, question, now)
      let settled = SettledIntrospection(key: question.key, report.result, askedAt: question.askedAt)
      note(judge(settled, question), question, now)
      for exchange in question.waiters { exchange.introspectionSettled(settled) }
      question.waiters = []
    }
  }

  /// The number of questions under way.
  var questionCount: Int { questions.count }

  private func note(_ standing: TokenStanding, _ question: Question, _ now: Int64) {
    switch standing {
    case .admitted:
      question.state.admitted(question.key, now: now / 1_000_000)
      if !question.isKnown { service.giveBackQuestion(question.caller.address) }
    case .refused: question.state.refused(question.key)
    case .unknown: break
    }
  }

  private func note(_ report: IntrospectionReport, _ question: Question, _ now: Int64) {
    let milliseconds = now / 1_000_000
    let breaker = question.state.breaker(isKnown: question.isKnown)
    guard report.wasAsked else {
      question.metrics.unasked.add()
      return breaker.probeEnded(now: milliseconds)
    }
    question.metrics.latency.observe(now - question.startedAt)
    switch report.result {
    case .active: breaker.succeeded()
    case .inactive:
      breaker.succeeded()
      question.metrics.inactive.add()
    case .unavailable(let reason):
      // Strange tokens must not keep the endpoint from being asked about others.
      if report.isOfToken {
        breaker.probeEnded(now: milliseconds)
      } else {
        breaker.failed(now: milliseconds, jitter: .random(in: 0..<1))
      }
      question.metrics.faults.add()
      if question.state.mayReport(milliseconds) {
        self.report(
          "introspection \(question.provider.name): \(question.provider.url): \(reason); requests with its tokens get 503"
        )
      }
    }
  }
}

extension QuestionSource {
  /// Addresses that limits count as one are one source.
  fileprivate init(_ address: PeerAddress) {
    switch address.host {
    case .ip(let address): self.init(high: address.high, low: address.low)
    // Not an address of a host: the last of multicast.
    case .unix, .unknown: self.init(high: .max, low: .max)
    }
  }
}

/// One loop's counts about one provider: written by the loop alone.
final class IntrospectionMetrics: Sendable {
  /// Questions for the endpoint.
  let asked = Counter()
  /// Requests that a remembered answer has admitted.
  let hits = Counter()
  /// Answers that the token is not active.
  let inactive = Counter()
  /// Questions without a usable answer.
  let faults = Counter()
  /// Questions that the endpoint did not get: because of a limit, a full queue, or the breaker.
  let unasked = Counter()
  let latency = Histogram()
}
