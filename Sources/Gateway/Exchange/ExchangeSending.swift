import Bytes
import HTTP1
import Policies
import Reactor
import Telemetry
import Upstream

/// The request on its way to Core.
extension Exchange {
  // MARK: Before the first byte

  /// Reads the body until it is whole or fills the buffer; only then is a connection asked for.
  func gather(_ connection: DownstreamConnection) {
    while true {
      switch fill(connection) {
      case .bytes: if request.isGathered { return handle(.bodyGathered, connection) }
      case .refused(let fault): return handle(.bodyRefused(fault), connection)
      case .exhausted: break
      }
      switch receiveBody(connection) {
      case .bytes: break
      case .none: return wait()
      case .clientLeft: return
      }
    }
  }

  /// Hands the intent of the write to the audit log, before a connection is asked for.
  func declareIntent(_ connection: DownstreamConnection) {
    guard admitAgain(connection) else { return }
    guard let audited = state.audited, let admission = state.admission, let snapshot = state.snapshot else { return }
    var isTaken = false
    connection.withRequestTexts { texts, head in
      var intent = AuditIntent(state.id, state.trace, snapshot.policy)
      intent.peer = connection.peer.text
      intent.target = auditTarget(pattern: intent.routePattern, path: head, corePath: admission.corePath)
      isTaken = audited.declare(intent, texts, in: head, isWhole: request.body.isComplete, for: self)
    }
    guard isTaken else { return handle(.intentFailed, connection) }
    wait()
  }

  /// The audit log has the intent for good, or will not have it; too late where the exchange has given up waiting.
  func intentSettled(_ result: IntentResult) {
    state.audited?.settled()
    guard let connection, state.machine.request == .awaitingIntent else { return }
    switch result {
    case .durable: handle(.intentDurable, connection)
    case .failed: handle(.intentFailed, connection)
    }
  }

  /// Finds or makes a connection; a second try writes the head anew, with the key in use by now.
  func acquire(fresh: Bool, _ connection: DownstreamConnection) {
    guard let access = state.access else { preconditionFailure("an exchange without an instance") }
    if state.upstream != nil { beginAnotherTry(connection, access) }
    guard admitAgain(connection) else { return }
    state.times.asked = loop.nowNanoseconds
    proceed(with: access.acquire(fresh: fresh, for: self, isWrite: state.machine.plan.isWrite), connection)
  }

  /// The pooled connection has turned out to be unfit: the next one comes before all who wait.
  func replaceConnection(_ connection: DownstreamConnection) {
    guard let access = state.access, let unfit = state.upstream.take() else { return }
    proceed(with: access.pool.replace(unfit, for: self), connection)
  }

  @inline(__always)
  private func proceed(with acquisition: consuming Acquisition, _ connection: DownstreamConnection) {
    switch consume acquisition {
    case .leased(let upstream): lease(upstream, connection)
    case .connecting: wait()
    case .queued:
      handle(.queued, connection)
      wait()
    case .full: handle(.queueFull, connection)
    }
  }

  /// Drops the connection of the last try. Where that had begun, its request was a head alone, which is written anew;
  /// where it had not, the request stands ready as it was.
  private func beginAnotherTry(_ connection: DownstreamConnection, _ access: InstanceAccess) {
    dropUpstream()
    record.fault = nil
    guard state.machine.tries > 0, let input = connection.input, let admission = state.admission else { return }
    writeRequestHead(input, admission, access, connection)
  }

  @inline(__always)
  func lease(_ upstream: consuming UpstreamConnection, _ connection: DownstreamConnection) {
    let (pooled, connectBegan) = (upstream.isReused, upstream.connectBegan)
    state.upstream = consume upstream
    record.pooled = pooled
    state.times.didLease(pooled: pooled, connectBegan: connectBegan, at: loop.nowNanoseconds)
    handle(.leased(pooled: pooled), connection)
  }

  func writeRequestHead(
    _ input: RequestInput, _ admission: Admission, _ access: InstanceAccess, _ connection: DownstreamConnection
  ) {
    state.keyIndex = access.state.keyIndex
    request.writeHead(
      input, admission, access, keyIndex: state.keyIndex, id: state.id, peer: connection.peer.forwardingLines)
  }

  // MARK: Sending

  /// Writes as much of the request as there is and Core takes.
  func send(_ connection: DownstreamConnection) {
    guard state.machine.request == .sending, let upstream = state.upstream else { return }
    while true {
      while !request.isFlushed {
        guard upstream.isWritable else { return stopSending(.capacityExhausted, upstream, connection) }
        guard state.machine.tryHasBegun || beginTry(on: upstream, connection) else { return }
        switch request.send(on: upstream) {
        case .bytes: state.clock.progressed(loop.now, by: .instance)
        case .wouldBlock: break
        case .ended, .failed: return handle(.sendFailed, connection)
        }
      }
      guard !request.body.isComplete else { break }
      switch fill(connection) {
      case .bytes: continue
      case .refused(let fault): return handle(.bodyRefused(fault), connection)
      case .exhausted: break
      }
      switch receiveBody(connection) {
      case .bytes: break
      case .none: return stopSending(.bodyExhausted, upstream, connection)
      case .clientLeft: return
      }
    }
    request.didSend()
    stopSending(.requestSent, upstream, connection)
  }

  /// The last moment to refuse: from the next byte on Core may execute the request. False where the exchange has turned
  /// another way.
  private func beginTry(on upstream: UpstreamConnection, _ connection: DownstreamConnection) -> Bool {
    guard admitAgain(connection) else { return false }
    if let fault = upstream.unfitForFirstByte() {
      handle(.connectionUnfit(fault), connection)
      return false
    }
    handle(.firstByteSent, connection)
    return true
  }

  /// Nothing more can be sent now. A response may come before the request is whole.
  private func stopSending(
    _ event: ExchangeMachine.Event, _ upstream: UpstreamConnection, _ connection: DownstreamConnection
  ) {
    handle(event, connection)
    if upstream.isReadable { receiveResponse(from: upstream, connection) } else { wait() }
  }

  // MARK: The client's body

  private enum Fill {
    /// Bytes stand ready to be sent.
    case bytes
    /// What the client has sent so far holds no more of the body.
    case exhausted
    case refused(Fault)
  }

  /// Takes more of the body out of what the client has sent.
  private func fill(_ connection: DownstreamConnection) -> Fill {
    guard let input = connection.input else { return .exhausted }
    do throws(Fault) {
      return try request.fill(from: input.buffer) ? .bytes : .exhausted
    } catch {
      return .refused(error)
    }
  }

  private enum BodyRead {
    case bytes
    /// Nothing has come.
    case none
    /// The client left, and the exchange has ended.
    case clientLeft
  }

  /// Reads more of the body behind the head, over what was passed on already.
  private func receiveBody(_ connection: DownstreamConnection) -> BodyRead {
    guard let input = connection.input else { return .none }
    request.dropUsed(from: input.buffer, headCount: input.parser.head.byteCount)
    if state.head.expectsContinue, sendContinue(to: connection) == .suspended, state.machine.isFinished {
      return .clientLeft
    }
    guard connection.isReadable else { return .none }
    input.buffer.reserve(1)
    switch connection.receive(into: input) {
    case .bytes(let count):
      state.clock.received(bodyBytes: count, loop.now)
      return .bytes
    case .wouldBlock: return .none
    case .ended, .failed:
      handle(.clientLeft, connection)
      return .clientLeft
    }
  }

  /// RFC 9110 §10.1.1: the request is admitted and its body is wanted now.
  private func sendContinue(to connection: DownstreamConnection) -> Flushing {
    state.head.expectsContinue = false
    response.output.appendContinue()
    return flush(to: connection)
  }
}
