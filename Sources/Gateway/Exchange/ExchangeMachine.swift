import Policies
import Upstream

/// The decisions of one exchange: what happened comes in as an event, what to do comes out as an action.
///
/// It holds phase and facts, no buffers. Which event may come in which phase, and what follows, is one table:
/// `ExchangeTable.swift`. Its promises: a write is put on the wire once; a read is repeated once at most, only after a
/// dead pooled connection or a refused key; `notSent` is said only when it is true of every try; a fault that began with
/// the client never counts against the instance.
struct ExchangeMachine: Equatable {
  /// The request on its way to Core.
  enum RequestPhase: Equatable, CaseIterable {
    /// The head is whole; who asks, for what, and where it may go is being decided.
    case admitting
    /// An introspection endpoint is asked about the token.
    case awaitingToken
    /// The body is read as far as it is held back: a slow sender must not hold a connection to Core.
    case gathering
    /// The audit log is told of the write; not a byte of it is sent before that is durable.
    case awaitingIntent
    /// In the pool's queue.
    case awaitingSlot
    case connecting
    /// It is being written; bytes may already be on the wire.
    case sending
    /// As `sending`: Core has to read before more can be written.
    case awaitingCapacity
    /// As `sending`: the client owes body bytes.
    case awaitingBody
    /// All of it was written. From here on a write is seen through, also when its client leaves.
    case sent
    /// A write failed; what Core said before it hung up is still to be read (RFC 9112 §9.5).
    case unsendable
    /// Nothing more of it is sent: it was answered before it was whole, refused, or has ended.
    case closed
  }

  /// The response on its way to the client.
  enum ResponsePhase: Equatable, CaseIterable {
    case none
    /// Core's response passes through.
    case relaying
    /// As `relaying`: the client has to read before more can be written.
    case blocked
    /// The gateway's own reply is being written.
    case replying
    case finished
  }

  /// What admission found out.
  struct Plan: Equatable {
    /// By the route's scope or its method: what may change the ledger.
    var isWrite = false
    /// A read by GET or HEAD without a body.
    var isRepeatable = false
    /// The audit log is told before anything is sent.
    var isAudited = false
    var hasBody = false
  }

  enum Event: Equatable {
    // Admission
    case tokenAsked, tokenSettled
    case admitted(Plan)
    /// Admission said no; again when it is repeated before the first byte, since the policy has changed meanwhile.
    case refused
    // Before the first byte
    case bodyGathered
    case intentDurable, intentFailed
    case queued
    case queueFull
    /// A connect is under way for who was queued.
    case connectBegan
    case leased(pooled: Bool)
    case connectFailed(ConnectFault.Kind)
    /// The connection has something to say before it is asked, or has ended.
    case connectionUnfit(ConnectFault.Kind)
    // Sending
    /// The socket, or libcurl, is given the first byte of this try; over TLS it may leave even when AGAIN is said.
    case firstByteSent
    case capacityExhausted, bodyExhausted, sendResumed
    case requestSent
    case sendFailed
    /// The client's body is larger than the route takes, or its chunks are malformed.
    case bodyRefused(Fault)
    // The response
    case keyRefused(hasAnother: Bool)
    case responseBegan(status: Int)
    /// - Parameter fault: of the head, or of the chunks of the body.
    case responseMalformed(Fault)
    /// The connection ended or failed before the response was whole; a TLS connection that ends without close_notify has
    /// failed.
    ///
    /// - Parameter bytesCame: whether any byte of a response had come.
    case upstreamEnded(bytesCame: Bool)
    case clientBlocked, clientResumed
    /// All of the response is on its way to the client.
    case responseDelivered
    case replyDelivered
    // The client, time and the gateway's own end
    case clientLeft
    case deadlinePassed
    case aborted
  }

  enum Action: Equatable {
    /// Go on with the present phase.
    case none
    case admit
    case gather
    case declareIntent
    /// Ask the pool for a connection; `fresh`: none of the idle ones, since one of them was dead.
    case acquire(fresh: Bool)
    /// Close the connection, on which nothing was sent, and ask for another one.
    case replaceConnection
    case send
    case readResponse
    case relay(BreakerVerdict)
    /// Nothing: whoever refused writes the reply, since it says more than a code.
    case refuse
    /// Drop the upstream connection, and reply with the fault and the outcome.
    case reply(Fault)
    case finish(Ending)
    /// The event is illegal in this phase: a bug, which ends the exchange and both its connections.
    case trap
  }

  enum Ending: Equatable {
    /// - Parameter requestSent: whether Core has the whole request, so that its connection can be used again.
    case complete(requestSent: Bool)
    /// End both connections: a clean end would pass a broken response off as whole.
    case cut(Fault)
    /// - Parameter fault: what failed after the client had left; nil: nothing.
    case clientLeft(after: Fault?)
  }

  private(set) var request = RequestPhase.admitting
  private(set) var response = ResponsePhase.none
  private(set) var plan = Plan()
  /// Tries whose first write was attempted: over TLS a byte may have left even if it failed.
  private(set) var tries = 0
  private(set) var clientIsGone = false
  /// Tries that Core may have executed.
  private var openTries = 0
  private var isPooled = false
  /// Whether the first write of the present try was attempted.
  private(set) var tryHasBegun = false
  /// The client has owed body bytes while a connection was held.
  private var clientStalled = false

  init() {}

  /// What can have become of the request at Core: follows from all tries.
  var outcome: Outcome { openTries == 0 ? .notSent : .unknown }

  var isFinished: Bool { response == .finished }
  var requestIsSent: Bool { request == .sent }
  var isRelaying: Bool { response == .relaying || response == .blocked }

  /// Whom the exchange waits for; each has a deadline of its own.
  var wait: Wait {
    switch (response, request) {
    case (.none, .admitting), (.none, .sending), (.none, .closed), (.finished, _): .nobody
    case (.none, .awaitingToken): .token
    case (.none, .gathering), (.none, .awaitingBody): .clientBody
    case (.none, .awaitingIntent): .intent
    case (.none, .awaitingSlot): .slot
    case (.none, .connecting): .connect
    case (.none, .awaitingCapacity): .upstreamCapacity
    case (.none, .sent), (.none, .unsendable): .responseHead
    case (.relaying, _): .responseBody
    case (.blocked, _), (.replying, _): .clientCapacity
    }
  }
}

// MARK: Transitions, used by the table

extension ExchangeMachine {
  /// Moves the request on.
  mutating func to(_ next: RequestPhase, _ action: Action = .none) -> Action {
    request = next
    return action
  }

  /// Moves the response on.
  mutating func to(_ next: ResponsePhase, _ action: Action = .none) -> Action {
    response = next
    return action
  }

  mutating func begin(_ plan: Plan) -> Action {
    self.plan = plan
    return plan.hasBody ? to(.gathering, .gather) : bodyGathered()
  }

  mutating func bodyGathered() -> Action {
    plan.isAudited ? to(.awaitingIntent, .declareIntent) : to(.connecting, .acquire(fresh: false))
  }

  mutating func leased(pooled: Bool) -> Action {
    isPooled = pooled
    tryHasBegun = false
    return to(.sending, .send)
  }

  mutating func beginTry() -> Action {
    guard !tryHasBegun else { return .trap }
    tryHasBegun = true
    tries += 1
    openTries += 1
    return .none
  }

  /// Not a byte of this try has left, so another connection may be used. An upstream that speaks first on a new one, or
  /// ends it, does so on the next one, too.
  mutating func replaceConnection(_ kind: ConnectFault.Kind) -> Action {
    guard !tryHasBegun else { return .trap }
    return isPooled ? to(.connecting, .replaceConnection) : fail(.connect(kind))
  }

  mutating func stall() -> Action {
    clientStalled = true
    return to(.awaitingBody)
  }

  mutating func refuse() -> Action {
    guard request != .sending || !tryHasBegun else { return .trap }
    (request, response) = (.closed, .replying)
    return .refuse
  }

  mutating func relay(status: Int) -> Action {
    guard tryHasBegun else { return .trap }
    if request != .sent { request = .closed }
    // What the status says of the instance.
    return to(.relaying, .relay((502...504).contains(status) ? .failure : .success))
  }

  /// Core's auth runs before any work: this try has executed nothing.
  mutating func refuseKey(hasAnother: Bool) -> Action {
    guard tryHasBegun else { return .trap }
    openTries -= 1
    return mayRepeat && hasAnother ? to(.connecting, .acquire(fresh: false)) : fail(.keyRefused)
  }

  mutating func lose(bytesCame: Bool) -> Action {
    if mayRepeat, isPooled, !bytesCame { return to(.connecting, .acquire(fresh: true)) }
    return fail(clientStalled && request != .sent ? .closedDuringUpload : .closedWithoutResponse)
  }

  private var mayRepeat: Bool { plan.isRepeatable && tries == 1 && !clientIsGone }

  /// A write whose request is whole is seen through, so that the record can say what Core did.
  mutating func leave() -> Action {
    guard plan.isWrite, request == .sent, response != .replying else { return finish(.clientLeft(after: nil)) }
    clientIsGone = true
    return response == .blocked ? to(.relaying, .readResponse) : .none
  }

  mutating func fail(_ fault: Fault) -> Action {
    guard !clientIsGone else { return finish(.clientLeft(after: fault)) }
    (request, response) = (.closed, .replying)
    return .reply(fault)
  }

  /// Ends the exchange without a reply, or in the middle of a response.
  mutating func cut(_ fault: Fault) -> Action { finish(clientIsGone ? .clientLeft(after: fault) : .cut(fault)) }

  mutating func finish(_ ending: Ending) -> Action {
    end()
    return .finish(ending)
  }

  /// Nothing more is legal.
  mutating func end() { (request, response) = (.closed, .finished) }
}

/// Whom an exchange waits for.
enum Wait: Equatable, CaseIterable {
  /// Nobody: the work is done at once.
  case nobody
  case token
  /// The audit log makes the intent durable.
  case intent
  case slot
  case connect
  /// More of the request's body.
  case clientBody
  /// Core has to read more of the request.
  case upstreamCapacity
  case responseHead
  case responseBody
  /// The client has to read more of the response.
  case clientCapacity
}
