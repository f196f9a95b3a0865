import HTTP1
import Policies
import Reactor
import Telemetry
import Upstream

/// One request and its answer, from the head to the record: asks the machine what to do, and does it.
///
/// Belongs to one downstream connection at a time and is used again by its worker. It holds buffers only while bytes
/// are on their way. Its properties are for its extensions, in the files beside this one, and for nobody else.
///
/// What an event begins with is handed down, the client's connection above all: asking a property that may change for an
/// object counts its reference up and down, 40 instructions of which two lock.
final class Exchange: Lessee {
  let worker: Worker
  let loop: EventLoop
  var connection: DownstreamConnection?
  /// The connection's.
  var registration = Registration.none
  var machine = ExchangeMachine(isWrite: false, mayRetry: false)
  var snapshot: Snapshot?
  var trace = AdmissionTrace()
  var admission: Admission?
  /// Which of the instance's keys the request bears.
  var keyIndex = 0
  /// Whether a place among the instance's concurrent requests is taken.
  var hasPlace = false
  /// Whether the instance's breaker waits for what becomes of this request.
  var isProbe = false
  /// The client's, where it has limits and this request counts.
  var meter: ClientMeter?
  var access: InstanceAccess?
  var upstream: UpstreamConnection?
  /// What the audit log has to know; nil for reads, and without an audit log.
  var audited: AuditedWrite?

  var id = RequestID(high: 0, low: 0)
  var method = Method.other
  var version = Version.http11
  var clientKeepsAlive = false
  var owesContinue = false
  let request: OutgoingRequest
  var sendFailed = false
  let answer: IncomingAnswer
  /// Whether the client's connection outlives the answer.
  var keepsAlive = false

  var clock = ExchangeClock(at: 0, ClientPace())
  var times = ExchangeTimes()
  var record = ExchangeRecord(RequestID(high: 0, low: 0), startedAt: 0, status: 0)

  init(worker: Worker) {
    self.worker = worker
    loop = worker.loop
    request = OutgoingRequest(buffers: worker.buffers)
    answer = IncomingAnswer(buffers: worker.buffers)
  }

  // MARK: Beginning

  /// Readies a used exchange for its next request.
  func attach(to connection: DownstreamConnection, _ pace: ClientPace) {
    self.connection = connection
    registration = connection.registration
    machine = ExchangeMachine(isWrite: false, mayRetry: false)
    id = worker.nextRequestID()
    method = .other
    version = .http11
    clientKeepsAlive = false
    owesContinue = false
    sendFailed = false
    keepsAlive = false
    trace = AdmissionTrace()
    clock = ExchangeClock(at: loop.now, pace)
    times = ExchangeTimes(started: loop.nowNanoseconds)
    record.begin(id, startedAt: loop.wallMicroseconds)
  }

  // MARK: Acting

  func perform(_ action: ExchangeMachine.Action, _ connection: DownstreamConnection) {
    switch action {
    case .none: break
    case .gather: gather(connection)
    case .declare: declare(connection)
    case .acquire(let fresh): acquire(fresh: fresh, connection)
    case .replaceConnection: replaceConnection(connection)
    case .send: later()
    case .answer(let fault):
      dropUpstream()
      if fault.speaksOfIllness { instanceFailed() }
      answerOwn(OwnAnswer(fault, outcome: machine.outcome), connection)
    case .cut: end(.cut, connection)
    case .abandon: end(.abandoned, connection)
    case .complete: end(.complete, connection)
    }
  }

  func acquire(fresh: Bool, _ connection: DownstreamConnection) {
    guard let access else { preconditionFailure("an exchange without an instance") }
    if upstream != nil { beginSecondTry(connection, access) }
    times.asked = loop.nowNanoseconds
    proceed(with: access.acquire(fresh: fresh, for: self, isWrite: machine.isWrite), connection)
  }

  private func replaceConnection(_ connection: DownstreamConnection) {
    guard let access, let unfit = upstream.take() else { return }
    proceed(with: access.pool.replace(unfit, for: self), connection)
  }

  private func proceed(with acquisition: Acquisition, _ connection: DownstreamConnection) {
    switch acquisition {
    case .leased(let upstream): lease(upstream, connection)
    case .connecting: wait(for: .connect)
    case .queued:
      machine.queued()
      wait(for: .slot)
    case .full: perform(machine.queueWasFull(), connection)
    }
  }

  private func beginSecondTry(_ connection: DownstreamConnection, _ access: InstanceAccess) {
    dropUpstream()
    sendFailed = false
    guard let input = connection.input, let admission else { return }
    writeRequestHead(input, admission, access, connection)
  }

  private func lease(_ upstream: UpstreamConnection, _ connection: DownstreamConnection) {
    self.upstream = upstream
    record.pooled = upstream.isReused
    times.didLease(upstream, at: loop.nowNanoseconds)
    perform(machine.leased(isPooled: upstream.isReused), connection)
  }

  /// Hands the intent of the write to the audit log, before a connection is asked for.
  func declare(_ connection: DownstreamConnection) {
    guard let audited, let admission, let snapshot else { return }
    var isTaken = false
    connection.withRequestTexts { texts, head in
      var intent = AuditIntent(id, trace, snapshot.policy)
      intent.peer = connection.peerText
      intent.target = auditTarget(pattern: intent.routePattern, path: head, corePath: admission.corePath)
      isTaken = audited.declare(intent, texts, in: head, isWhole: request.body.isComplete, for: self)
    }
    guard isTaken else { return perform(machine.intentFailed(), connection) }
    wait(for: .intent)
  }

  // MARK: What happens

  /// The audit log has the intent for good, or will not have it.
  func intentSettled(isDurable: Bool) {
    audited?.settled()
    guard let connection else { return }
    perform(isDurable ? machine.intentBecameDurable() : machine.intentFailed(), connection)
  }

  var clientKey: UInt32 {
    guard let admission, let snapshot else { return 0 }
    return snapshot.policy.clients.clientKey(of: Int(admission.clientIndex))
  }

  var isUploading: Bool { !request.body.isComplete }

  func turnedAway() {
    guard let connection else { return }
    perform(machine.queueWasFull(), connection)
  }

  func leaseGranted(_ upstream: UpstreamConnection) {
    // Granted from within another exchange's end: the work is done in a turn of our own.
    self.upstream = upstream
    again()
  }

  func connectFailed(_ fault: ConnectFault) {
    guard let connection else { return }
    record.fault = fault.detail
    worker.report(fault, of: trace, snapshot)
    perform(machine.connectFailed(fault.kind), connection)
  }

  func upstreamReady(_ upstream: UpstreamConnection) {
    guard let connection else { return }
    switch machine.state {
    case .sending: send(to: upstream, connection)
    case .awaitingAnswer, .relaying: receiveAnswer(from: upstream, connection)
    case .admitting, .gathering, .awaitingIntent, .awaitingSlot, .connecting, .answering, .finished: break
    }
  }

  /// The client's connection has news.
  func resume(_ connection: DownstreamConnection) {
    switch machine.state {
    case .connecting, .awaitingSlot:
      if let upstream { lease(upstream, connection) }
    case .gathering, .sending, .awaitingAnswer, .relaying, .answering: advance(connection)
    case .admitting, .awaitingIntent, .finished: break
    }
  }

  /// The client's connection is gone in both directions.
  func clientLeft(_ connection: DownstreamConnection) {
    perform(machine.clientLeft(), connection)
    if machine.state != .finished { advance(connection) }
  }

  /// The gateway ends, and waits no longer for this exchange.
  func abort(_ connection: DownstreamConnection) {
    record.code = OwnAnswer.draining.code
    record.outcome = machine.outcome.text
    end(.cut, connection)
  }

  func deadlinePassed(_ connection: DownstreamConnection) {
    guard clock.isDue(loop.now) else { return arm() }
    if clock.wait == .answerBody { instanceFailed() }
    perform(machine.deadlinePassed(waitingFor: clock.wait), connection)
  }

  /// Does what can be done now, and sets the deadline of what it waits for.
  private func advance(_ connection: DownstreamConnection) {
    switch machine.state {
    case .gathering: gather(connection)
    case .sending:
      if let upstream { send(to: upstream, connection) }
    case .awaitingAnswer, .relaying:
      // Mostly the answer has come whole, and only its way to the client is left.
      if !deliverAnswer(to: connection), let upstream { receiveAnswer(from: upstream, connection) }
    case .answering:
      let sentBefore = answer.sentCount
      guard flush(to: connection) else { return }
      if answer.sentCount == sentBefore { end(.complete, connection) } else { later() }
    case .admitting, .awaitingIntent, .awaitingSlot, .connecting, .finished: break
    }
  }

  private func send(to upstream: UpstreamConnection, _ connection: DownstreamConnection) {
    sendRequest(to: upstream, connection)
    // An answer may come before the request is sent whole; a second try may have another connection by now.
    guard machine.state == .sending, upstream.isReadable, upstream === self.upstream else { return }
    receiveAnswer(from: upstream, connection)
  }

  // MARK: Waiting

  func wait(for wait: Wait) {
    times.paused(clock.wait, turn: loop.nowNanoseconds, now: loop.clockNanoseconds)
    clock.wait(for: wait, loop.now)
    arm()
  }

  private func arm() {
    let due = clock.due(bytesIn: request.body.byteCount, bytesOut: answer.sentCount)
    loop.setDeadline(due, for: registration)
  }
}
