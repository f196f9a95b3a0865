import HTTP1
import Policies
import Reactor
import Telemetry
import Upstream

/// The request on its way to Core.
extension Exchange {
  /// Reads the body until it is whole or fills the buffer, and only then asks for a connection.
  func gather(_ connection: DownstreamConnection) {
    guard let input = connection.input else { return }
    while fillRequest(from: input, connection) {
      if request.isGathered { return perform(machine.bodyGathered(), connection) }
      guard receiveBody(into: input, connection) else { return }
    }
  }

  func sendRequest(to upstream: UpstreamConnection, _ connection: DownstreamConnection) {
    while !request.isSent {
      guard fillRequest(connection) else { return }
      while !request.isFlushed {
        guard upstream.isWritable else { return wait(for: .upstreamRoom) }
        guard machine.sendBegan || upstream.isFitForFirstByte() else {
          return perform(machine.connectionWasUnfit(), connection)
        }
        machine.sendingBegan()
        switch request.send(on: upstream) {
        case .bytes: clock.progressed(loop.now)
        case .wouldBlock: break
        case .ended, .failed:
          // Core may have answered before it hung up.
          sendFailed = true
          return receiveAnswer(from: upstream, connection)
        }
      }
    }
    request.didSend()
    machine.requestSent()
    wait(for: .answerHead)
    if upstream.isReadable { receiveAnswer(from: upstream, connection) }
  }

  /// Readies bytes to be sent; false when the exchange now waits for the client's, or has ended.
  private func fillRequest(_ connection: DownstreamConnection) -> Bool {
    if request.body.isComplete { return !request.isFlushed }
    guard let input = connection.input else { return false }
    return fillRequest(from: input, connection)
  }

  private func fillRequest(from input: RequestInput, _ connection: DownstreamConnection) -> Bool {
    if request.body.isComplete { return !request.isFlushed }
    while true {
      do throws(Fault) {
        if try request.fill(from: input.buffer) { return true }
      } catch {
        perform(machine.bodyRefused(error), connection)
        return false
      }
      if !receiveBody(into: input, connection) { return false }
    }
  }

  /// Reads more of the body behind the head, over what was passed on already.
  private func receiveBody(into input: RequestInput, _ connection: DownstreamConnection) -> Bool {
    request.dropUsed(from: input.buffer, headCount: input.parser.head.byteCount)
    if owesContinue {
      sendContinue(to: connection)
      // The client may be gone, and the input with it.
      guard machine.state != .finished else { return false }
    }
    guard connection.isReadable else {
      wait(for: .clientBody)
      return false
    }
    input.buffer.reserve(1)
    switch connection.receive(into: input) {
    case .bytes:
      clock.progressed(loop.now)
      return true
    case .wouldBlock:
      wait(for: .clientBody)
      return false
    case .ended, .failed:
      perform(machine.clientLeft(), connection)
      return false
    }
  }

  /// RFC 9110 §10.1.1: the request is admitted and its body is wanted now.
  private func sendContinue(to connection: DownstreamConnection) {
    owesContinue = false
    answer.output.append("HTTP/1.1 100 Continue\r\n\r\n")
    _ = flush(to: connection)
  }
}
