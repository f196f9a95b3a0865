import HTTP1
import Policies
import Reactor
import Telemetry
import Upstream

/// Core's answer on its way to the client.
extension Exchange {
  /// Reads of one turn; then others get theirs.
  private static let readsInOneTurnMax = 16

  func receiveAnswer(from upstream: UpstreamConnection, _ connection: DownstreamConnection) {
    var reads = 0
    while !deliverAnswer(to: connection) {
      if sendFailed, !upstream.isReadable { return upstreamBroke(connection) }
      guard upstream.isReadable else { return wait(for: machine.state == .relaying ? .answerBody : .answerHead) }
      guard reads < Self.readsInOneTurnMax else { return again() }
      reads += 1
      switch upstream.receive(into: answer.room(isRelaying: machine.state == .relaying)) {
      case .bytes:
        answer.didReceive()
        clock.progressed(loop.now)
        let isFirst = machine.state != .relaying
        guard readAnswer(upstream, connection) else { return }
        if isFirst, machine.state == .relaying { return later() }
      case .wouldBlock: break
      case .ended:
        guard machine.state == .relaying, answer.upstreamEnded() else {
          return upstreamBroke(connection)
        }
      case .failed:
        record.fault = upstream.transferFault
        return upstreamBroke(connection)
      }
    }
  }

  /// Writes what waits for the client, and ends with the answer; false when more is to be read.
  func deliverAnswer(to connection: DownstreamConnection) -> Bool {
    let sentBefore = answer.sentCount
    guard flush(to: connection) else { return true }
    guard machine.state == .relaying, answer.body.isComplete else { return false }
    // First others send.
    if answer.sentCount > sentBefore { later() } else { perform(machine.answerEnded(), connection) }
    return true
  }

  /// Reads what has come; false when the exchange has turned another way.
  private func readAnswer(_ upstream: UpstreamConnection, _ connection: DownstreamConnection) -> Bool {
    do {
      if machine.state != .relaying {
        guard try answer.readHead(answering: method) else { return true }
        switch answer.keyRefusal(answering: method) {
        case .undecided: return true
        case .refused:
          keyWasRefused(connection)
          return false
        case .somethingElse: beginRelaying(from: upstream)
        }
      }
      try answer.relayBody()
      return true
    } catch {
      if machine.state == .relaying { instanceFailed() }
      perform(machine.answerWasMalformed(), connection)
      return false
    }
  }

  /// Core's word on the gateway's own key is not the client's to hear.
  private func keyWasRefused(_ connection: DownstreamConnection) {
    guard let access else { return }
    let hasAnotherKey = access.state.keyWasRefused(keyIndex, of: access.routes.count, now: loop.now)
    worker.report(refusedKey: keyIndex, of: trace, snapshot)
    perform(machine.keyWasRefused(hasAnotherKey: hasAnotherKey), connection)
  }

  func instanceFailed() { access?.state.failed(now: loop.now, jitter: Double.random(in: 0..<1)) }

  private func beginRelaying(from upstream: UpstreamConnection) {
    guard let access, let admission else { return }
    let status = answer.parser.head.status
    answer.beginBody(client: version)
    record.status = status
    times.answered = loop.nowNanoseconds
    machine.answerHeadReceived()
    // What the status says of the instance.
    if (502...504).contains(status) { instanceFailed() } else { access.answered() }
    if let seconds = answer.keepAliveSeconds { upstream.upstreamKeepsAlive(seconds: seconds) }
    // The rest of a request that is answered early is not read; and a body without a length ends with the connection.
    keepsAlive = clientKeepsAlive && machine.requestIsSent && !answer.body.framing.isUntilClose && !worker.isDraining
    let head = DownstreamHead(id: id, keepsAlive: keepsAlive, version: version, framing: answer.body.framing)
    answer.write(head, access, admission.form)
  }

  /// Writes what waits for the client; false while it does not take it all, or has ended the exchange.
  func flush(to connection: DownstreamConnection) -> Bool {
    guard answer.isWaiting else { return true }
    if machine.clientIsGone {
      answer.discard()
      return true
    }
    let before = answer.sentCount
    let result = answer.flush(to: connection.socket, isLast: endsConnection)
    if answer.sentCount > before { clock.progressed(loop.now) }
    switch result {
    case .done: return true
    case .blocked:
      wait(for: .clientRoom)
      return false
    case .failed:
      perform(machine.clientLeft(), connection)
      guard machine.state != .finished else { return false }
      answer.discard()
      return true
    }
  }

  /// Whether the connection ends behind what waits for the client, and nothing more can come from it: unread bytes would
  /// make the end a reset, which drops what the kernel has held back.
  private var endsConnection: Bool {
    machine.state == .relaying && answer.body.isComplete && machine.requestIsSent && !clientKeepsAlive
  }

  private func upstreamBroke(_ connection: DownstreamConnection) {
    if machine.state == .relaying { instanceFailed() }
    perform(machine.upstreamBroke(answerBytes: answer.hasBytes), connection)
  }

  /// Goes on behind the other exchanges of this turn: first all read, then all send, then all end.
  func later() { loop.later(registration) }

  func again() { loop.again(registration) }
}
