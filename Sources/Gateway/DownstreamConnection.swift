import Bytes
import HTTP1
import Policies
import Reactor
import System
import Telemetry

/// A client's connection: reads heads, hands each request to an exchange, and outlives it while it is kept alive.
///
/// Idle it holds no buffer. One exchange runs at a time; pipelined requests wait in the input buffer.
final class DownstreamConnection: EventHandler {
  private enum Phase {
    /// Waiting for the first byte of a request.
    case idle
    case readingHead
    case exchanging
    /// The last answer is out: what still comes is read over, so that a reset does not destroy the answer.
    case lingering
    case closed
  }

  let socket: Socket
  /// The peer as the policy sees it.
  let peer: PeerAddress
  /// `X-Forwarded-For` and `X-Forwarded-Proto`, ready to be written.
  let forwardingLines: [UInt8]
  let peerText: [UInt8]
  private(set) var isReadable = true
  private(set) var isWritable = true
  /// The client has sent all that it will ever send.
  private(set) var inputEnded = false
  private(set) var input: RequestInput?
  private(set) var registration = Registration.none

  private let worker: Worker
  private var phase = Phase.idle
  private var exchange: Exchange?
  private var lingeredBytes = 0
  /// Where the worker keeps this connection.
  var place = 0
  /// When the first byte of the head that is being read came (monotonic milliseconds).
  private var headSince: Int64 = 0

  private static let lingerMilliseconds: Int64 = 1_000
  private static let lingerBytesMax = 1 << 20

  init(_ socket: consuming Socket, peer: PeerAddress, worker: Worker) {
    self.socket = socket
    self.peer = peer
    peerText = peer.text
    self.worker = worker
    let (name, rest) = ("X-Forwarded-For: ".utf8, "\r\nX-Forwarded-Proto: http\r\n".utf8)
    var lines: [UInt8] = []
    // In one allocation, and no larger: an idle connection holds it.
    lines.reserveCapacity(name.count + peerText.count + rest.count)
    lines += name
    lines += peerText
    lines += rest
    forwardingLines = lines
    super.init()
    registration = worker.loop.register(self)
  }

  deinit { worker.connectionFreed(socket.number) }

  /// Begins to serve.
  ///
  /// - Parameter isWatched: whether the descriptor stands in the loop's epoll already.
  func open(isWatched: Bool) throws(Errno) {
    if isWatched {
      try worker.loop.watchAdopted(socket.number, for: registration)
    } else {
      try worker.loop.watch(socket.number, for: registration)
    }
    setIdleDeadline()
  }

  // MARK: Events

  override func ready(_ readiness: Readiness) {
    if readiness.has(.inputEnded) { inputEnded = true }
    if readiness.isForReading { isReadable = true }
    if readiness.has(.writable) { isWritable = true }
    switch phase {
    case .exchanging:
      withExchange { if readiness.has(.hungUp) { $0.clientLeft(self) } else { $0.resume(self) } }
    case .idle, .readingHead: readHead()
    case .lingering: linger()
    case .closed: break
    }
  }

  override func deadlinePassed() {
    switch phase {
    case .exchanging: withExchange { $0.deadlinePassed(self) }
    case .readingHead: beginExchange { $0.refuse(.headTimedOut, self) }
    case .idle, .lingering: close()
    case .closed: break
    }
  }

  // MARK: Requests

  /// Reads until a head is whole, and begins its exchange.
  private func readHead() {
    if input == nil { input = worker.takeInput() }
    guard let input else { return }
    while true {
      if !input.buffer.isEmpty {
        do throws(HeadFault) {
          if try input.parse() { return beginExchange { $0.begin(input, self) } }
        } catch {
          return beginExchange { $0.refuse(OwnAnswer(error), self) }
        }
      }
      guard isReadable else { return awaitHead() }
      // The parser refuses a head beyond its bounds before the buffer reaches its largest size.
      if input.buffer.freeCapacity == 0 { input.buffer.grow(to: input.buffer.capacity + RequestInput.growthBytes) }
      switch receive(into: input) {
      case .bytes: break
      case .wouldBlock: return awaitHead()
      case .ended, .failed: return close()
      }
    }
  }

  /// Reads into the input buffer.
  func receive(into input: RequestInput) -> Transfer {
    // The socket is open until the turn has ended, but the input is another connection's.
    guard phase != .closed else { return .ended }
    let room = input.buffer.freeCapacity
    let transfer = socket.receive(into: input.buffer)
    switch transfer {
    case .bytes(let count):
      // A short read has emptied the socket; its end is still to be read.
      if count < room, !inputEnded { isReadable = false }
    case .wouldBlock: isReadable = false
    case .ended: inputEnded = true
    case .failed: break
    }
    return transfer
  }

  private func awaitHead() {
    guard input?.buffer.isEmpty == false else { return awaitRequest() }
    if phase == .idle {
      phase = .readingHead
      headSince = worker.loop.now
    }
    worker.loop.setDeadline(headSince + Int64(worker.timeouts.headMilliseconds), for: registration)
  }

  private func awaitRequest() {
    if worker.isDraining { return close() }
    phase = .idle
    returnInput()
    setIdleDeadline()
  }

  private func setIdleDeadline() {
    worker.loop.setDeadline(worker.loop.now + Int64(worker.timeouts.idleMilliseconds), for: registration)
  }

  private func beginExchange(_ begin: (Exchange) -> Void) {
    phase = .exchanging
    exchange = worker.takeExchange(for: self)
    withExchange(begin)
  }

  /// Lends the exchange to `body`, and keeps it while it lasts. Moved out and back, its reference is not counted.
  private func withExchange(_ body: (Exchange) -> Void) {
    guard let exchange = exchange.take() else { return }
    body(exchange)
    if phase == .exchanging { self.exchange = exchange }
  }

  /// The exchange is over and recorded.
  ///
  /// - Parameter consumed: the bytes of the input that were its request; what follows belongs to the next one.
  func exchangeEnded(consumed: Int, keepsAlive: Bool) {
    guard phase == .exchanging else { return }
    exchange = nil
    guard keepsAlive, !worker.isDraining else { return endOutput() }
    guard isReadable || (input?.buffer.count ?? 0) > consumed else { return awaitRequest() }
    // A pipelined request waits for the next turn, behind other connections.
    input?.next(consumed)
    phase = .idle
    worker.loop.again(registration)
  }

  /// Ends the connection without a further answer: nothing that follows could be told apart from it.
  ///
  /// - Parameter endMeansWhole: the client would take a clean end for the end of the body, so it gets a reset.
  func cut(endMeansWhole: Bool) {
    exchange = nil
    if endMeansWhole { socket.resetOnClose() }
    close()
  }

  // MARK: The end

  /// The gateway is shutting down.
  func drain() {
    if phase == .idle { close() }
  }

  /// The gateway waits no longer.
  func abort() {
    if phase == .exchanging { withExchange { $0.abort(self) } } else { close() }
  }

  private func endOutput() {
    returnInput()
    // Everything was read: closing cannot reset the connection under the answer.
    if inputEnded || !isReadable { return close() }
    socket.endOutput()
    phase = .lingering
    worker.loop.setDeadline(worker.loop.now + Self.lingerMilliseconds, for: registration)
    linger()
  }

  private func linger() {
    let scratch = ByteBuffer(from: worker.buffers)
    while lingeredBytes < Self.lingerBytesMax {
      scratch.removeAll()
      scratch.reserve(1)
      guard case .bytes(let count) = socket.receive(into: scratch) else { break }
      lingeredBytes += count
    }
    if inputEnded || lingeredBytes >= Self.lingerBytesMax { close() }
  }

  func close() {
    guard phase != .closed else { return }
    phase = .closed
    returnInput()
    worker.connectionClosed(self)
    worker.loop.unregister(registration)
  }

  /// Lends what the head of the request that is under way says of it; nothing where the head was not whole.
  func withRequestTexts(_ body: (RequestTexts, _ head: Span<UInt8>) -> Void) {
    guard let input, input.headIsWhole else { return body(RequestTexts(), Span()) }
    input.buffer.withBytes { bytes in body(RequestTexts(input.parser.head, bytes), bytes) }
  }

  private func returnInput() {
    if let input = input.take() { worker.giveBack(input) }
  }
}

/// What a connection holds while a request is in flight: the bytes that came, and the parser that reads them.
///
/// The head stays in front until the exchange ends; body bytes behind it are taken out as they are passed on.
final class RequestInput {
  static let growthBytes = 32 << 10

  let buffer: ByteBuffer
  private(set) var parser: RequestHeadParser
  /// Kept here too: to ask the parser, it is copied.
  private(set) var headIsWhole = false

  init(buffer: ByteBuffer, limits: HeadLimits) {
    self.buffer = buffer
    parser = RequestHeadParser(limits: limits)
  }

  func parse() throws(HeadFault) -> Bool {
    headIsWhole = try buffer.withBytes { bytes throws(HeadFault) in try parser.parse(bytes) }
    return headIsWhole
  }

  /// Drops `consumed` bytes, a whole request, and makes ready for the next one.
  func next(_ consumed: Int) {
    buffer.remove(0..<consumed)
    parser.reset()
    headIsWhole = false
  }
}
