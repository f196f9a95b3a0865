import HTTP1
import Policies
import Reactor
import Telemetry
import Upstream

/// One request and its answer, from the head to the record: asks the machine what to do, and does it.
///
/// Belongs to one downstream connection at a time and is used again by its worker. It holds buffers only while bytes
/// are on their way.
final class Exchange: Lessee {
  private let worker: Worker
  private var loop: EventLoop { worker.loop }
  private var connection: DownstreamConnection?
  private var machine = ExchangeMachine(isWrite: false, mayRetry: false)
  private var snapshot: Snapshot?
  private var trace = AdmissionTrace()
  private var admission: Admission?
  /// Which of the instance's keys the request bears.
  private var keyIndex = 0
  /// Whether a place among the instance's concurrent requests is taken.
  private var hasPlace = false
  /// Whether the instance's breaker waits for what becomes of this request.
  private var isProbe = false
  /// The client's, where it has limits and this request counts.
  private var meter: ClientMeter?
  private var access: InstanceAccess?
  private var upstream: UpstreamConnection?
  /// What the audit log has to know; nil for reads, and without an audit log.
  private var audited: AuditedWrite?

  private var id = RequestID(high: 0, low: 0)
  private var method = Method.other
  private var version = Version.http11
  private var clientKeepsAlive = false
  private var owesContinue = false
  private var request = OutgoingRequest()
  private var sendFailed = false
  private var answer = IncomingAnswer()
  /// Whether the client's connection outlives the answer.
  private var keepsAlive = false

  private var clock = ExchangeClock()
  private var times = ExchangeTimes()
  private var record = ExchangeRecord(requestIDHigh: 0, requestIDLow: 0, startedAt: 0, status: 0)

  /// Reads of one turn; then others get theirs.
  private static let readsInOneTurnMax = 16

  init(worker: Worker) { self.worker = worker }

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
    request = OutgoingRequest()
    sendFailed = false
    keepsAlive = false
    trace = AdmissionTrace()
    clock.begin(at: loop.now)
    times = ExchangeTimes(started: loop.nowNanoseconds)
    record = ExchangeRecord(
      requestIDHigh: id.high, requestIDLow: id.low, startedAt: loop.wallMicroseconds, status: 0)
  }

  /// The head is whole: admits the request and sets out for its instance.
  func begin(_ input: RequestInput) {
    let snapshot = worker.snapshot
    self.snapshot = snapshot
    note(input.parser.head)
    if snapshot.policy.settings.answersHealthOnListeners, let probe = probe(input) { return answer(probe) }
    if worker.isDraining { return refuse(.draining) }
    let admission: Admission
    do throws(Rejection) {
      admission = try admit(input, snapshot)
    } catch {
      return refuse(OwnAnswer(error))
    }
    request.bound(bodyBytes: admission.bodyBytesMax)
    if case .length(let count) = input.parser.head.framing, count > admission.bodyBytesMax {
      return refuse(.bodyTooLarge)
    }
    let isSafe = method.isRead
    let audit = admission.isWrite ? worker.audit : nil
    machine = ExchangeMachine(
      isWrite: admission.isWrite, mayRetry: isSafe && request.body.isComplete, isAudited: audit != nil)
    self.admission = admission
    let access = snapshot.access(to: admission.instanceIndex)
    self.access = access
    if let refusal = limit(snapshot, admission) ?? limit(access, admission) { return refuse(refusal) }
    if let audit {
      guard audit.canWrite else { return refuse(.auditUnavailable) }
      let audited = AuditedWrite(input.parser.head.framing, port: audit)
      request.show(audited.witness)
      self.audited = audited
    }
    writeRequestHead(input)
    perform(machine.admitted(hasBody: !request.body.isComplete))
  }

  /// A probe on the client's listener, which needs no token and has no instance.
  private func probe(_ input: RequestInput) -> AdminPath? {
    guard method.isRead else { return nil }
    let path = input.buffer.withBytes { bytes in AdminPath(bytes, input.parser.head.path) }
    return path?.isGuarded == false ? path : nil
  }

  private func answer(_ probe: AdminPath) {
    if probe == .readyz, !worker.isReady { return refuse(.draining) }
    machine.refused()
    record.status = 200
    keepsAlive = clientKeepsAlive && !worker.isDraining && bodyIsRead()
    ProbeAnswer.write(
      to: answer.ownOutput(from: worker), id: id, dateLine: worker.dateLine(), keepsAlive: keepsAlive,
      version: version, hasBody: !method.isHead)
    advance()
  }

  /// Whether the client may have one more request now.
  private func limit(_ snapshot: Snapshot, _ admission: Admission) -> OwnAnswer? {
    guard let meter = snapshot.generation.meter(of: admission.clientIndex) else { return nil }
    if let refusal = meter.enter(isWrite: admission.isWrite, now: loop.nowNanoseconds) { return OwnAnswer(refusal) }
    self.meter = meter
    return nil
  }

  /// Whether the instance takes a request now: its breaker, its health and its bound on concurrent requests.
  private func limit(_ access: InstanceAccess, _ admission: Admission) -> OwnAnswer? {
    switch access.state.admit(isRead: !admission.isWrite, now: loop.now) {
    case .pass: break
    case .probe: isProbe = true
    case .refuse(let milliseconds, let wantsProbe):
      if wantsProbe { worker.probe(admission.instanceIndex, access.state) }
      return .unavailable(milliseconds: milliseconds)
    }
    guard access.concurrentMax > 0 else { return nil }
    guard access.state.enter(max: access.concurrentMax) else { return OwnAnswer(.busy, outcome: .notSent) }
    hasPlace = true
    return nil
  }

  private func note(_ head: borrowing RequestHead) {
    method = head.method
    version = head.version
    clientKeepsAlive = head.keepAlive
    owesContinue = head.expectsContinue
    request = OutgoingRequest(head.framing, headCount: head.byteCount, bytesMax: .max)
  }

  private func admit(_ input: RequestInput, _ snapshot: Snapshot) throws(Rejection) -> Admission {
    guard let connection else { preconditionFailure("an exchange without a connection") }
    return try input.buffer.withBytes { bytes throws(Rejection) in
      try snapshot.policy.admit(
        input.parser.head, bytes, from: connection.peer, at: UnixSeconds(loop.wallMicroseconds / 1_000_000),
        noting: &trace)
    }
  }

  private func writeRequestHead(_ input: RequestInput) {
    guard let connection, let access, let admission else { return }
    keyIndex = access.state.keyIndex
    let buffer = request.giveBuffer() ?? worker.takeBuffer()
    buffer.removeAll()
    let head = UpstreamHead(route: access.routes[keyIndex], id: id, peer: connection.forwardingLines)
    input.buffer.withBytes { bytes in head.write(input.parser.head, bytes, admission, to: buffer) }
    request.take(buffer)
  }

  // MARK: Acting

  private func perform(_ action: ExchangeMachine.Action) {
    switch action {
    case .none: break
    case .gather: gather()
    case .declare: declare()
    case .acquire(let fresh): acquire(fresh: fresh)
    case .send: advance()
    case .answer(let fault):
      dropUpstream()
      if fault.speaksOfIllness { instanceFailed() }
      answerOwn(OwnAnswer(fault, outcome: machine.outcome))
    case .cut: end(.cut)
    case .abandon: end(.abandoned)
    case .complete: end(.complete)
    }
  }

  private func acquire(fresh: Bool) {
    guard let pool = access?.pool else { preconditionFailure("an exchange without an instance") }
    // A second try.
    if upstream != nil {
      dropUpstream()
      request.restart()
      sendFailed = false
    }
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

  private func lease(_ connection: UpstreamConnection) {
    upstream = connection
    record.pooled = connection.isReused
    times.didLease(connection, at: loop.nowNanoseconds)
    perform(machine.leased(isPooled: connection.isReused))
  }

  /// Hands the intent of the write to the audit log, before a connection is asked for.
  private func declare() {
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
  private func advance() {
    switch machine.state {
    case .gathering: gather()
    case .sending:
      sendRequest()
      // An answer may come before the request is sent whole.
      if machine.state == .sending, upstream?.isReadable == true { receiveAnswer() }
    case .awaitingAnswer, .relaying: receiveAnswer()
    case .answering: if flush() { end(.complete) }
    case .admitting, .awaitingIntent, .awaitingSlot, .connecting, .finished: break
    }
  }

  // MARK: The request

  /// Reads the body until it is whole or fills the buffer, and only then asks for a connection.
  private func gather() {
    while fillRequest() {
      if request.isGathered { return perform(machine.bodyGathered()) }
      guard let connection, let input = connection.input, receiveBody(connection, input) else { return }
    }
  }

  private func sendRequest() {
    guard let upstream else { return }
    while !request.isSent {
      guard fillRequest() else { return }
      while !request.isFlushed {
        guard upstream.isWritable else { return wait(for: .upstreamRoom) }
        machine.sendingBegan()
        switch request.send(on: upstream) {
        case .bytes: clock.progressed(loop.now)
        case .wouldBlock: break
        case .ended, .failed:
          // Core may have answered before it hung up.
          sendFailed = true
          return receiveAnswer()
        }
      }
    }
    machine.requestSent()
    wait(for: .answerHead)
    if upstream.isReadable { receiveAnswer() }
  }

  /// Readies bytes to be sent; false when the exchange now waits for the client's, or has ended.
  private func fillRequest() -> Bool {
    guard let connection, let input = connection.input else { return false }
    while true {
      do throws(Fault) {
        if try request.fill(from: input.buffer) { return true }
      } catch {
        perform(machine.bodyRefused(error))
        return false
      }
      if !receiveBody(connection, input) { return false }
    }
  }

  /// Reads more of the body behind the head, over what was passed on already.
  private func receiveBody(_ connection: DownstreamConnection, _ input: RequestInput) -> Bool {
    request.dropUsed(from: input.buffer, headCount: input.parser.head.byteCount)
    if owesContinue { sendContinue() }
    guard connection.isReadable else {
      wait(for: .clientBody)
      return false
    }
    input.buffer.reserve(1)
    switch connection.receive() {
    case .bytes:
      clock.progressed(loop.now)
      return true
    case .wouldBlock:
      wait(for: .clientBody)
      return false
    case .ended, .failed:
      perform(machine.clientLeft())
      return false
    }
  }

  /// RFC 9110 §10.1.1: the request is admitted and its body is wanted now.
  private func sendContinue() {
    owesContinue = false
    answer.ownOutput(from: worker).append("HTTP/1.1 100 Continue\r\n\r\n")
    _ = flush()
  }

  // MARK: The answer

  private func receiveAnswer() {
    guard let upstream else { return }
    var reads = 0
    while true {
      guard flush() else { return }
      if machine.state == .relaying, answer.body.isComplete { return perform(machine.answerEnded()) }
      if sendFailed, !upstream.isReadable { return upstreamBroke() }
      guard upstream.isReadable else { return wait(for: machine.state == .relaying ? .answerBody : .answerHead) }
      guard reads < Self.readsInOneTurnMax else { return again() }
      reads += 1
      switch upstream.receive(into: answer.room(isRelaying: machine.state == .relaying, from: worker)) {
      case .bytes:
        answer.didReceive()
        clock.progressed(loop.now)
        guard readAnswer() else { return }
      case .wouldBlock: break
      case .ended:
        guard machine.state == .relaying, answer.upstreamEnded() else { return upstreamBroke() }
      case .failed: return upstreamBroke()
      }
    }
  }

  /// Reads what has come; false when the exchange has turned another way.
  private func readAnswer() -> Bool {
    do {
      if machine.state != .relaying {
        guard try answer.readHead(answering: method) else { return true }
        switch answer.keyRefusal(answering: method) {
        case .undecided: return true
        case .refused:
          keyWasRefused()
          return false
        case .somethingElse: beginRelaying()
        }
      }
      try answer.relayBody()
      return true
    } catch {
      if machine.state == .relaying { instanceFailed() }
      perform(machine.answerWasMalformed())
      return false
    }
  }

  /// Core's word on the gateway's own key is not the client's to hear.
  private func keyWasRefused() {
    guard let access, let input = connection?.input else { return }
    let hasAnotherKey = access.state.keyWasRefused(keyIndex, of: access.routes.count, now: loop.now)
    worker.report(refusedKey: keyIndex, of: trace, snapshot)
    if hasAnotherKey { writeRequestHead(input) }
    perform(machine.keyWasRefused(hasAnotherKey: hasAnotherKey))
  }

  private func instanceFailed() { access?.state.failed(now: loop.now, jitter: Double.random(in: 0..<1)) }

  private func beginRelaying() {
    answer.beginBody(client: version)
    record.status = answer.parser.head.status
    times.answered = loop.nowNanoseconds
    machine.answerHeadReceived()
    noteHealth()
    // The rest of a request that is answered early is not read; and a body without a length ends with the connection.
    keepsAlive = clientKeepsAlive && machine.requestIsSent && !answer.body.framing.isUntilClose && !worker.isDraining
    guard let access, let admission else { return }
    let head = DownstreamHead(
      id: id, keepsAlive: keepsAlive, version: version, framing: answer.body.framing,
      location: access.location(admission.form))
    answer.write(head, into: answer.ownOutput(from: worker))
  }

  /// What the answer's head says of the instance, and of its connection.
  private func noteHealth() {
    if (502...504).contains(answer.parser.head.status) { instanceFailed() } else { access?.state.succeeded() }
    if let seconds = answer.keepAliveSeconds { upstream?.upstreamKeepsAlive(seconds: seconds) }
  }

  /// Writes what waits for the client; false while it does not take it all, or has ended the exchange.
  private func flush() -> Bool {
    guard let connection else { return false }
    if machine.clientIsGone {
      answer.discard()
      return true
    }
    let before = answer.sentCount
    let result = answer.flush(to: connection.socket)
    if answer.sentCount > before { clock.progressed(loop.now) }
    switch result {
    case .done: return true
    case .blocked:
      wait(for: .clientRoom)
      return false
    case .failed:
      perform(machine.clientLeft())
      guard machine.state != .finished else { return false }
      answer.discard()
      return true
    }
  }

  private func upstreamBroke() {
    if machine.state == .relaying { instanceFailed() }
    perform(machine.upstreamBroke(answerBytes: answer.hasBytes))
  }

  private func again() {
    if let registration = connection?.registration { loop.again(registration) }
  }

  // MARK: The gateway's own answers

  /// Refuses the request before anything is asked of its instance.
  func refuse(_ own: OwnAnswer) {
    machine.refused()
    answerOwn(own)
  }

  private func answerOwn(_ own: OwnAnswer) {
    record.status = own.status
    record.code = own.code
    record.outcome = own.outcome?.text
    keepsAlive = clientKeepsAlive && !own.closes && !worker.isDraining && bodyIsRead()
    own.write(
      to: answer.ownOutput(from: worker), id: id, dateLine: worker.dateLine(), keepsAlive: keepsAlive,
      version: version, hasBody: !method.isHead)
    advance()
  }

  /// Reads over what has come of the body: when it is all there, the next request can be told apart from it.
  private func bodyIsRead() -> Bool {
    guard let input = connection?.input?.buffer else { return false }
    return request.skipBody(in: input)
  }

  // MARK: Waiting

  private func wait(for wait: Wait) {
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

  // MARK: Ending

  private enum Ending {
    case complete, cut, abandoned
  }

  private func end(_ ending: Ending) {
    guard let connection else { return }
    releaseUpstream(
      isReusable: ending == .complete && answer.parser.head.keepAlive && machine.requestIsSent && answer.isExact)
    finishRecord(ending, connection)
    let consumed = request.consumed
    let keepsAlive = keepsAlive && !machine.clientIsGone
    let endMeansWhole = answer.body.framing.isUntilClose
    reset()
    switch ending {
    case .complete: connection.exchangeEnded(consumed: consumed, keepsAlive: keepsAlive)
    case .cut, .abandoned: connection.cut(endMeansWhole: endMeansWhole)
    }
  }

  private func finishRecord(_ ending: Ending, _ connection: DownstreamConnection) {
    if ending != .complete, record.code == nil {
      record.code = ending == .cut ? "GATEWAY_ANSWER_CUT" : "GATEWAY_CLIENT_LEFT"
      record.outcome = machine.outcome.text
    }
    record.bytesIn = request.body.byteCount
    record.bytesOut = answer.sentCount
    record.tries = machine.tries
    times.ended(clock.wait, turn: loop.nowNanoseconds, now: loop.clockNanoseconds, &record)
    worker.record(&record, times, of: connection, method, trace, snapshot, access)
    audited?.record(
      id, AuditOutcome.Word(answered: times.answered > 0 ? record.status : nil, machine.outcome),
      status: record.status, code: record.code, bodyIsWhole: request.body.isComplete)
  }

  private func dropUpstream() {
    releaseUpstream(isReusable: false)
    answer.restart()
  }

  private func releaseUpstream(isReusable: Bool) {
    if let upstream {
      self.upstream = nil
      access?.pool.release(upstream, isReusable: isReusable)
    } else {
      access?.pool.withdraw(self)
    }
  }

  /// Gives everything back, and itself to the worker.
  private func reset() {
    if let buffer = request.giveBuffer() { worker.giveBack(buffer) }
    answer.reset(to: worker)
    if hasPlace { access?.state.leave() }
    hasPlace = false
    meter?.leave()
    meter = nil
    if isProbe { access?.state.probeEnded(now: loop.now) }
    isProbe = false
    audited = nil
    connection = nil
    snapshot = nil
    admission = nil
    access = nil
    worker.giveBack(self)
  }
}
