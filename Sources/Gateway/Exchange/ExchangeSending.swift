import Audit
import Bytes
import HTTP1
import OAuth
import Policies
import Reactor
import Telemetry
import Upstream

/// Sends the request to Core.
extension Exchange {
  // MARK: Before the first byte

  /// Reads the body until it is complete or fills the buffer. Only then does the exchange acquire a connection.
  func bufferBody(_ connection: DownstreamConnection) {
    while true {
      switch fill(connection) {
      case .bytes:
        if request.isBodyBuffered {
          if introspection != nil, introspectAgain(connection) { return }
          return handle(.bodyBuffered, connection)
        }
      case .rejected(let fault): return handle(.bodyRejected(fault), connection)
      case .exhausted: break
      }
      switch receiveBody(connection) {
      case .bytes: break
      case .none: return suspend()
      case .downstreamClosed: return
      }
    }
  }

  /// Passes the intent of the write to the audit log, before the exchange acquires a connection.
  @_optimize(speed)
  func declareIntent(_ connection: DownstreamConnection) {
    guard readmitIfNeeded(connection) else { return }
    guard let audit = worker.audit, let audited = state.audited, let snapshot = state.snapshot else { return }
    let intent = audit.intent(for: state.id)
    let (peer, via) = (connection.peer.text, connection.peer.via)
    // A closure would be built for size.
    @_optimize(speed)
    func append(
      client: Span<UInt8>, token: Span<UInt8>, instance: Span<UInt8>, route: Span<UInt8>, operation: Span<UInt8>
    ) {
      connection.withRequestTexts { texts, head in
        intent.append(
          operation: operation, method: head.extracting(texts.method), route: route, path: head.extracting(texts.path))
        intent.append(
          client: client, token: token, digestPrefix: state.trace.tokenDigestPrefix,
          idPrefix: state.trace.tokenID?.prefix)
        if introspection != nil { noteIntrospection(in: intent, snapshot) }
        intent.append(instance: instance)
        intent.append(
          peer: peer.span, via: via.span, clientRequestID: head.extracting(texts.clientRequestID))
        var target = intent.target
        if let path = state.admission?.corePath { target.append(idsIn: head, path, of: route) }
        target.end()
      }
    }
    snapshot.policy.withNames(of: state.trace, append)
    let isTaken = audited.declare(intent, isWhole: request.body.isComplete, for: self)
    guard isTaken else { return handle(.intentFailed, connection) }
    suspend()
  }

  /// The audit log has made the intent durable, or has failed to. Ignored if the exchange no longer waits for it.
  func intentSettled(_ result: IntentResult) {
    state.audited?.settled()
    guard let connection, [.awaitingKey, .awaitingIntent].contains(state.machine.request) else { return }
    switch result {
    case .durable: handle(.intentDurable, connection)
    case .failed: handle(.intentFailed, connection)
    }
  }

  /// Asks the pool for a connection. A retry writes the head again, with the key that is in use now.
  func acquire(fresh: Bool, _ connection: DownstreamConnection) {
    guard let access = state.access else { preconditionFailure("an exchange without an instance") }
    if state.upstream != nil { prepareRetry(connection, access) }
    guard readmitIfNeeded(connection) else { return }
    state.times.acquireStarted = loop.nowNanoseconds
    proceed(with: access.acquire(fresh: fresh, for: self, isWrite: state.machine.plan.isWrite), connection)
  }

  /// Replaces an unusable pooled connection, ahead of all waiters.
  func replaceConnection(_ connection: DownstreamConnection) {
    guard let access = state.access, let unusable = state.upstream.take() else { return }
    proceed(with: access.pool.replace(unusable, for: self), connection)
  }

  @inline(__always)
  private func proceed(with acquisition: consuming Acquisition, _ connection: DownstreamConnection) {
    switch consume acquisition {
    case .leased(let upstream): lease(upstream, connection)
    case .connecting: suspend()
    case .queued:
      handle(.queued, connection)
      suspend()
    case .full: handle(.queueFull, connection)
    }
  }

  /// Drops the connection of the last try. If that try had sent bytes, its request is a head alone, which is written
  /// again; if not, the buffered request is still complete.
  private func prepareRetry(_ connection: DownstreamConnection, _ access: InstanceAccess) {
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

  @_optimize(speed)
  func writeRequestHead(
    _ input: RequestInput, _ admission: Admission, _ access: InstanceAccess, _ connection: DownstreamConnection
  ) {
    state.keyIndex = access.state.keyIndex
    request.writeHead(
      input, admission, access, keyIndex: state.keyIndex, id: state.id, forwardingLines: connection.peer.forwardingLines
    )
  }

  // MARK: Sending

  /// Writes as much of the request as is available and Core accepts.
  @_optimize(speed)
  func send(_ connection: DownstreamConnection) {
    guard state.machine.request == .sending, let upstream = state.upstream else { return }
    while true {
      while !request.isFlushed {
        guard upstream.isWritable else { return stopSending(.sendBlocked, upstream, connection) }
        guard state.machine.tryHasBegun || beginTry(on: upstream, connection) else { return }
        switch request.send(on: upstream) {
        case .bytes: state.clock.progressed(loop.now, by: .upstream)
        case .wouldBlock: break
        case .ended, .failed: return handle(.sendFailed, connection)
        }
      }
      guard !request.body.isComplete else { break }
      switch fill(connection) {
      case .bytes: continue
      case .rejected(let fault): return handle(.bodyRejected(fault), connection)
      case .exhausted: break
      }
      switch receiveBody(connection) {
      case .bytes: break
      case .none: return stopSending(.bodyStalled, upstream, connection)
      case .downstreamClosed: return
      }
    }
    request.didSend()
    stopSending(.requestSent, upstream, connection)
  }

  /// Makes the last checks before the first byte: after it, Core may execute the request.
  ///
  /// - Returns: false if the exchange must not send now.
  @_optimize(speed)
  private func beginTry(on upstream: UpstreamConnection, _ connection: DownstreamConnection) -> Bool {
    guard readmitIfNeeded(connection) else { return false }
    if let fault = upstream.faultBeforeFirstByte() {
      handle(.connectionUnusable(fault), connection)
      return false
    }
    handle(.firstByteSent, connection)
    return true
  }

  /// Stops sending for now, and reads: a response may arrive before the request is complete.
  private func stopSending(
    _ event: ExchangeMachine.Event, _ upstream: UpstreamConnection, _ connection: DownstreamConnection
  ) {
    handle(event, connection)
    if upstream.isReadable { receiveResponse(from: upstream, connection) } else { suspend() }
  }

  // MARK: The request's body

  enum FillResult {
    /// There are bytes to send.
    case bytes
    /// The input buffer holds no more of the body.
    case exhausted
    case rejected(Fault)
  }

  /// Moves more of a form from the input buffer to the request; `.bytes` once it is complete.
  func collect(_ connection: DownstreamConnection) -> FillResult {
    guard let input = connection.input else { return .exhausted }
    do throws(Fault) {
      return try request.collect(from: input.buffer) ? .bytes : .exhausted
    } catch {
      return .rejected(error)
    }
  }

  /// Moves more of the body from the input buffer to the request.
  private func fill(_ connection: DownstreamConnection) -> FillResult {
    guard let input = connection.input else { return .exhausted }
    do throws(Fault) {
      return try request.fill(from: input.buffer) ? .bytes : .exhausted
    } catch {
      return .rejected(error)
    }
  }

  enum BodyReadResult {
    case bytes
    /// Nothing has arrived.
    case none
    /// Downstream has closed, and the exchange has ended.
    case downstreamClosed
  }

  /// Reads more of the body into the input buffer, in place of what was relayed already.
  func receiveBody(_ connection: DownstreamConnection) -> BodyReadResult {
    guard let input = connection.input else { return .none }
    request.dropRelayed(from: input.buffer, headCount: input.parser.head.byteCount)
    if state.head.expectsContinue, sendContinue(to: connection) == .suspended, state.machine.isFinished {
      return .downstreamClosed
    }
    guard connection.isReadable else { return .none }
    input.buffer.reserve(1)
    switch connection.receive(into: input) {
    case .bytes(let count):
      state.clock.received(bodyBytes: count, loop.now)
      return .bytes
    case .wouldBlock: return .none
    case .ended, .failed:
      handle(.downstreamClosed, connection)
      return .downstreamClosed
    }
  }

  /// Sends 100 (Continue) once the request is admitted and its body is needed (RFC 9110 §10.1.1).
  private func sendContinue(to connection: DownstreamConnection) -> FlushResult {
    state.head.expectsContinue = false
    response.output.appendContinue()
    return flush(to: connection)
  }
}
