import Bytes
import HTTP1
import Reactor
import System

/// One caller: its requests are read whole, one after the other, and each is answered before the next is read.
final class SmallConnection: EventHandler {
  private enum Phase {
    case readingHead
    case readingBody
    /// The answer is not out yet; then the next request, or the end.
    case answering(keepsAlive: Bool)
    /// The last response is out and our side is closed.
    case lingering(LingeringClose)
    case closed
  }

  private static let bufferBytes = 16 << 10
  private static let bufferKeptBytesMax = 64 << 10
  private static let requestsInOneTurnMax = 64
  private static let lingerMilliseconds: Int64 = 1_000
  private static let lingerBytesMax = 16 << 20

  private let socket: Socket
  private let owner: SmallLoop
  private let peer: SocketAddress?
  private var input = ByteBuffer(capacity: bufferBytes)
  private var output = ByteBuffer(capacity: bufferBytes)
  private var sent = 0
  private var parser: RequestHeadParser
  private var body: RequestBody
  private var more: ((ByteBuffer) -> Bool)?
  private var phase = Phase.readingHead
  private var registration = Registration.none

  init(_ socket: consuming Socket, from peer: SocketAddress?, on owner: SmallLoop) {
    self.peer = peer
    self.socket = socket
    self.owner = owner
    parser = RequestHeadParser(limits: owner.bounds.headLimits)
    body = RequestBody(.none, bytesMax: 0)
  }

  func open() throws(Errno) {
    registration = owner.loop.register(self)
    do throws(Errno) {
      try owner.loop.watch(socket.number, for: registration)
    } catch {
      owner.loop.unregister(registration)
      throw error
    }
    beginWait()
  }

  /// The next step of the caller's has its time from now on.
  private func beginWait() {
    guard let milliseconds = owner.bounds.milliseconds else { return }
    owner.loop.setDeadline(owner.loop.now + milliseconds, for: registration)
  }

  func close() {
    if case .closed = phase { return }
    phase = .closed
    owner.loop.unwatch(socket.number)
    owner.loop.unregister(registration)
    owner.closed(self)
  }

  override func deadlinePassed() { close() }

  override func ready(_ readiness: Readiness) { proceed() }

  override func wokenUp(for reason: UInt8) { proceed() }

  /// Goes on as far as the bytes and the socket's capacity reach.
  private func proceed() {
    for _ in 0..<Self.requestsInOneTurnMax {
      guard serveNext() else { return }
    }
    owner.loop.again(registration)
  }

  /// Serves one request, and tells whether there may be another one at once.
  private func serveNext() -> Bool {
    switch phase {
    case .readingHead:
      guard readHead() else { return false }
      return serveNext()
    case .readingBody:
      guard readBody() else { return false }
      return serveNext()
    case .answering(let keepsAlive):
      guard flush() else { return false }
      if keepsAlive {
        phase = .readingHead
        beginWait()
      } else {
        endOutput()
      }
      return keepsAlive
    case .lingering(let lingering):
      linger(lingering)
      return false
    case .closed: return false
    }
  }

  // MARK: Reading

  /// True when the phase has changed.
  private func readHead() -> Bool {
    while true {
      do throws(HeadFault) {
        if try input.withBytes({ bytes throws(HeadFault) in try parser.parse(bytes) }) {
          body = RequestBody(parser.head.framing, bytesMax: owner.bounds.bodyBytesMax)
          phase = .readingBody
          if parser.head.expectsContinue { sendContinue() }
          return true
        }
      } catch {
        refuse(.head(error))
        return true
      }
      guard receive() else { return false }
    }
  }

  private func readBody() -> Bool {
    while true {
      switch body.read(input, from: parser.head.byteCount) {
      case .whole(let end):
        answer(messageEnd: end)
        return true
      case .tooLarge:
        refuse(.bodyTooLarge)
        return true
      case .malformed:
        refuse(.bodyMalformed)
        return true
      case .needsMore: break
      }
      guard receive() else { return false }
    }
  }

  /// Reads more into the input; false when nothing more comes now, or ever: then the connection is closed.
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

  /// A caller that waits for this has sent nothing behind its head, so the answer's own bytes cannot be mixed up with it.
  private func sendContinue() {
    output.append("HTTP/1.1 100 Continue\r\n\r\n")
    _ = flush()
  }

  // MARK: Answering

  private func answer(messageEnd: Int) {
    let request = SmallRequest(body: body.bytes, peer: peer, seconds: owner.loop.wallMicroseconds / 1_000_000)
    let answer = input.withBytes { bytes in owner.site.answer(parser.head, bytes, request, to: output) }
    input.remove(0..<messageEnd)
    parser.reset()
    body = RequestBody(.none, bytesMax: 0)
    more = answer.more
    begin(keepsAlive: answer.keepsAlive)
  }

  private func refuse(_ fault: SmallRequestFault) {
    owner.site.refuse(fault, at: owner.loop.wallMicroseconds / 1_000_000, to: output)
    begin(keepsAlive: false)
  }

  private func begin(keepsAlive: Bool) {
    phase = .answering(keepsAlive: keepsAlive)
    beginWait()
  }

  /// Sends what waits, and at most one more part of the answer a turn; true when all of it is out.
  private func flush() -> Bool {
    guard sendOutput() else { return false }
    guard let more else { return true }
    if !more(output) { self.more = nil }
    beginWait()
    owner.loop.again(registration)
    return false
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
    // One large message does not cost memory for ever.
    if output.capacity > Self.bufferKeptBytesMax { output = ByteBuffer(capacity: Self.bufferBytes) }
    if input.isEmpty, input.capacity > Self.bufferKeptBytesMax { input = ByteBuffer(capacity: Self.bufferBytes) }
    return true
  }

  /// RFC 9112 §9.6: a caller that is still sending would otherwise be answered with a reset, and lose the response.
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
