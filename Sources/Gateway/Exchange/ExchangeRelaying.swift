import HTTP1
import Policies
import Reactor
import Telemetry
import Upstream

/// The response on its way to the client: Core's, or the gateway's own.
extension Exchange {
  /// Reads of one turn; then others get theirs.
  private static let readsInOneTurnMax = 16

  // MARK: Reading

  func resumeReceiving(_ connection: DownstreamConnection) {
    if let upstream = state.upstream { receiveResponse(from: upstream, connection) }
  }

  /// Reads what Core has sent, and passes it on as it comes.
  func receiveResponse(from upstream: UpstreamConnection, _ connection: DownstreamConnection) {
    // What comes before the first byte answers nobody: `beginTry` looks for it.
    guard state.machine.tryHasBegun else { return wait() }
    var reads = 0
    // The rest of a 100 (Continue) that the client does not take must not keep the response from being read.
    while !state.machine.isRelaying || deliverRelayed(to: connection) == .needsMore {
      // After a failed write the socket is asked in any case: what Core said before it hung up may lie there.
      guard upstream.isReadable || state.machine.request == .unsendable else { return wait() }
      guard reads < Self.readsInOneTurnMax else { return schedule(.readResponse) }
      reads += 1
      switch response.receive(from: upstream, isRelaying: state.machine.isRelaying) {
      case .bytes:
        state.clock.progressed(loop.now, by: .instance)
        guard readReceived(connection) == .goOn else { return }
      case .wouldBlock:
        guard state.machine.request != .unsendable else { return lose(connection) }
      case .ended:
        guard state.machine.isRelaying, response.upstreamEnded() else { return lose(connection) }
      case .failed:
        record.fault = upstream.transferFault
        return lose(connection)
      }
    }
  }

  private func lose(_ connection: DownstreamConnection) {
    handle(.upstreamEnded(bytesCame: response.hasBytes), connection)
  }

  private enum Reading {
    case goOn
    /// The exchange has turned another way, or goes on in a call that was asked for.
    case stop
  }

  private func readReceived(_ connection: DownstreamConnection) -> Reading {
    guard state.machine.isRelaying else { return readHead(connection) }
    return relayBody(connection)
  }

  private func readHead(_ connection: DownstreamConnection) -> Reading {
    do throws(ResponseFault) {
      guard try response.readHead(answering: state.head.method) else { return .goOn }
    } catch {
      handle(.responseMalformed(.headMalformed(error)), connection)
      return .stop
    }
    switch response.keyRefusal(answering: state.head.method) {
    case .undecided: return .goOn
    case .refused:
      keyWasRefused(connection)
      return .stop
    case .somethingElse: break
    }
    handle(.responseBegan(status: response.parser.head.status), connection)
    guard state.machine.isRelaying, relayBody(connection) == .goOn else { return .stop }
    // First others read.
    schedule(.deliver)
    return .stop
  }

  private func relayBody(_ connection: DownstreamConnection) -> Reading {
    do throws(ChunkFault) {
      try response.relayBody()
      return .goOn
    } catch {
      handle(.responseMalformed(.chunkMalformed(error)), connection)
      return .stop
    }
  }

  /// Core's word on the gateway's own key is not the client's to hear.
  private func keyWasRefused(_ connection: DownstreamConnection) {
    guard let access = state.access else { return }
    let hasAnother = access.state.keyWasRefused(state.keyIndex, of: access.routes.count, now: loop.now)
    if hasAnother { state.snapshot?.generation.keyChanged() }
    worker.report(refusedKey: state.keyIndex, of: state.trace, state.snapshot)
    handle(.keyRefused(hasAnother: hasAnother), connection)
  }

  /// The head of Core's response is whole: writes the client's in front of what follows.
  ///
  /// - Parameter verdict: what its status says of the instance.
  func beginRelaying(_ verdict: BreakerVerdict) {
    guard let access = state.access, let form = state.admission?.form else { return }
    tell(verdict, access)
    let version = state.head.version
    response.beginBody(client: version)
    record.status = response.parser.head.status
    state.times.answered = loop.nowNanoseconds
    if let seconds = response.keepAliveSeconds { state.upstream?.upstreamKeepsAlive(seconds: seconds) }
    // The rest of a request that is answered early is not read; and a body without a length ends with the connection.
    state.keepsAlive =
      state.head.keepsAlive && state.machine.requestIsSent && !response.body.framing.isUntilClose && !worker.isEnding
    let head = DownstreamHead(
      id: state.id, keepsAlive: state.keepsAlive, version: version, framing: response.body.framing)
    response.write(head, access, form, by: worker)
  }

  // MARK: Writing

  enum Flushing {
    case done
    /// The client has to read first, or the exchange has ended.
    case suspended
  }

  /// Writes what waits for the client.
  @inline(__always)
  func flush(to connection: DownstreamConnection) -> Flushing {
    // Of three calls in a request's life, one has something to write.
    response.isWaiting ? flushWaiting(to: connection) : .done
  }

  private func flushWaiting(to connection: DownstreamConnection) -> Flushing {
    if state.machine.clientIsGone {
      response.discard()
      return .done
    }
    let before = response.sentCount
    let result = response.flush(to: connection.socket, isLast: endsConnection)
    if response.sentCount > before { state.clock.progressed(loop.now, by: .client) }
    switch result {
    case .done:
      if state.machine.response == .blocked { handle(.clientResumed, connection) }
      return .done
    case .blocked:
      if state.machine.response == .relaying { handle(.clientBlocked, connection) }
      wait()
      return .suspended
    case .failed:
      handle(.clientLeft, connection)
      guard !state.machine.isFinished else { return .suspended }
      response.discard()
      return .done
    }
  }

  /// Whether the client's connection ends behind what waits for it: both can share a packet.
  private var endsConnection: Bool {
    switch state.machine.response {
    case .relaying, .blocked: response.body.isComplete && !state.keepsAlive
    case .replying: !state.keepsAlive
    case .none, .finished: false
    }
  }

  /// Writes what waits for the client, and goes on with the response, or ends with it.
  func deliver(_ connection: DownstreamConnection) {
    switch state.machine.response {
    case .relaying, .blocked:
      if deliverRelayed(to: connection) == .needsMore { resumeReceiving(connection) }
    case .replying:
      let sentBefore = response.sentCount
      guard flush(to: connection) == .done else { return }
      end(.replyDelivered, hasSent: response.sentCount > sentBefore, connection)
    case .none, .finished: break
    }
  }

  private enum Delivery {
    /// Nothing waits for the client, and more has to come from Core.
    case needsMore
    /// The client has to read first, or the exchange has ended, or goes on in a call that was asked for.
    case suspended
  }

  @inline(__always)
  private func deliverRelayed(to connection: DownstreamConnection) -> Delivery {
    let sentBefore = response.sentCount
    guard flush(to: connection) == .done else { return .suspended }
    guard state.machine.isRelaying, response.body.isComplete else { return .needsMore }
    end(.responseDelivered, hasSent: response.sentCount > sentBefore, connection)
    return .suspended
  }

  /// Ends the exchange, once others of this turn have sent.
  @inline(__always)
  private func end(_ event: ExchangeMachine.Event, hasSent: Bool, _ connection: DownstreamConnection) {
    if hasSent { schedule(.deliver) } else { handle(event, connection) }
  }
}
