import HTTP1
import Policies
import Reactor
import Telemetry
import Upstream

/// One request and its answer, from the head to the record: asks the machine what to do, and does it.
///
/// Belongs to one downstream connection at a time and is used again by its worker. It holds buffers only while bytes
/// are on their way. Its properties are for its extensions, in the files beside this one, and for nobody else.
final class Exchange: Lessee {
  let worker: Worker
  let loop: EventLoop
  var connection: DownstreamConnection?
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

  var clock = ExchangeClock()
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
  func attach(to connection: DownstreamConnection) {
    self.connection = connection
    machine = ExchangeMachine(isWrite: false, mayRetry: false)
    id = worker.nextRequestID()
    method = .other
    version = .http11
    clientKeepsAlive = false
    owesContinue = false
    sendFailed = false
    keepsAlive = false
    trace = AdmissionTrace()
    clock.begin(at: loop.now)
    times = ExchangeTimes(started: loop.nowNanoseconds)
    record.begin(id, startedAt: loop.wallMicroseconds)
  }

  // MARK: Acting

  func perform(_ action: ExchangeMachine.Action) {
    switch action {
    case .none: break
    case .gather: gather()
    case .declare: declare()
    case .acquire(let fresh): acquire(fresh: fresh)
    case .send: later()
    case .answer(let fault):
      dropUpstream()
      if fault.speaksOfIllness { instanceFailed() }
      answerOwn(OwnAnswer(fault, outcome: machine.outcome))
    case .cut: end(.cut)
    case .abandon: end(.abandoned)
    case .complete: end(.complete)
    }
  }

  func acquire(fresh: Bool) {
    guard let pool = access?.pool else { preconditionFailure("an exchange without an instance") }
    if upstream != nil { beginSecondTry() }
    times.asked = loop.nowNanoseconds
    switch fresh ? pool.acquireFresh(for: self) : pool.acquire(for: self, isWrite: machine.isWrite) {
    case .leased(let connection): lease(connection)
    case .connecting: wait(for: .connect)
    case .queued:
      machine.queued()
      wait(for: .slot)
    case .full: perform(machine.queueWasFull())
    }
  }

  private func beginSecondTry() {
    dropUpstream()
    sendFailed = false
    guard let input = connection?.input, let admission, let access else { return }
    writeRequestHead(input, admission, access)
  }

  private func lease(_ connection: UpstreamConnection) {
    upstream = connection
    record.pooled = connection.isReused
    times.didLease(connection, at: loop.nowNanoseconds)
    perform(machine.leased(isPooled: connection.isReused))
  }

  /// Hands the intent of the write to the audit log, before a connection is asked for.
  func declare() {
    guard let audited, let admission, let snapshot, let connection else { return }
    var isTaken = false
    connection.withRequestTexts { texts, head in
      var intent = AuditIntent(id, trace, snapshot.policy)
      intent.peer = connection.peerText
      intent.target = auditTarget(pattern: intent.routePattern, path: head, corePath: admission.corePath)
      isTaken = audited.declare(intent, texts, in: head, isWhole: request.body.isComplete, for: self)
    }
    guard isTaken else { return perform(machine.intentFailed()) }
    wait(for: .intent)
  }

  // MARK: What happens

  /// The audit log has the intent for good, or will not have it.
  func intentSettled(isDurable: Bool) {
    audited?.settled()
    perform(isDurable ? machine.intentBecameDurable() : machine.intentFailed())
  }

  func leaseGranted(_ connection: UpstreamConnection) {
    // Granted from within another exchange's end: the work is done in a turn of our own.
    upstream = connection
    again()
  }

  func connectFailed(_ fault: ConnectFault) {
    record.fault = fault.detail
    worker.report(fault, of: trace, snapshot)
    perform(machine.connectFailed(fault.kind))
  }

  func upstreamReady() { advance() }

  /// The client's connection has news.
  func resume() {
    switch machine.state {
    case .connecting, .awaitingSlot:
      if let upstream { lease(upstream) }
    case .gathering, .sending, .awaitingAnswer, .relaying, .answering: advance()
    case .admitting, .awaitingIntent, .finished: break
    }
  }

  /// The client's connection is gone in both directions.
  func clientLeft() {
    perform(machine.clientLeft())
    if machine.state != .finished { advance() }
  }

  /// The gateway ends, and waits no longer for this exchange.
  func abort() {
    record.code = OwnAnswer.draining.code
    record.outcome = machine.outcome.text
    end(.cut)
  }

  func deadlinePassed() {
    guard clock.isDue(loop.now) else { return arm() }
    if clock.wait == .answerBody { instanceFailed() }
    perform(machine.deadlinePassed(waitingFor: clock.wait))
  }

  /// Does what can be done now, and sets the deadline of what it waits for.
  func advance() {
    switch machine.state {
    case .gathering: gather()
    case .sending:
      sendRequest()
      // An answer may come before the request is sent whole.
      if machine.state == .sending, upstream?.isReadable == true { receiveAnswer() }
    case .awaitingAnswer, .relaying: receiveAnswer()
    case .answering:
      let sentBefore = answer.sentCount
      guard flush() else { return }
      if answer.sentCount == sentBefore { end(.complete) } else { later() }
    case .admitting, .awaitingIntent, .awaitingSlot, .connecting, .finished: break
    }
  }

  // MARK: Waiting

  func wait(for wait: Wait) {
    times.paused(clock.wait, turn: loop.nowNanoseconds, now: loop.clockNanoseconds)
    clock.wait(for: wait, loop.now)
    arm()
  }

  private func arm() {
    guard let connection else { return }
    let snapshot = snapshot ?? worker.snapshot
    let due = clock.due(
      bodyIdleMilliseconds: snapshot.policy.settings.timeouts.bodyIdleMilliseconds,
      bytesPerSecondMin: snapshot.policy.settings.limits.bodyBytesPerSecondMin, instance: access?.timeouts,
      bytesIn: request.body.byteCount, bytesOut: answer.sentCount)
    loop.setDeadline(due, for: connection.registration)
  }
}
