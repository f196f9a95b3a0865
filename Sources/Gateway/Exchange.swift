import HTTP1
import Policy
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
  private var admission: Admission?
  private var trace = AdmissionTrace()
  private var access: InstanceAccess?
  private var upstream: UpstreamConnection?

  // The request.
  private var id = RequestID(high: 0, low: 0)
  private var method = Method.other
  private var version = Version.http11
  private var clientKeepsAlive = false
  private var owesContinue = false
  private var body = RequestBody(.none, bytesMax: 0)
  /// How much of the connection's input belongs to this request and was used.
  private var consumed = 0
  /// What goes to Core; kept whole until the first try is over.
  private var request: ByteBuffer?
  private var requestSent = 0
  private var sendFailed = false

  // The answer.
  private var parser: ResponseHeadParser
  private var answerBody = AnswerBody(.none, client: .http11)
  private var answer: ByteBuffer?
  private var answerOffset = 0
  private var answerBytes = false
  private var upstreamKeepsAlive = false
  /// What goes to the client: first the rest of `output`, then `direct` of `answer`.
  private var output: ByteBuffer?
  private var outputSent = 0
  private var direct = 0..<0
  private var keepsAlive = false

  private var clock = ExchangeClock()
  private var times = ExchangeTimes()
  private var record = ExchangeRecord(requestIDHigh: 0, requestIDLow: 0, startedAt: 0, status: 0)

  /// Reads of one turn; then others get theirs.
  private static let readsInOneTurnMax = 16
  /// An answer with more than this to come is read in larger pieces.
  private static let largeAnswerBytes = 64 << 10

  init(worker: Worker) {
    self.worker = worker
    parser = ResponseHeadParser(limits: .answers)
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
    body = RequestBody(.none, bytesMax: 0)
    consumed = 0
    requestSent = 0
    outputSent = 0
    direct = 0..<0
    answerOffset = 0
    answerBytes = false
    upstreamKeepsAlive = false
    keepsAlive = false
    sendFailed = false
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
    method = input.parser.head.method
    version = input.parser.head.version
    clientKeepsAlive = input.parser.head.keepAlive
    owesContinue = input.parser.head.expectsContinue
    consumed = input.parser.head.byteCount
    body = RequestBody(input.parser.head.framing, bytesMax: .max)
    if worker.isDraining { return refuse(.draining) }
    let admission: Admission
    do throws(Rejection) {
      admission = try admit(input, snapshot)
    } catch {
      return refuse(OwnAnswer(error))
    }
    self.admission = admission
    body = RequestBody(input.parser.head.framing, bytesMax: admission.bodyBytesMax)
    if case .length(let count) = input.parser.head.framing, count > admission.bodyBytesMax {
      return refuse(.bodyTooLarge)
    }
    let isSafe = method == .get || method == .head
    machine = ExchangeMachine(isWrite: admission.isWrite, mayRetry: isSafe && body.isComplete)
    writeRequestHead(input, admission, snapshot)
    perform(machine.admitted())
  }

  private func admit(_ input: RequestInput, _ snapshot: Snapshot) throws(Rejection) -> Admission {
    guard let connection else { preconditionFailure("an exchange without a connection") }
    return try input.buffer.withBytes { bytes throws(Rejection) in
      try snapshot.policy.admit(
        input.parser.head, bytes, from: connection.peer, at: UnixSeconds(loop.wallMicroseconds / 1_000_000),
        noting: &trace)
    }
  }

  private func writeRequestHead(_ input: RequestInput, _ admission: Admission, _ snapshot: Snapshot) {
    guard let connection else { return }
    let access = snapshot.access(to: admission.instanceIndex)
    self.access = access
    let request = worker.takeBuffer()
    self.request = request
    let head = UpstreamHead(route: access.route, id: id, peer: connection.forwardingLines)
    input.buffer.withBytes { bytes in head.write(input.parser.head, bytes, admission, to: request) }
  }

  // MARK: Acting

  private func perform(_ action: ExchangeMachine.Action) {
    switch action {
    case .none: break
    case .acquire(let fresh): acquire(fresh: fresh)
    case .send: advance()
    case .answer(let fault):
      dropUpstream()
      answerOwn(OwnAnswer(fault, outcome: machine.outcome))
    case .cut: end(.cut)
    case .abandon: end(.abandoned)
    case .complete: end(.complete)
    }
  }

  private func acquire(fresh: Bool) {
    guard let pool = access?.pool else { preconditionFailure("an exchange without an instance") }
    dropUpstream()
    requestSent = 0
    sendFailed = false
    let acquisition =
      fresh ? pool.acquireFresh(for: self) : pool.acquire(for: self, isWrite: admission?.isWrite ?? true)
    switch acquisition {
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
    times.leased = loop.nowNanoseconds
    perform(machine.leased(isPooled: connection.isReused))
  }

  // MARK: What happens

  func leaseGranted(_ connection: UpstreamConnection) {
    // Granted from within another exchange's end: the work is done in a turn of our own.
    upstream = connection
    if let registration = self.connection?.registration { loop.again(registration) }
  }

  func connectFailed(_ fault: ConnectFault) {
    worker.report(fault, of: trace, snapshot)
    perform(machine.connectFailed(fault.kind))
  }

  func upstreamReady() { advance() }

  /// The client's connection has news.
  func resume() {
    switch machine.state {
    case .connecting, .awaitingSlot:
      if let upstream { lease(upstream) }
    case .sending, .awaitingAnswer, .relaying, .answering: advance()
    case .admitting, .finished: break
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
    perform(machine.deadlinePassed(waitingFor: clock.wait))
  }

  // MARK: Moving bytes

  /// Does what can be done now, and sets the deadline of what it waits for.
  private func advance() {
    switch machine.state {
    case .sending:
      sendRequest()
      // An answer may come before the request is sent whole.
      if machine.state == .sending, upstream?.isReadable == true { receiveAnswer() }
    case .awaitingAnswer, .relaying: receiveAnswer()
    case .answering: if flush() { end(.complete) }
    case .admitting, .awaitingSlot, .connecting, .finished: break
    }
  }

  private func sendRequest() {
    guard let upstream, let request else { return }
    while true {
      // Small requests go head and body with one call.
      if requestSent == 0 || requestSent == request.count, !body.isComplete, !fillFromInput(request) { return }
      while requestSent < request.count {
        guard upstream.isWritable else { return wait(for: .upstreamRoom) }
        machine.sendingBegan()
        switch upstream.send(request, requestSent..<request.count) {
        case .bytes(let count):
          requestSent += count
          clock.progressed(loop.now)
        case .wouldBlock: break
        case .ended, .failed:
          // Core may have answered before it hung up.
          sendFailed = true
          return receiveAnswer()
        }
      }
      if body.isComplete { break }
    }
    machine.requestSent()
    wait(for: .answerHead)
    if upstream.isReadable { receiveAnswer() }
  }

  /// Appends what the client has sent of the body; false when the exchange now waits for more, or has ended.
  private func fillFromInput(_ request: ByteBuffer) -> Bool {
    guard let connection, let input = connection.input?.buffer else { return false }
    if requestSent > 0, requestSent == request.count {
      request.removeAll()
      requestSent = 0
    }
    while true {
      do throws(Fault) {
        try input.withBytes { bytes throws(Fault) in try body.relay(bytes, &consumed, to: request) }
      } catch {
        perform(machine.bodyRefused(error))
        return false
      }
      if request.count > requestSent { return true }
      if !receiveBody(connection, input) { return false }
    }
  }

  /// Reads more of the body behind the head, over what was passed on already.
  private func receiveBody(_ connection: DownstreamConnection, _ input: ByteBuffer) -> Bool {
    guard let headCount = connection.input?.parser.head.byteCount else { return false }
    if consumed > headCount {
      input.remove(headCount..<consumed)
      consumed = headCount
    }
    if owesContinue { sendContinue() }
    guard connection.isReadable else {
      wait(for: .clientBody)
      return false
    }
    input.reserve(1)
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
    let output = output ?? worker.takeBuffer()
    self.output = output
    output.append("HTTP/1.1 100 Continue\r\n\r\n")
    _ = flush()
  }

  private func receiveAnswer() {
    guard let upstream else { return }
    var reads = 0
    while true {
      guard flush() else { return }
      if answerBody.isComplete, machine.state == .relaying { return perform(machine.answerEnded()) }
      if sendFailed, !upstream.isReadable { return upstreamBroke() }
      guard upstream.isReadable else { return wait(for: machine.state == .relaying ? .answerBody : .answerHead) }
      guard reads < Self.readsInOneTurnMax else { return again() }
      reads += 1
      switch upstream.receive(into: roomForAnswer()) {
      case .bytes:
        answerBytes = true
        clock.progressed(loop.now)
        guard readAnswer() else { return }
      case .wouldBlock: break
      case .ended:
        guard machine.state == .relaying, let output, answerBody.upstreamEnded(output: output) else {
          return upstreamBroke()
        }
      case .failed: return upstreamBroke()
      }
    }
  }

  private func again() {
    if let registration = connection?.registration { loop.again(registration) }
  }

  /// The buffer for the next read: what it held of the body was sent, what it holds of the head stays.
  private func roomForAnswer() -> ByteBuffer {
    if machine.state != .relaying {
      let buffer = answer ?? worker.takeBuffer()
      answer = buffer
      // The parser refuses a head beyond its bounds long before this grows large.
      buffer.reserve(1)
      return buffer
    }
    if let buffer = answer, buffer.capacity == worker.bufferCapacity,
      (answerBody.remaining ?? 0) > Self.largeAnswerBytes
    {
      worker.giveBack(buffer)
      answer = worker.takeLargeBuffer()
    }
    let buffer = answer ?? worker.takeBuffer()
    answer = buffer
    buffer.removeAll()
    answerOffset = 0
    return buffer
  }

  /// Reads what has come; false when the exchange has turned another way.
  private func readAnswer() -> Bool {
    guard let answer else { return false }
    while machine.state != .relaying {
      do throws(ResponseFault) {
        guard try answer.withBytes({ bytes throws(ResponseFault) in try parser.parse(bytes, answering: method) })
        else { return true }
      } catch {
        perform(machine.answerWasMalformed())
        return false
      }
      if parser.head.isInterim {
        // RFC 9110 §15.2: a proxy may drop them; the client asked for none but 100, which it has had.
        answer.remove(0..<parser.head.byteCount)
        parser.reset()
        if answer.isEmpty { return true }
      } else {
        beginRelaying(answer)
      }
    }
    return relayBody(answer)
  }

  private func beginRelaying(_ answer: ByteBuffer) {
    machine.answerHeadReceived()
    answerBody = AnswerBody(parser.head.framing, client: version)
    answerOffset = parser.head.byteCount
    upstreamKeepsAlive = parser.head.keepAlive
    record.status = parser.head.status
    times.answered = loop.nowNanoseconds
    // The rest of a request that is answered early is not read; and a body without a length ends with the connection.
    keepsAlive = clientKeepsAlive && machine.requestIsSent && answerBody.framing != .untilClose && !worker.isDraining
    let output = output ?? worker.takeBuffer()
    self.output = output
    let head = DownstreamHead(id: id, keepsAlive: keepsAlive, version: version, framing: answerBody.framing)
    answer.withBytes { bytes in head.write(parser.head, bytes, to: output) }
  }

  private func relayBody(_ answer: ByteBuffer) -> Bool {
    guard let output else { return false }
    do throws(ChunkFault) {
      direct = try answer.withBytes { bytes throws(ChunkFault) in
        try answerBody.relay(bytes, &answerOffset, to: output)
      }
      return true
    } catch {
      perform(machine.answerWasMalformed())
      return false
    }
  }

  /// Writes what waits for the client; false while it does not take it all.
  private func flush() -> Bool {
    guard let connection else { return false }
    while true {
      let waiting = (output?.count ?? 0) - outputSent
      if waiting == 0, direct.isEmpty {
        output?.removeAll()
        outputSent = 0
        return true
      }
      if machine.clientIsGone {
        outputSent += waiting
        direct = direct.upperBound..<direct.upperBound
        continue
      }
      switch send(connection.socket, waiting) {
      case .bytes(let count):
        record.bytesOut += count
        clock.progressed(loop.now)
        let fromOutput = min(count, waiting)
        outputSent += fromOutput
        direct = direct.lowerBound + (count - fromOutput)..<direct.upperBound
      case .wouldBlock:
        wait(for: .clientRoom)
        return false
      case .ended, .failed:
        perform(machine.clientLeft())
        if machine.state == .finished { return false }
      }
    }
  }

  private func send(_ socket: borrowing Socket, _ waiting: Int) -> Transfer {
    guard let answer, !direct.isEmpty else {
      guard let output else { return .bytes(0) }
      return socket.send(output, outputSent..<output.count)
    }
    guard let output, waiting > 0 else { return socket.send(answer, direct) }
    return socket.send(output, from: outputSent, then: answer, direct)
  }

  private func upstreamBroke() { perform(machine.upstreamBroke(answerBytes: answerBytes)) }

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
    let output = output ?? worker.takeBuffer()
    self.output = output
    own.write(
      to: output, id: id, dateLine: worker.dateLine(), keepsAlive: keepsAlive, version: version,
      hasBody: method != .head)
    advance()
  }

  /// Reads over what has come of the body: when it is all there, the next request can be told apart from it.
  private func bodyIsRead() -> Bool {
    guard !body.isComplete else { return true }
    guard let input = connection?.input?.buffer else { return false }
    do throws(Fault) {
      try input.withBytes { bytes throws(Fault) in try body.skip(bytes, &consumed) }
    } catch {
      return false
    }
    return body.isComplete
  }

  // MARK: Waiting

  private func wait(for wait: Wait) {
    clock.wait(for: wait, loop.now)
    arm()
  }

  private func arm() {
    guard let connection else { return }
    let due = clock.due(
      gateway: worker.timeouts, instance: access?.timeouts, bytesPerSecondMin: worker.bodyBytesPerSecondMin,
      bytesIn: body.byteCount, bytesOut: record.bytesOut)
    loop.setDeadline(due, for: connection.registration)
  }

  // MARK: Ending

  private enum Ending {
    case complete, cut, abandoned
  }

  private func end(_ ending: Ending) {
    guard let connection else { return }
    let upstreamIsClean =
      ending == .complete && upstreamKeepsAlive && machine.requestIsSent && answerOffset == (answer?.count ?? 0)
    releaseUpstream(isReusable: upstreamIsClean)
    finishRecord(ending, connection)
    let consumed = consumed
    let keepsAlive = keepsAlive && !machine.clientIsGone
    reset()
    switch ending {
    case .complete: connection.exchangeEnded(consumed: consumed, keepsAlive: keepsAlive)
    case .cut, .abandoned: connection.cut()
    }
  }

  private func finishRecord(_ ending: Ending, _ connection: DownstreamConnection) {
    if ending != .complete, record.code == nil {
      record.code = ending == .cut ? "GATEWAY_ANSWER_CUT" : "GATEWAY_CLIENT_LEFT"
      record.outcome = machine.outcome.text
    }
    record.bytesIn = body.byteCount
    record.tries = machine.tries
    times.write(to: &record, ended: loop.nowNanoseconds)
    worker.record(&record, of: connection, trace, snapshot)
  }

  private func dropUpstream() {
    releaseUpstream(isReusable: false)
    answer?.removeAll()
    answerOffset = 0
    answerBytes = false
    parser.reset()
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
    if let request { worker.giveBack(request) }
    if let answer { worker.giveBack(answer) }
    if let output { worker.giveBack(output) }
    request = nil
    answer = nil
    output = nil
    parser.reset()
    connection = nil
    snapshot = nil
    admission = nil
    access = nil
    worker.giveBack(self)
  }
}

extension HeadLimits {
  /// Bounds for the heads of Core's answers.
  static let answers = HeadLimits(requestLineBytesMax: 8 << 10, headerBytesMax: 64 << 10, fieldsMax: 200)
}
