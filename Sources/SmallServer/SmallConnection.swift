import Bytes
import HTTP1
import Reactor
import System

/// A connection of a small server: each request is read whole and answered before the next is read.
final class SmallConnection: EventHandler {
  /// The limit of the server that the connection counts towards.
  enum Budget {
    case regular
    /// Accepted when all regular connections are in use; the handler answers only a subset of requests.
    case reserved
    /// Carries a stream until it is closed.
    case stream
  }

  private enum Phase {
    case readingHead
    case readingBody
    /// The response is being sent; the next request follows, or the end.
    case responding(keepsAlive: Bool)
    /// A stream waits for the time of its next part.
    case pausing
    /// The last response is sent and the sending side is closed.
    case lingering(LingeringClose)
    case closed
  }

  private static let bufferBytes = 16 << 10
  private static let bufferKeptBytesMax = 64 << 10
  private static let requestsPerTurnMax = 64
  private static let lingerMilliseconds: Int64 = 1_000
  private static let streamMilliseconds: Int64 = 1_000
  private static let lingerBytesMax = 16 << 20

  var budget: Budget
  private let socket: Socket
  private let owner: SmallLoop
  private let peer: SocketAddress?
  private var input = ByteBuffer(capacity: bufferBytes)
  private var output = ByteBuffer(capacity: bufferBytes)
  private var sent = 0
  private var parser: RequestHeadParser
  private var reader = BodyReader(.none)
  private var body: [UInt8] = []
  private var nextPart: ((ByteBuffer) -> Bool)?
  private var phase = Phase.readingHead
  private var registration = Registration.none
  /// The order in which it began to wait for the current request: see `nextWaitOrder`.
  private var waitOrder: UInt64 = 0

  init(_ socket: consuming Socket, from peer: SocketAddress?, in budget: Budget, on owner: SmallLoop) {
    self.peer = peer
    self.budget = budget
    self.socket = socket
    self.owner = owner
    waitOrder = owner.nextWaitOrder()
    parser = RequestHeadParser(limits: owner.bounds.headLimits)
  }

  func open() throws(Errno) {
    registration = owner.loop.register(self)
    do throws(Errno) {
      try owner.loop.watch(socket.number, for: registration)
    } catch {
      owner.loop.unregister(registration)
      throw error
    }
    restartDeadline()
  }

  /// Starts the time limit for the peer's next step.
  private func restartDeadline() {
    guard let milliseconds = owner.bounds.timeoutMilliseconds else { return }
    owner.loop.setDeadline(owner.loop.now + milliseconds, for: registration)
  }

  /// The order in which it began to wait for a request: see `nextWaitOrder`; nil if it does not wait. A body counts, too: a peer
  /// may send its bytes one by one.
  var requestWaitOrder: UInt64? {
    switch phase {
    case .readingHead, .readingBody, .lingering: waitOrder
    case .responding, .pausing, .closed: nil
    }
  }

  /// Serves a request that has arrived; otherwise closes. Returns whether the connection is closed.
  func evictIfWaiting() -> Bool {
    let waitOrder = waitOrder
    proceed()
    if requestWaitOrder == waitOrder { close() }
    if case .closed = phase { return true }
    return false
  }

  func close() {
    if case .closed = phase { return }
    phase = .closed
    owner.loop.unwatch(socket.number)
    owner.loop.unregister(registration)
    owner.closed(self)
  }

  override func deadlinePassed() {
    if case .pausing = phase { endPause() } else { close() }
  }

  /// Sends the next part of a stream that waits.
  func endPause() {
    guard case .pausing = phase else { return }
    appendPart()
    beginResponse(keepsAlive: false)
    proceed()
  }

  override func ready(_ readiness: Readiness) { proceed() }

  override func scheduledCall(for reason: UInt8) { proceed() }

  /// Serves requests until the socket would block.
  private func proceed() {
    for _ in 0..<Self.requestsPerTurnMax {
      guard serveNext() else { return }
    }
    owner.loop.scheduleNextTurn(registration)
  }

  /// Serves one request; returns whether another may follow at once.
  private func serveNext() -> Bool {
    switch phase {
    case .readingHead:
      guard readHead() else { return false }
      return serveNext()
    case .readingBody:
      guard readBody() else { return false }
      return serveNext()
    case .responding(let keepsAlive):
      guard flush() else { return false }
      if keepsAlive {
        phase = .readingHead
        waitOrder = owner.nextWaitOrder()
        restartDeadline()
      } else {
        endOutput()
      }
      return keepsAlive
    case .pausing:
      // The peer of a stream sends nothing: it has left, or expects something else.
      if receive() { close() }
      return false
    case .lingering(let lingering):
      linger(lingering)
      return false
    case .closed: return false
    }
  }

  // MARK: Reading

  private var bodyBytesMax: Int {
    input.withBytes { bytes in owner.handler.bodyBytesMax(of: parser.head, bytes) } ?? owner.bounds.bodyBytesMax
  }

  /// Returns whether the phase has changed.
  private func readHead() -> Bool {
    while true {
      do throws(HeadFault) {
        if try input.withBytes({ bytes throws(HeadFault) in try parser.parse(bytes) }) {
          reader = BodyReader(parser.head.framing, bytesMax: bodyBytesMax)
          phase = .readingBody
          if parser.head.expectsContinue { sendContinue() }
          return true
        }
      } catch {
        reject(.head(error))
        return true
      }
      guard receive() else { return false }
    }
  }

  private func readBody() -> Bool {
    while true {
      do throws(BodyFault) {
        if try takeBody() {
          respond()
          return true
        }
      } catch {
        reject(.body(error))
        return true
      }
      guard receive() else { return false }
    }
  }

  /// Moves received body bytes out of the input, where they follow the head; true once the body is complete.
  private func takeBody() throws(BodyFault) -> Bool {
    let headEnd = parser.head.byteCount
    var end = headEnd
    let isComplete = try input.withBytes { bytes throws(BodyFault) in try reader.read(bytes, &end, into: &body) }
    input.remove(headEnd..<end)
    return isComplete
  }

  /// Reads more into the input; false if the socket would block, or has ended and is now closed.
  private func receive() -> Bool {
    input.reserve(Self.bufferBytes / 4)
    switch socket.receive(into: input) {
    case .bytes: return true
    case .wouldBlock: return false
    case .ended, .failed:
      close()
      return false
    }
  }

  /// A peer that waits for this has sent no further request, so no other response can get mixed up with it.
  private func sendContinue() {
    output.appendContinue()
    _ = flush()
  }

  // MARK: Responding

  private func respond() {
    if budget == .reserved { owner.promote(self) }
    let request = SmallRequest(
      body: body, peer: peer, seconds: owner.loop.wallMicroseconds / 1_000_000, isReserved: budget == .reserved,
      mayStream: owner.mayStream)
    let response = input.withBytes { bytes in owner.handler.respond(to: parser.head, bytes, request, output) }
    input.remove(0..<parser.head.byteCount)
    parser.reset()
    body = []
    nextPart = response.nextPart
    if response.isStream {
      budget = .stream
      appendPart()
    }
    beginResponse(keepsAlive: response.keepsAlive)
  }

  private func reject(_ fault: SmallRequestFault) {
    let isHead = input.withBytes { bytes in RequestHeadParser.isHead(bytes) }
    owner.handler.reject(fault, isHead: isHead, at: owner.loop.wallMicroseconds / 1_000_000, to: output)
    beginResponse(keepsAlive: false)
  }

  private func beginResponse(keepsAlive: Bool) {
    phase = .responding(keepsAlive: keepsAlive)
    restartDeadline()
  }

  /// Sends pending output and prepares at most one more part of the response per turn; true once all of it is sent.
  private func flush() -> Bool {
    guard sendOutput() else { return false }
    guard nextPart != nil else { return true }
    guard budget != .stream else {
      phase = .pausing
      // All streams at the same time, so that their parts can be the same.
      let milliseconds = Self.streamMilliseconds
      owner.loop.setDeadline((owner.loop.now / milliseconds + 1) * milliseconds, for: registration)
      return false
    }
    appendPart()
    restartDeadline()
    owner.loop.scheduleNextTurn(registration)
    return false
  }

  private func appendPart() {
    if let nextPart, !nextPart(output) { self.nextPart = nil }
  }

  private func sendOutput() -> Bool {
    while sent < output.count {
      switch socket.send(output, sent..<output.count, isLast: false) {
      case .bytes(let count): sent += count
      case .wouldBlock: return false
      case .ended, .failed:
        close()
        return false
      }
    }
    output.removeAll()
    sent = 0
    // One large message must not take memory for the rest of the connection.
    if output.capacity > Self.bufferKeptBytesMax { output = ByteBuffer(capacity: Self.bufferBytes) }
    if input.isEmpty, input.capacity > Self.bufferKeptBytesMax { input = ByteBuffer(capacity: Self.bufferBytes) }
    return true
  }

  /// RFC 9112 §9.6: a peer that is still sending would otherwise get a reset and lose the response.
  private func endOutput() {
    socket.endOutput()
    owner.loop.setDeadline(owner.loop.now + Self.lingerMilliseconds, for: registration)
    linger(LingeringClose(bytesMax: Self.lingerBytesMax))
  }

  private func linger(_ lingering: LingeringClose) {
    var lingering = lingering
    switch lingering.drain(socket, into: input) {
    case .waiting: phase = .lingering(lingering)
    case .peerEnded, .boundReached: close()
    }
  }
}
