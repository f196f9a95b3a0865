import HTTP1
import Policies
import Reactor
import Telemetry
import Upstream

/// Relays the response, Core's or a local reply, downstream.
extension Exchange {
  /// Limits the reads per turn, so that other exchanges are served too.
  private static let readsInOneTurnMax = 16

  // MARK: Reading

  func resumeReceiving(_ connection: DownstreamConnection) {
    if let upstream = state.upstream { receiveResponse(from: upstream, connection) }
  }

  /// Reads what Core has sent, and relays it.
  @_optimize(speed)
  func receiveResponse(from upstream: UpstreamConnection, _ connection: DownstreamConnection) {
    // Bytes before the first byte of the request are not a response: `beginTry` checks for them.
    guard state.machine.tryHasBegun else { return suspend() }
    var reads = 0
    // Read the response even if a 100 (Continue) is still waiting to be written.
    while !state.machine.isRelaying || deliverRelayed(to: connection) == .needsMore {
      // After a failed write, read in any case: Core may have responded before it closed.
      guard upstream.isReadable || state.machine.request == .sendFailed else { return suspend() }
      guard reads < Self.readsInOneTurnMax else { return schedule(.readResponse) }
      reads += 1
      switch response.receive(from: upstream, isRelaying: state.machine.isRelaying) {
      case .bytes:
        state.clock.progressed(loop.now, by: .upstream)
        guard readReceived(connection) == .readMore else { return }
      case .wouldBlock:
        guard state.machine.request != .sendFailed else { return upstreamClosed(connection) }
      case .ended:
        if state.machine.response == .keeping, response.keptInputEnded() { return handle(.responseKept, connection) }
        guard state.machine.isRelaying, response.upstreamClosed() else { return upstreamClosed(connection) }
      case .failed:
        record.fault = upstream.transferFault
        return upstreamClosed(connection)
      }
    }
  }

  private func upstreamClosed(_ connection: DownstreamConnection) {
    handle(.upstreamClosed(receivedBytes: response.hasBytes), connection)
  }

  private enum ReadResult {
    case readMore
    /// The exchange has ended, does something else, or continues in a scheduled call.
    case stop
  }

  private func readReceived(_ connection: DownstreamConnection) -> ReadResult {
    if state.machine.isRelaying { return relayBody(connection) }
    if state.machine.response == .keeping { return keepReceived(connection) ? .readMore : .stop }
    return readHead(connection)
  }

  @_optimize(speed)
  private func readHead(_ connection: DownstreamConnection) -> ReadResult {
    do throws(ResponseFault) {
      guard try response.readHead(answering: state.head.method) else { return .readMore }
    } catch {
      handle(.responseMalformed(.headMalformed(error)), connection)
      return .stop
    }
    switch response.keyRefusal(answering: state.head.method) {
    case .undecided: return .readMore
    case .refused:
      handleRefusedKey(connection)
      return .stop
    case .somethingElse: break
    }
    handle(.responseBegan(status: response.parser.head.status), connection)
    if state.machine.response == .keeping { return keepReceived(connection) ? .readMore : .stop }
    relayReceived(connection)
    return .stop
  }

  /// Relays what has been received of the body.
  @inline(__always)
  func relayReceived(_ connection: DownstreamConnection) {
    guard state.machine.isRelaying, relayBody(connection) == .readMore else { return }
    // After the reads of other exchanges.
    schedule(.deliver)
  }

  @_optimize(speed)
  private func relayBody(_ connection: DownstreamConnection) -> ReadResult {
    do throws(ChunkFault) {
      try response.relayBody()
      return .readMore
    } catch {
      handle(.responseMalformed(.chunkMalformed(error)), connection)
      return .stop
    }
  }

  /// Switches to the instance's next key. The response concerns the gateway's own key, so it is not relayed.
  private func handleRefusedKey(_ connection: DownstreamConnection) {
    guard let access = state.access else { return }
    let hasAnother = access.state.switchKey(from: state.keyIndex, of: access.headWriters.count, now: loop.now)
    if hasAnother { state.snapshot?.generation.keyChanged() }
    worker.report(refusedKey: state.keyIndex, of: state.trace, state.snapshot)
    handle(.keyRefused(hasAnother: hasAnother), connection)
  }

  /// Writes the head of the response, once Core's is complete.
  ///
  /// - Parameter verdict: what the status says about the instance.
  func beginRelaying(_ verdict: BreakerVerdict) {
    guard let access = state.access, let form = state.admission?.form else { return }
    report(verdict, to: access)
    let version = state.head.version
    response.beginBody(downstream: version)
    record.status = response.parser.head.status
    state.times.responseBegan = loop.nowNanoseconds
    if let seconds = response.keepAliveSeconds { state.upstream?.upstreamKeepsAlive(seconds: seconds) }
    // After an early response the rest of the request is not read. A close-delimited body ends with the connection.
    state.keepsAlive =
      state.head.keepsAlive && state.machine.requestIsSent && !response.body.framing.isUntilClose && !worker.isEnding
    let head = DownstreamHeadWriter(
      id: state.id, keepsAlive: state.keepsAlive, version: version, framing: response.body.framing)
    response.write(head, access, form, by: worker)
  }

  // MARK: Writing

  enum FlushResult {
    case done
    /// Downstream has to read first, or the exchange has ended.
    case suspended
  }

  /// Writes pending bytes downstream.
  @inline(__always)
  func flush(to connection: DownstreamConnection) -> FlushResult {
    // Called three times per request; only one of the calls has anything to write.
    response.isWaiting ? flushWaiting(to: connection) : .done
  }

  private func flushWaiting(to connection: DownstreamConnection) -> FlushResult {
    if state.machine.downstreamIsClosed {
      response.discard()
      return .done
    }
    let before = response.sentCount
    let result = response.flush(to: connection.socket, isLast: endsConnection)
    if response.sentCount > before { state.clock.progressed(loop.now, by: .downstream) }
    switch result {
    case .done:
      if state.machine.response == .blocked { handle(.downstreamResumed, connection) }
      return .done
    case .blocked:
      if state.machine.response == .relaying { handle(.downstreamBlocked, connection) }
      suspend()
      return .suspended
    case .failed:
      handle(.downstreamClosed, connection)
      guard !state.machine.isFinished else { return .suspended }
      response.discard()
      return .done
    }
  }

  /// Whether the downstream connection ends after the pending bytes: the FIN can share their packet.
  @inline(__always)
  private var endsConnection: Bool {
    switch state.machine.response {
    case .relaying, .blocked: response.body.isComplete && !state.keepsAlive
    case .replying: !state.keepsAlive
    case .none, .keeping, .recording, .releasing, .finished: false
    }
  }

  /// Writes pending bytes downstream, then continues the response or finishes it.
  func deliver(_ connection: DownstreamConnection) {
    switch state.machine.response {
    case .relaying, .blocked:
      if deliverRelayed(to: connection) == .needsMore { resumeReceiving(connection) }
    case .replying:
      let sentBefore = response.sentCount
      guard flush(to: connection) == .done else { return }
      finishDelivery(.replyDelivered, hasSent: response.sentCount > sentBefore, connection)
    case .none, .keeping, .recording, .releasing, .finished: break
    }
  }

  private enum DeliveryResult {
    /// Nothing is pending, and Core has to send more.
    case needsMore
    /// Downstream has to read first, or the exchange has ended, or it continues in a scheduled call.
    case suspended
  }

  @inline(__always)
  private func deliverRelayed(to connection: DownstreamConnection) -> DeliveryResult {
    let sentBefore = response.sentCount
    guard flush(to: connection) == .done else { return .suspended }
    guard state.machine.isRelaying, response.body.isComplete else { return .needsMore }
    finishDelivery(.responseDelivered, hasSent: response.sentCount > sentBefore, connection)
    return .suspended
  }

  /// Finishes the exchange. If it has just sent, this waits until the other exchanges of this turn have sent.
  @inline(__always)
  private func finishDelivery(_ event: ExchangeMachine.Event, hasSent: Bool, _ connection: DownstreamConnection) {
    if hasSent { schedule(.deliver) } else { handle(event, connection) }
  }
}
