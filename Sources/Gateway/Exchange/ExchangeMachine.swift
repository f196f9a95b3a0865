import HTTP1
import Upstream

/// The decisions of one exchange: what happened comes in, what to do comes out. It holds phase, not buffers.
///
/// Its core promise: a request is put on the wire once. Only a read is tried again, once, and only when its first try
/// met a dead pooled connection before any byte of an answer.
struct ExchangeMachine: Equatable {
  enum State: Equatable {
    case admitting
    /// The body is read as far as it is held back: who sends slowly must not hold a connection to Core.
    case gathering
    /// The audit log is told of the write; nothing of it may be sent before that is durable.
    case awaitingIntent
    case awaitingSlot
    case connecting
    /// The request is being written; bytes may already be on the wire.
    case sending
    case awaitingAnswer
    /// Core's answer is passing through.
    case relaying
    /// The gateway's own answer is being written.
    case answering
    case finished
  }

  enum Action: Equatable {
    case none
    /// Read the body, as far as there is room for it.
    case gather
    /// Hand the intent of the write to the audit log.
    case declare
    /// Ask the pool for a connection; a fresh one when the pooled one was dead.
    case acquire(fresh: Bool)
    /// Close the connection, on which nothing was sent, and ask for another.
    case replaceConnection
    case send
    /// Drop the upstream connection and answer in the gateway's own name.
    case answer(Fault)
    /// End both connections: a clean end would pass a broken answer off as whole.
    case cut
    /// The client is gone and Core has nothing of it, or will be told by a closed connection.
    case abandon
    /// The answer is through.
    case complete
  }

  private(set) var state = State.admitting
  /// Whether Core may have the request: writes that fail from here on are `unknown`.
  private(set) var sendBegan = false
  private(set) var requestIsSent = false
  private(set) var clientIsGone = false
  private(set) var tries = 0
  let isWrite: Bool
  private let mayRetry: Bool
  private let isAudited: Bool
  private var isPooled = false

  /// - Parameters:
  ///   - mayRetry: the method is safe (GET or HEAD) and the request has no body.
  ///   - isAudited: the audit log is told before anything is sent.
  init(isWrite: Bool, mayRetry: Bool, isAudited: Bool = false) {
    self.isWrite = isWrite
    self.mayRetry = mayRetry
    self.isAudited = isAudited
  }

  /// What can have become of the request at Core.
  var outcome: Outcome { sendBegan ? .unknown : .notSent }

  // MARK: Before the request is sent

  /// - Parameter hasBody: whether a body is still to come.
  mutating func admitted(hasBody: Bool) -> Action {
    guard hasBody else { return bodyGathered() }
    state = .gathering
    return .gather
  }

  /// The body is whole, or there is as much of it as is held back.
  mutating func bodyGathered() -> Action {
    guard isAudited else { return intentBecameDurable() }
    state = .awaitingIntent
    return .declare
  }

  mutating func intentBecameDurable() -> Action {
    state = .connecting
    return .acquire(fresh: false)
  }

  /// The audit log cannot take the intent: not a byte of the write is sent.
  mutating func intentFailed() -> Action { fail(.auditUnavailable) }

  mutating func refused() {
    state = .answering
  }

  mutating func queued() {
    state = .awaitingSlot
  }

  mutating func queueWasFull() -> Action { fail(.busy) }

  mutating func leased(isPooled: Bool) -> Action {
    self.isPooled = isPooled
    state = .sending
    tries += 1
    return .send
  }

  mutating func connectFailed(_ kind: ConnectFault.Kind) -> Action {
    switch kind {
    case .refused: fail(.refused)
    case .unresolved: fail(.unresolved)
    case .tlsFailed: fail(.tlsFailed)
    case .timedOut: fail(.connectTimedOut)
    case .spokeFirst: fail(.malformed)
    }
  }

  // MARK: Sending

  /// Bytes or the end came on the connection before the first byte of the request.
  mutating func connectionWasUnfit() -> Action {
    // Whoever speaks first on a new connection does so on the next one, too.
    guard isPooled else { return fail(.malformed) }
    state = .connecting
    tries -= 1
    return .replaceConnection
  }

  /// libcurl was given the first byte; over TLS it may be on the wire even when it says AGAIN.
  mutating func sendingBegan() { sendBegan = true }

  mutating func requestSent() {
    requestIsSent = true
    if state == .sending { state = .awaitingAnswer }
  }

  // MARK: The answer

  mutating func answerHeadReceived() {
    state = .relaying
  }

  mutating func answerEnded() -> Action {
    state = .finished
    return .complete
  }

  /// The upstream connection ended or failed before the answer was whole.
  ///
  /// - Parameter answerBytes: whether any byte of an answer had come.
  mutating func upstreamBroke(answerBytes: Bool) -> Action {
    switch state {
    case .sending, .awaitingAnswer:
      if mayRetry, isPooled, tries == 1, !answerBytes, !clientIsGone {
        state = .connecting
        sendBegan = false
        requestIsSent = false
        return .acquire(fresh: true)
      }
      return fail(.broken)
    case .relaying: return cut()
    case .admitting, .gathering, .awaitingIntent, .awaitingSlot, .connecting, .answering, .finished: return .none
    }
  }

  /// Core refused the gateway's own key, before it did any work.
  ///
  /// - Parameter hasAnotherKey: whether a second try would come with another one.
  mutating func keyWasRefused(hasAnotherKey: Bool) -> Action {
    sendBegan = false
    if mayRetry, hasAnotherKey, tries == 1, !clientIsGone {
      state = .connecting
      requestIsSent = false
      return .acquire(fresh: false)
    }
    return fail(.keyRejected)
  }

  mutating func answerWasMalformed() -> Action {
    state == .relaying ? cut() : fail(.malformed)
  }

  // MARK: The client

  /// The request's body is more than the route takes, or the framing of its chunks is broken.
  mutating func bodyRefused(_ fault: Fault) -> Action { fail(fault) }

  /// The client can receive nothing more, or has left its request half sent.
  mutating func clientLeft() -> Action {
    clientIsGone = true
    switch state {
    case .awaitingAnswer, .relaying:
      // A write is seen through, so that the record can say what Core did.
      if isWrite, requestIsSent { return .none }
      return abandon()
    case .admitting, .gathering, .awaitingIntent, .awaitingSlot, .connecting, .sending, .answering: return abandon()
    case .finished: return .none
    }
  }

  // MARK: Deadlines

  /// Nobody did what the exchange was waiting for.
  mutating func deadlinePassed(waitingFor wait: Wait) -> Action {
    switch (state, wait) {
    case (.finished, _): .none
    case (.answering, _), (_, .clientRoom): cut()
    case (.awaitingIntent, _): fail(.auditUnavailable)
    case (.awaitingSlot, _): fail(.busy)
    case (.admitting, _), (.connecting, _): fail(.connectTimedOut)
    case (.gathering, _), (.sending, .clientBody): fail(.bodyTimedOut)
    case (.sending, _), (.awaitingAnswer, _): fail(.timedOut)
    case (.relaying, _): cut()
    }
  }

  // MARK: Ends

  private mutating func fail(_ fault: Fault) -> Action {
    guard !clientIsGone else { return abandon() }
    state = .answering
    return .answer(fault)
  }

  private mutating func cut() -> Action {
    state = .finished
    return .cut
  }

  private mutating func abandon() -> Action {
    state = .finished
    return .abandon
  }
}

/// Whom an exchange waits for; each has its own deadline.
enum Wait: Equatable, CaseIterable {
  /// Nobody: the work is done at once.
  case nobody
  /// The audit log makes the intent durable.
  case intent
  case slot
  case connect
  /// More of the request's body.
  case clientBody
  /// Core reads the request too slowly.
  case upstreamRoom
  case answerHead
  case answerBody
  /// The client reads the answer too slowly.
  case clientRoom
}
