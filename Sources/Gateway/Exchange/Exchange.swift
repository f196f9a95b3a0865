import HTTP1
import Policies
import Reactor
import Telemetry
import Upstream

/// One request and its response, from the head to the record: tells the machine what happened, and does what it says.
///
/// Belongs to one connection at a time and is used again by its worker. It holds buffers only while bytes are on their
/// way. Its properties are for its extensions, in the files beside this one, and for nobody else.
///
/// What an event begins with is handed down, the client's connection above all: asking a property that may change for an
/// object counts its reference up and down, 40 instructions of which two lock.
final class Exchange: Lessee {
  let worker: Worker
  let loop: EventLoop
  let request: RequestRelay
  let response: ResponseRelay
  var connection: DownstreamConnection?
  /// The connection's.
  var registration = Registration.none
  var state: RequestState
  /// Apart from the state, since it is cheaper to begin anew in place: 150 instructions.
  var record = ExchangeRecord(RequestID(high: 0, low: 0), startedAt: 0, status: 0)

  init(worker: Worker) {
    self.worker = worker
    loop = worker.loop
    state = RequestState(RequestID(high: 0, low: 0), now: 0, ClientPace())
    request = RequestRelay(buffers: worker.buffers)
    response = ResponseRelay(buffers: worker.buffers)
  }

  /// Readies the exchange for the connection's next request.
  func attach(to connection: DownstreamConnection, _ pace: ClientPace) {
    self.connection = connection
    registration = connection.registration
    state = RequestState(worker.nextRequestID(), now: loop.nowNanoseconds, pace)
    record.begin(state.id, startedAt: loop.wallMicroseconds)
  }

  // MARK: Deciding and acting

  /// Tells the machine what happened, and does what follows.
  func handle(_ event: ExchangeMachine.Event, _ connection: DownstreamConnection) {
    let action = state.machine.on(event)
    if case .trap = action { worker.internalFault(event, state.machine) }
    perform(action, connection)
  }

  /// The life of a request: one case for each thing that an exchange ever does.
  private func perform(_ action: ExchangeMachine.Action, _ connection: DownstreamConnection) {
    switch action {
    case .none: break
    case .admit: resumeAdmission(connection)
    case .gather: gather(connection)
    case .declareIntent: declareIntent(connection)
    case .acquire(let fresh): acquire(fresh: fresh, connection)
    case .replaceConnection: replaceConnection(connection)
    case .send: schedule(.send)
    case .readResponse: resumeReceiving(connection)
    case .relay(let verdict): beginRelaying(verdict)
    case .refuse: break
    case .reply(let fault): reply(fault, connection)
    case .finish(let ending): finish(ending, connection)
    case .trap:
      state.machine.end()
      finish(.cut(.illegalEvent), connection)
    }
  }

  /// Tells the instance's breaker how it did.
  func tell(_ verdict: BreakerVerdict, _ access: InstanceAccess) {
    switch verdict {
    case .nothing: break
    case .success: access.succeeded()
    case .failure: access.failed(now: loop.now)
    }
  }

  // MARK: What happens

  /// The client's connection has news.
  func clientReady(_ connection: DownstreamConnection) {
    switch state.machine.response {
    case .none:
      // A 100 (Continue) that the client did not take at once.
      if response.isWaiting, flush(to: connection) == .suspended { return }
    case .blocked, .replying: return deliver(connection)
    case .relaying, .finished: return
    }
    switch state.machine.request {
    case .gathering: gather(connection)
    case .awaitingBody: if connection.isReadable { handle(.sendResumed, connection) }
    case .awaitingCapacity, .sent, .unsendable:
      if let upstream = state.upstream, upstream.isReadable { receiveResponse(from: upstream, connection) }
    case .admitting, .awaitingToken, .awaitingIntent, .awaitingSlot, .connecting, .sending, .closed: break
    }
  }

  /// The client's connection was reset, or is closed both ways. A FIN alone shows only when a body is read or a write fails.
  func clientLeft(_ connection: DownstreamConnection) { handle(.clientLeft, connection) }

  /// The gateway stops, and waits no longer for this exchange.
  func abort(_ connection: DownstreamConnection) { handle(.aborted, connection) }

  func deadlinePassed(_ connection: DownstreamConnection) {
    let wait = state.machine.wait
    // The turn may have moved on to work that waits for nobody.
    guard wait != .nobody else { return }
    guard wait == state.clock.wait, loop.now >= due else { return arm() }
    handle(.deadlinePassed, connection)
  }

  // MARK: Upstream

  /// Bytes may have come, or Core may have read.
  func upstreamReady(_ upstream: UpstreamConnection) {
    guard let connection else { return }
    switch (state.machine.response, state.machine.request) {
    case (.none, .awaitingCapacity) where upstream.isWritable: handle(.sendResumed, connection)
    case (.none, .awaitingCapacity), (.none, .awaitingBody), (.none, .sent), (.none, .unsendable), (.relaying, _):
      receiveResponse(from: upstream, connection)
    case (.none, .admitting), (.none, .awaitingToken), (.none, .gathering), (.none, .awaitingIntent),
      (.none, .awaitingSlot), (.none, .connecting), (.none, .sending), (.none, .closed), (.blocked, _), (.replying, _),
      (.finished, _):
      break
    }
  }

  /// Which client the pool counts its connections for.
  var clientKey: UInt32 {
    guard let admission = state.admission, let snapshot = state.snapshot else { return 0 }
    return snapshot.policy.clients.clientKey(of: Int(admission.clientIndex))
  }

  var isUploading: Bool { !request.body.isComplete }

  /// The queue is full, and others have fewer places in it.
  func turnedAway() {
    guard let connection else { return }
    handle(.queueFull, connection)
  }

  func connectBegan() {
    guard let connection else { return }
    handle(.connectBegan, connection)
    wait()
  }

  /// Granted from within another exchange's end: noted here, and the work follows in a call of its own.
  func leaseGranted(_ upstream: UpstreamConnection) {
    state.upstream = upstream
    schedule(.leaseGranted)
  }

  func connectFailed(_ fault: ConnectFault) {
    guard let connection else { return }
    record.fault = fault.detail
    worker.report(fault, of: state.trace, state.snapshot)
    handle(.connectFailed(fault.kind), connection)
  }

  // MARK: Wake-ups

  /// Asks the loop for one more call; asking again replaces it.
  ///
  /// `send` and `deliver` run behind the other exchanges' reads of this turn, so that first all read, then all send, then
  /// all end.
  func schedule(_ wakeUp: WakeUp) {
    state.wakeUp = wakeUp
    switch wakeUp {
    case .nextRequest, .resumeAdmission, .leaseGranted, .readResponse: loop.again(registration, wakeUp.rawValue)
    case .send, .deliver: loop.later(registration, wakeUp.rawValue)
    }
  }

  @inline(__always)
  func wokenUp(for wakeUp: WakeUp, _ connection: DownstreamConnection) {
    // Another request's, or replaced.
    guard state.wakeUp == wakeUp else { return }
    state.wakeUp = nil
    switch wakeUp {
    case .nextRequest: break
    case .resumeAdmission: handle(.tokenSettled, connection)
    case .leaseGranted:
      if let upstream = state.upstream { lease(upstream, connection) }
    case .send: send(connection)
    case .readResponse: resumeReceiving(connection)
    case .deliver: deliver(connection)
    }
  }

  // MARK: Waiting

  /// Ends a call: books its time, notes whom the machine waits for, and sets the connection's one deadline.
  func wait() {
    let wait = state.machine.wait
    state.times.paused(state.clock.wait, turn: loop.nowNanoseconds, now: loop.clockNanoseconds)
    state.clock.wait(for: wait, holdsUpstream: state.upstream != nil, loop.now)
    arm()
  }

  private func arm() { loop.setDeadline(due, for: registration) }

  private var due: Int64 { state.clock.due(bytesIn: request.body.byteCount, bytesOut: response.sentCount) }
}
