import Bytes
import HTTP1
import Reactor
import System

/// One caller: its requests are read whole, one after the other, and each gets its response before the next is read.
final class SmallConnection: EventHandler {
  /// Which of the server's bounds it counts towards.
  enum Place {
    case usual
    /// Only what the site answers at any time is answered.
    case reserved
  }

  private enum Phase {
    case readingHead
    case readingBody
    /// The response is not out yet; then the next request, or the end.
    case responding(keepsAlive: Bool)
    /// The last response is out and our side is closed.
    case lingering(LingeringClose)
    case closed
  }

  private static let bufferBytes = 16 << 10
  private static let bufferKeptBytesMax = 64 << 10
  private static let requestsInOneTurnMax = 64
  private static let lingerMilliseconds: Int64 = 1_000
  private static let lingerBytesMax = 16 << 20

  var place: Place
  private let socket: Socket
  private let owner: SmallLoop
  private let peer: SocketAddress?
  private var input = ByteBuffer(capacity: bufferBytes)
  private var output = ByteBuffer(capacity: bufferBytes)
  private var sent = 0
  private var parser: RequestHeadParser
  private var reader = BodyReader(.none)
  private var body: [UInt8] = []
  private var more: ((ByteBuffer) -> Bool)?
  private var phase = Phase.readingHead
  private var registration = Registration.none
  /// When it began to wait for the present request's head, by the owner's count.
  private var ticket: UInt64 = 0

  init(_ socket: consuming Socket, from peer: SocketAddress?, in place: Place, on owner: SmallLoop) {
    self.peer = peer
    self.place = place
    self.socket = socket
    self.owner = owner
    ticket = owner.nextTicket()
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
    beginWait()
  }

  /// The next step of the caller's has its time from now on.
  private func beginWait() {
    guard let milliseconds = owner.bounds.milliseconds else { return }
    owner.loop.setDeadline(owner.loop.now + milliseconds, for: registration)
  }

  /// When it began to wait for a request's head, by the owner's count; nil: it does not.
  var waitsForHead: UInt64? {
    switch phase {
    case .readingHead, .lingering: ticket
    case .readingBody, .responding, .closed: nil
    }
  }

  /// Ends for another connection, unless the request has come that it waits for; tells whether it has ended.
  func makesWay() -> Bool {
    let ticket = ticket
    proceed()
    if waitsForHead == ticket { close() }
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
    case .responding(let keepsAlive):
      guard flush() else { return false }
      if keepsAlive {
        phase = .readingHead
        ticket = owner.nextTicket()
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
          reader = BodyReader(parser.head.framing, bytesMax: owner.bounds.bodyBytesMax)
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
      do throws(BodyFault) {
        if try takeBody() {
          respond()
          return true
        }
      } catch {
        refuse(.body(error))
        return true
      }
      guard receive() else { return false }
    }
  }

  /// Takes what has come of the body out of the input, behind the head; true once the body is complete.
  private func takeBody() throws(BodyFault) -> Bool {
    let headEnd = parser.head.byteCount
    var end = headEnd
    let isComplete = try input.withBytes { bytes throws(BodyFault) in try reader.read(bytes, &end, into: &body) }
    input.remove(headEnd..<end)
    return isComplete
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

  /// A caller that waits for this has sent nothing behind its head, so the response's bytes cannot be mixed up with it.
  private func sendContinue() {
    output.appendContinue()
    _ = flush()
  }

  // MARK: Responding

  private func respond() {
    if place == .reserved { owner.moveUp(self) }
    let request = SmallRequest(
      body: body, peer: peer, seconds: owner.loop.wallMicroseconds / 1_000_000, isReserved: place == .reserved)
    let response = input.withBytes { bytes in owner.site.respond(to: parser.head, bytes, request, output) }
    input.remove(0..<parser.head.byteCount)
    parser.reset()
    body = []
    more = response.more
    begin(keepsAlive: response.keepsAlive)
  }

  private func refuse(_ fault: SmallRequestFault) {
    let isHead = input.withBytes { bytes in RequestHeadParser.isHead(bytes) }
    owner.site.refuse(fault, isHead: isHead, at: owner.loop.wallMicroseconds / 1_000_000, to: output)
    begin(keepsAlive: false)
  }

  private func begin(keepsAlive: Bool) {
    phase = .responding(keepsAlive: keepsAlive)
    beginWait()
  }

  /// Sends what waits, and at most one more part of the response a turn; true when all of it is out.
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
