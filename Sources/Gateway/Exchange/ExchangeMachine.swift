import Policies
import Upstream

/// The decisions of one exchange: events come in, actions come out.
///
/// It holds phases and facts, no buffers. `ExchangeTable.swift` says which event is legal in which phase, and what
/// follows. It guarantees:
/// - A write is sent once.
/// - A read is retried at most once, and only after a dead pooled connection or a refused key.
/// - The outcome is `notSent` only if that is true of every try.
/// - A fault that began downstream never counts against the instance.
/// - Nothing of a keyed write's response is sent before the journal has it, or has failed.
struct ExchangeMachine: Equatable {
  /// The request on its way to Core.
  enum RequestPhase: Equatable, CaseIterable {
    /// The head is complete; admission decides.
    case admitting
    /// Admission waits for the introspection endpoint.
    case awaitingIntrospection
    /// A write's body took long to arrive: the introspection endpoint is asked again.
    case repeatingIntrospection
    /// A form for an endpoint of the gateway itself is read.
    case collectingForm
    /// A file has to be written before the form can be answered.
    case awaitingGrant
    /// Part of the body is read before a connection is acquired, so that a slow sender does not hold one.
    case bufferingBody
    /// The journal looks up the key of a write, or makes its claim durable; the audit log may have the intent.
    case awaitingKey
    /// The audit log has the intent of a write. No byte is sent before the intent is durable.
    case awaitingIntent
    /// In the queue of the pool.
    case queued
    case connecting
    /// Being written. Bytes may already be on the wire.
    case sending
    /// As `sending`, but Core has to read before more can be written.
    case sendBlocked
    /// As `sending`, but the next bytes of the body have not arrived.
    case awaitingBody
    /// Completely written. From here on a write continues even if downstream closes.
    case sent
    /// A write failed. Core may have responded before it closed (RFC 9112 §9.5).
    case sendFailed
    /// No more is sent: the request was rejected, was answered early, or has ended.
    case closed
  }

  /// The response on its way downstream.
  enum ResponsePhase: Equatable, CaseIterable {
    case none
    /// Core's response to a keyed write is read, and nothing of it is relayed yet.
    case keeping
    /// The journal makes the outcome of a keyed write durable; then the response is relayed.
    case recording
    /// The journal frees the key of a write that was not sent; then the local reply is written.
    case releasing
    /// Core's response is relayed.
    case relaying
    /// As `relaying`, but downstream has to read before more can be written.
    case blocked
    /// A local reply is written.
    case replying
    case finished
  }

  /// What admission has found out about the request.
  struct Plan: Equatable {
    /// By the route's scope or its method: it may change the ledger.
    var isWrite = false
    /// A read by GET or HEAD without a body.
    var isRetryable = false
    /// The audit log needs the intent before any byte is sent.
    var isAudited = false
    /// It has an idempotency key.
    var isKeyed = false
    var hasBody = false
  }

  enum Event: Equatable {
    // Admission
    case introspectionStarted, introspectionFinished
    case formBegan, formCollected
    case grantBegan, grantSettled
    case admitted(Plan)
    /// The gateway replies instead of relaying: a rejection, also when admission is repeated before the first byte; or
    /// the reply to a probe or to OPTIONS.
    case answeredLocally
    // Before the first byte
    case bodyBuffered
    /// The key is this request's, once the journal has made that durable.
    case keyClaimed, keyDurable, keyUnavailable
    case intentDurable, intentFailed
    case queued
    case queueFull
    /// The pool opens a connection for this exchange, which was queued.
    case connectBegan
    case leased(pooled: Bool)
    case connectFailed(ConnectFault.Kind)
    /// Bytes or EOF have arrived on the connection before the first byte of the request.
    case connectionUnusable(ConnectFault.Kind)
    // Sending
    /// The first byte of this try is about to be written. Over TLS it can be sent even if the write returns CURLE_AGAIN.
    case firstByteSent
    case sendBlocked, bodyStalled, sendResumed
    case requestSent
    case sendFailed
    /// The body is too large for the route, or its chunks are malformed.
    case bodyRejected(Fault)
    // The response
    case keyRefused(hasAnother: Bool)
    case responseBegan(status: Int)
    /// The response of a keyed write is complete, or too large to keep.
    case responseKept
    /// The journal has the outcome of a keyed write, or has failed.
    case outcomeSettled
    /// The head, or the chunks of the body, are malformed.
    case responseMalformed(Fault)
    /// The connection ended or failed before the response was complete. Over TLS, an end without close_notify is a
    /// failure.
    ///
    /// - Parameter receivedBytes: whether any byte of a response has arrived.
    case upstreamClosed(receivedBytes: Bool)
    case downstreamBlocked, downstreamResumed
    /// The whole response is in the socket's buffer.
    case responseDelivered
    case replyDelivered
    // Downstream, time and shutdown
    case downstreamClosed
    case deadlinePassed
    case aborted
  }

  enum Action: Equatable {
    /// Nothing to do: the exchange waits, or the caller continues.
    case none
    case admit
    case answerForm
    case bufferBody
    case claimKey
    case declareIntent
    /// Ask the pool for a connection. `fresh`: not an idle one, because one of them was dead.
    case acquire(fresh: Bool)
    /// Close the connection, on which nothing was sent, and ask for another one.
    case replaceConnection
    case send
    case readResponse
    case keep(BreakerVerdict)
    /// Pass the outcome of a keyed write to the journal.
    case recordOutcome
    case relay(BreakerVerdict)
    /// Relay the response that the journal has.
    case relayKept
    /// Write the local reply.
    case deliver
    /// Nothing to do: the code that reported `answeredLocally` writes the reply.
    case answerLocally
    /// Drop the upstream connection, and reply with the fault and the outcome.
    case reply(Fault)
    case finish(Ending)
    /// The event is illegal in this phase, which is a bug: end the exchange and both connections.
    case illegalEvent
  }

  enum Ending: Equatable {
    /// - Parameter requestSent: whether Core has the whole request, so that the connection to it is reusable.
    case complete(requestSent: Bool)
    /// End both connections: a clean end would make a broken response look complete.
    case cut(Fault)
    /// - Parameter fault: what failed after downstream had closed; nil: nothing.
    case downstreamClosed(after: Fault?)
  }

  private(set) var request = RequestPhase.admitting
  private(set) var response = ResponsePhase.none
  private(set) var plan = Plan()
  /// Tries whose first write was attempted: over TLS a byte may have been sent even if the write failed.
  private(set) var tries = 0
  private(set) var downstreamIsClosed = false
  /// Tries that Core may have executed.
  private var openTries = 0
  private var isPooled = false
  /// Whether the first write of the current try was attempted.
  private(set) var tryHasBegun = false
  /// Whether sending has waited for the body while it held a connection.
  private var bodyHasStalled = false
  /// Whether the request has a claim on its key that the journal has not settled.
  private(set) var holdsKey = false
  private var intentIsDurable = false

  init() {}

  /// Whether Core may have executed the request, over all tries.
  var outcome: Outcome { openTries == 0 ? .notSent : .unknown }

  var isFinished: Bool { response == .finished }
  var requestIsSent: Bool { request == .sent }
  var isRelaying: Bool { response == .relaying || response == .blocked }

  /// What the exchange waits for. Every wait has a deadline.
  var wait: Wait {
    switch (response, request) {
    case (.none, .admitting), (.none, .sending), (.none, .closed), (.finished, _): .nothing
    case (.none, .awaitingIntrospection), (.none, .repeatingIntrospection): .introspection
    case (.none, .bufferingBody), (.none, .awaitingBody), (.none, .collectingForm): .requestBody
    case (.none, .awaitingGrant): .grant
    case (.none, .awaitingKey): .key
    case (.none, .awaitingIntent): .intent
    case (.none, .queued): .queue
    case (.none, .connecting): .connect
    case (.none, .sendBlocked): .upstreamWritable
    case (.none, .sent), (.none, .sendFailed): .responseHead
    case (.recording, _), (.releasing, _): .key
    case (.relaying, _), (.keeping, _): .responseBody
    case (.blocked, _), (.replying, _): .downstreamWritable
    }
  }
}

// MARK: Transitions, used by the table

extension ExchangeMachine {
  mutating func enter(_ next: RequestPhase, _ action: Action = .none) -> Action {
    request = next
    return action
  }

  mutating func enter(_ next: ResponsePhase, _ action: Action = .none) -> Action {
    response = next
    return action
  }

  mutating func admitted(_ plan: Plan) -> Action {
    self.plan = plan
    return plan.hasBody ? enter(.bufferingBody, .bufferBody) : bodyBuffered()
  }

  mutating func bodyBuffered() -> Action {
    if plan.isKeyed { return enter(.awaitingKey, .claimKey) }
    return plan.isAudited ? enter(.awaitingIntent, .declareIntent) : enter(.connecting, .acquire(fresh: false))
  }

  /// The audit log gets the intent at once, so that both become durable at the same time.
  mutating func keyClaimed() -> Action {
    holdsKey = true
    return plan.isAudited ? .declareIntent : .none
  }

  mutating func keyDurable() -> Action {
    guard holdsKey else { return .illegalEvent }
    return plan.isAudited && !intentIsDurable
      ? enter(.awaitingIntent) : enter(.connecting, .acquire(fresh: false))
  }

  mutating func keyUnavailable() -> Action {
    holdsKey = false
    return fail(.journalUnavailable)
  }

  /// The journal does not answer, so the reply does not wait for it again.
  mutating func keyTimedOut() -> Action {
    holdsKey = false
    return fail(.journalTimedOut)
  }

  mutating func intentDurable() -> Action {
    intentIsDurable = true
    return request == .awaitingKey ? .none : enter(.connecting, .acquire(fresh: false))
  }

  mutating func leased(pooled: Bool) -> Action {
    isPooled = pooled
    tryHasBegun = false
    return enter(.sending, .send)
  }

  mutating func firstByteSent() -> Action {
    guard !tryHasBegun else { return .illegalEvent }
    tryHasBegun = true
    tries += 1
    openTries += 1
    return .none
  }

  /// This try has sent no byte, so another connection may be used, but only in place of a pooled one: an upstream
  /// that speaks first on a new connection, or closes it, does so on the next one, too.
  mutating func connectionUnusable(_ kind: ConnectFault.Kind) -> Action {
    guard !tryHasBegun else { return .illegalEvent }
    return isPooled ? enter(.connecting, .replaceConnection) : fail(.connect(kind))
  }

  mutating func bodyStalled() -> Action {
    bodyHasStalled = true
    return enter(.awaitingBody)
  }

  mutating func answerLocally() -> Action {
    guard request != .sending || !tryHasBegun else { return .illegalEvent }
    (request, response) = (.closed, replyPhase)
    return .answerLocally
  }

  /// A key whose request was not sent is free again before the client learns that.
  private var replyPhase: ResponsePhase { holdsKey && outcome == .notSent ? .releasing : .replying }

  @_optimize(speed)
  mutating func responseBegan(status: Int) -> Action {
    guard tryHasBegun else { return .illegalEvent }
    if request != .sent { request = .closed }
    // 502 to 504 mean that the instance is unhealthy.
    let verdict: BreakerVerdict = (502...504).contains(status) ? .failure : .success
    return holdsKey ? enter(.keeping, .keep(verdict)) : enter(.relaying, .relay(verdict))
  }

  mutating func outcomeSettled() -> Action {
    holdsKey = false
    return response == .releasing ? enter(.replying, .deliver) : enter(.relaying, .relayKept)
  }

  /// Core checks the key before it does any work: this try has executed nothing.
  mutating func keyRefused(hasAnother: Bool) -> Action {
    guard tryHasBegun else { return .illegalEvent }
    openTries -= 1
    return mayRetry && hasAnother ? enter(.connecting, .acquire(fresh: false)) : fail(.keyRefused)
  }

  mutating func upstreamClosed(receivedBytes: Bool) -> Action {
    if mayRetry, isPooled, !receivedBytes { return enter(.connecting, .acquire(fresh: true)) }
    return fail(bodyHasStalled && request != .sent ? .closedDuringUpload : .closedWithoutResponse)
  }

  private var mayRetry: Bool { plan.isRetryable && tries == 1 && !downstreamIsClosed }

  /// A write that Core has completely continues, so that the record can say what Core did.
  mutating func downstreamClosed() -> Action {
    guard plan.isWrite, request == .sent, response != .replying, response != .releasing else {
      return finish(.downstreamClosed(after: nil))
    }
    downstreamIsClosed = true
    return response == .blocked ? enter(.relaying, .readResponse) : .none
  }

  /// Replies with a fault.
  mutating func fail(_ fault: Fault) -> Action {
    guard !downstreamIsClosed else { return finish(.downstreamClosed(after: fault)) }
    (request, response) = (.closed, replyPhase)
    return .reply(fault)
  }

  /// Ends the exchange without a reply, or in the middle of a response.
  mutating func cut(_ fault: Fault) -> Action {
    finish(downstreamIsClosed ? .downstreamClosed(after: fault) : .cut(fault))
  }

  mutating func finish(_ ending: Ending) -> Action {
    end()
    return .finish(ending)
  }

  /// From here on every event is illegal.
  mutating func end() { (request, response) = (.closed, .finished) }
}

/// What an exchange waits for.
enum Wait: Equatable, CaseIterable {
  /// Nothing: the work continues at once.
  case nothing
  case introspection
  /// A file is written, for a code or a revocation.
  case grant
  /// The journal looks up a key, or makes a claim or an outcome durable.
  case key
  /// The audit log makes the intent durable.
  case intent
  case queue
  case connect
  /// More bytes of the request's body arrive.
  case requestBody
  /// Core reads more of the request.
  case upstreamWritable
  case responseHead
  case responseBody
  /// Downstream reads more of the response.
  case downstreamWritable
}
