import HTTP1
import Policies
import Reactor
import Telemetry
import Upstream

/// One request and its response, from the head to the record: passes events to the machine and performs its actions.
///
/// Belongs to one connection at a time, and its worker reuses it. It holds buffers only while bytes are in flight. Its
/// properties are internal only for its extensions, in the files of this folder.
///
/// Methods pass the connection as an argument: reading it from a property that may change retains and releases it,
/// which takes 40 instructions each time, two of them atomic.
final class Exchange: ConnectionDelegate {
  let worker: Worker
  let loop: EventLoop
  let request: RequestRelay
  let response: ResponseRelay
  var connection: DownstreamConnection?
  /// The connection's registration.
  var registration = Registration.none
  var state: RequestState
  var poolPlace = PoolPlace.none
  /// nil for almost every request: not part of the state, so that it need not be reset.
  var introspection: Introspection?
  /// Not part of the state, because resetting it in place saves 150 instructions per request.
  var record = ExchangeRecord(RequestID(high: 0, low: 0), startedAt: 0, status: 0)

  init(worker: Worker) {
    self.worker = worker
    loop = worker.loop
    state = RequestState(RequestID(high: 0, low: 0), now: 0, DownstreamLimits())
    request = RequestRelay(buffers: worker.buffers)
    response = ResponseRelay(buffers: worker.buffers)
  }

  /// Prepares the exchange for the connection's next request.
  @_optimize(speed)
  func attach(to connection: DownstreamConnection, _ limits: DownstreamLimits) {
    self.connection = connection
    registration = connection.registration
    state = RequestState(worker.nextRequestID(), now: loop.nowNanoseconds, limits)
    record.begin(state.id, startedAt: loop.wallMicroseconds)
  }

  // MARK: Deciding and acting

  /// Passes an event to the machine, and performs the action.
  @_optimize(speed)
  func handle(_ event: ExchangeMachine.Event, _ connection: DownstreamConnection) {
    let action = state.machine.apply(event)
    if case .illegalEvent = action { worker.internalFault(event, state.machine) }
    perform(action, connection)
  }

  /// Everything that an exchange can do.
  @inline(__always)
  private func perform(_ action: ExchangeMachine.Action, _ connection: DownstreamConnection) {
    switch action {
    case .none: break
    case .admit: resumeAdmission(connection)
    case .answerForm: answerForm(connection)
    case .bufferBody: bufferBody(connection)
    case .declareIntent: declareIntent(connection)
    case .acquire(let fresh): acquire(fresh: fresh, connection)
    case .replaceConnection: replaceConnection(connection)
    case .send: schedule(.send)
    case .readResponse: resumeReceiving(connection)
    case .relay(let verdict): beginRelaying(verdict)
    case .claimKey, .keep, .recordOutcome, .relayKept, .deliver: performKeyed(action, connection)
    case .answerLocally: break
    case .reply(let fault): reply(fault, connection)
    case .finish(let ending): finish(ending, connection)
    case .illegalEvent:
      state.machine.end()
      finish(.cut(.illegalEvent), connection)
    }
  }

  /// Reports a result to the instance's breaker.
  @inline(__always)
  func report(_ verdict: BreakerVerdict, to access: InstanceAccess) {
    switch verdict {
    case .nothing: break
    case .success: access.succeeded()
    case .failure: access.failed(now: loop.now)
    }
  }

  // MARK: Downstream events

  /// The downstream connection may have become readable or writable.
  func downstreamReady(_ connection: DownstreamConnection) {
    switch state.machine.response {
    case .none:
      // The rest of a 100 (Continue) that did not fit into the socket's buffer.
      if response.isWaiting, flush(to: connection) == .suspended { return }
    case .blocked, .replying: return deliver(connection)
    case .keeping, .recording, .releasing, .relaying, .finished: return
    }
    switch state.machine.request {
    case .bufferingBody: bufferBody(connection)
    case .collectingForm: collectForm(connection)
    case .awaitingBody: if connection.isReadable { handle(.sendResumed, connection) }
    case .sendBlocked, .sent, .sendFailed:
      if let upstream = state.upstream, upstream.isReadable { receiveResponse(from: upstream, connection) }
    case .admitting, .awaitingIntrospection, .repeatingIntrospection, .awaitingGrant, .awaitingKey, .awaitingIntent,
      .queued, .connecting, .sending, .closed:
      break
    }
  }

  /// The downstream connection was reset, or is closed in both directions. A FIN alone shows only when a body is read
  /// or a write fails.
  func downstreamClosed(_ connection: DownstreamConnection) { handle(.downstreamClosed, connection) }

  /// The gateway stops, and does not wait for this exchange any longer.
  func abort(_ connection: DownstreamConnection) { handle(.aborted, connection) }

  func deadlinePassed(_ connection: DownstreamConnection) {
    let wait = state.machine.wait
    // Another event of this turn may have ended the wait.
    guard wait != .nothing else { return }
    guard wait == state.clock.wait, loop.now >= deadline else { return setDeadline() }
    handle(.deadlinePassed, connection)
  }

  // MARK: Upstream events

  /// The upstream connection may have become readable or writable.
  func upstreamReady(_ upstream: UpstreamConnection) {
    guard let connection else { return }
    switch (state.machine.response, state.machine.request) {
    case (.none, .sendBlocked) where upstream.isWritable: handle(.sendResumed, connection)
    case (.none, .sendBlocked), (.none, .awaitingBody), (.none, .sent), (.none, .sendFailed), (.keeping, _),
      (.relaying, _):
      receiveResponse(from: upstream, connection)
    case (.none, .admitting), (.none, .awaitingIntrospection), (.none, .repeatingIntrospection),
      (.none, .collectingForm), (.none, .awaitingGrant), (.none, .bufferingBody), (.none, .awaitingKey),
      (.none, .awaitingIntent), (.recording, _), (.releasing, _),
      (.none, .queued), (.none, .connecting), (.none, .sending), (.none, .closed), (.blocked, _), (.replying, _),
      (.finished, _):
      break
    }
  }

  /// The client that the pool counts the connection for.
  var clientKey: UInt32 {
    guard let admission = state.admission, let snapshot = state.snapshot else { return 0 }
    return snapshot.clientKey(of: admission.clientIndex)
  }

  @inline(__always)
  var isUploading: Bool { !request.body.isComplete }

  func evictedFromQueue() {
    guard let connection else { return }
    handle(.queueFull, connection)
  }

  func connectBegan() {
    guard let connection else { return }
    handle(.connectBegan, connection)
    suspend()
  }

  /// Called while another exchange ends, so the work follows in a separate call.
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

  /// Schedules one more call by the loop; it replaces a pending one.
  ///
  /// `send` and `deliver` run after the reads of all exchanges in this turn, so that first all read, then all send,
  /// then all finish.
  @inline(__always)
  func schedule(_ wakeUp: WakeUp) {
    state.wakeUp = wakeUp
    switch wakeUp {
    case .nextRequest, .resumeAdmission, .leaseGranted, .readResponse:
      loop.scheduleNextTurn(registration, wakeUp.rawValue)
    case .send, .deliver: loop.scheduleEndOfTurn(registration, wakeUp.rawValue)
    }
  }

  @inline(__always)
  func wokenUp(for wakeUp: WakeUp, _ connection: DownstreamConnection) {
    // A call for an earlier request, or one that was replaced.
    guard state.wakeUp == wakeUp else { return }
    state.wakeUp = nil
    switch wakeUp {
    case .nextRequest: break
    case .resumeAdmission: handle(.introspectionFinished, connection)
    case .leaseGranted:
      if let upstream = state.upstream { lease(upstream, connection) }
    case .send: send(connection)
    case .readResponse: resumeReceiving(connection)
    case .deliver: deliver(connection)
    }
  }

  // MARK: Waiting

  /// Ends a call from the loop: accounts for its time, and sets the deadline of what the machine waits for.
  func suspend() {
    let wait = state.machine.wait
    state.times.suspended(state.clock.wait, turn: loop.nowNanoseconds, now: loop.clockNanoseconds)
    state.clock.startWaiting(for: wait, holdsUpstream: state.upstream != nil, loop.now)
    setDeadline()
  }

  private func setDeadline() { loop.setDeadline(deadline, for: registration) }

  @_optimize(speed)
  private var deadline: Int64 {
    state.clock.deadline(bytesIn: request.body.byteCount, bytesOut: response.sentCount)
  }
}
