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
    /// The last response is out and our side is closed: what still comes is read, so that a reset does not destroy the
    /// response.
    case lingering
    case closed
  }

  let socket: Socket
  /// Which of the gateway's listeners accepted it, in the order of the settings.
  let listener: Int
  let peer: Peer
  private(set) var isReadable = true
  private(set) var isWritable = true
  /// The client has sent all that it will ever send.
  private(set) var inputEnded = false
  private(set) var input: RequestInput?
  private(set) var registration = Registration.none

  private let worker: Worker
  /// The worker's, which is not counted up and down when it is asked for here.
  private let loop: EventLoop
  private var phase = Phase.idle
  /// While the phase is `lingering`; apart from it, which is asked at each event.
  private var lingeringClose: LingeringClose?
  private var exchange: Exchange?
  /// Where the worker keeps this connection.
  var slot = 0
  /// When the first byte of the head that is being read came (monotonic milliseconds).
  private var headSince: Int64 = 0

  /// For a client that does not close: while the gateway drains, and where no response is on its way to it.
  private static let shortLingerMilliseconds: Int64 = 1_000

  init(_ socket: consuming Socket, from peer: PeerAddress, listener: Int, worker: Worker) {
    self.socket = socket
    self.listener = listener
    self.peer = Peer(peer)
    self.worker = worker
    loop = worker.loop
    super.init()
    registration = loop.register(self)
  }

  deinit { worker.connectionFreed(socket.number) }

  /// Begins to serve.
  ///
  /// - Parameter isWatched: whether the descriptor stands in the loop's epoll already.
  func open(isWatched: Bool) throws(Errno) {
    if isWatched {
      try loop.watchAdopted(socket.number, for: registration)
    } else {
      try loop.watch(socket.number, for: registration)
    }
    setIdleDeadline()
  }

  // MARK: Events

  override func ready(_ readiness: Readiness) {
    if readiness.isForTheEnd { inputEnded = true }
    if readiness.isForReading { isReadable = true }
    if readiness.has(.writable) { isWritable = true }
    switch phase {
    case .exchanging:
      withExchange { if readiness.has(.hungUp) { $0.clientLeft(self) } else { $0.clientReady(self) } }
    case .idle, .readingHead: readHead()
    case .lingering: linger()
    case .closed: break
    }
  }

  override func wokenUp(for reason: UInt8) {
    guard let wakeUp = WakeUp(rawValue: reason) else { preconditionFailure("no such wake-up") }
    if phase == .exchanging {
      withExchange { $0.wokenUp(for: wakeUp, self) }
    } else if phase == .idle, wakeUp == .nextRequest {
      readHead()
    }
  }

  override func deadlinePassed() {
    switch phase {
    case .exchanging: withExchange { $0.deadlinePassed(self) }
    case .readingHead: refuseHead(LocalReply(.requestTimeout))
    case .idle: endIdle()
    case .lingering: close()
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
          return refuseHead(LocalReply(error))
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

  /// The head that is being read is malformed, too large, or comes too slowly.
  private func refuseHead(_ reply: LocalReply) {
    let isHead = input.map { $0.buffer.withBytes { bytes in RequestHeadParser.isHead(bytes) } } ?? false
    beginExchange { $0.refuseUnread(reply, isHead: isHead, self) }
  }

  /// Reads into the input buffer.
  func receive(into input: RequestInput) -> Transfer {
    let capacity = input.buffer.freeCapacity
    let transfer = socket.receive(into: input.buffer)
    switch transfer {
    case .bytes(let count):
      // A short read has emptied the socket; its end is still to be read.
      if count < capacity, !inputEnded { isReadable = false }
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
      headSince = loop.now
    }
    loop.setDeadline(headSince + Int64(worker.timeouts.headMilliseconds), for: registration)
  }

  private func awaitRequest() {
    phase = .idle
    returnInput()
    setIdleDeadline()
  }

  private func setIdleDeadline() {
    loop.setDeadline(loop.now + Int64(worker.timeouts.idleMilliseconds), for: registration)
  }

  // MARK: Exchanges

  private func beginExchange(_ begin: (Exchange) -> Void) {
    phase = .exchanging
    exchange = worker.takeExchange(for: self)
    withExchange(begin)
  }

  /// Lends the exchange to `body`, and keeps it while it lasts. Moved out and back, its reference is not counted.
  private func withExchange(_ body: (Exchange) -> Void) {
    guard let exchange = exchange.take() else { return }
    body(exchange)
    if phase == .exchanging { self.exchange = exchange } else { worker.giveBack(exchange) }
  }

  /// How an exchange leaves its connection.
  struct ExchangeEnd {
    /// The bytes of the input that were its request; what follows belongs to the next one.
    let consumed: Int
    let keepsAlive: Bool
    /// How much of the rest of its body the client may still send.
    let unreadBodyBytesMax: Int
    /// The client would take a clean end for the end of the response's body.
    let isCloseDelimited: Bool
  }

  /// The exchange is over and recorded.
  func exchangeEnded(_ end: ExchangeEnd) {
    returnExchange()
    guard end.keepsAlive else { return endOutput(unreadBytesMax: end.unreadBodyBytesMax) }
    guard isReadable || (input?.buffer.count ?? 0) > end.consumed else { return awaitRequest() }
    // A pipelined request waits for the next turn, behind other connections.
    input?.next(end.consumed)
    phase = .idle
    setIdleDeadline()
    loop.again(registration, WakeUp.nextRequest.rawValue)
  }

  /// Ends the connection without a further response: nothing that follows could be told apart from it.
  func cut(_ end: ExchangeEnd) {
    returnExchange()
    if end.isCloseDelimited { socket.resetOnClose() }
    close()
  }

  /// Lends what the head of the request that is under way says of it; nothing where the head was not whole.
  func withRequestTexts(_ body: (RequestTexts, _ head: Span<UInt8>) -> Void) {
    guard let input, input.headIsWhole else { return body(RequestTexts(), Span()) }
    input.buffer.withBytes { bytes in body(RequestTexts(input.parser.head, bytes), bytes) }
  }

  // MARK: The end

  /// The gateway is shutting down: an idle connection is kept for one last request, for less time than before.
  func drain() {
    switch phase {
    case .idle: readOnceMore()
    case .lingering: setLingerDeadline(Self.shortLingerMilliseconds)
    case .readingHead, .exchanging, .closed: break
    }
  }

  /// Reads without having been told to: bytes that came since the loop last asked are a request to be served. Sets the
  /// idle deadline where there are none.
  private func readOnceMore() {
    isReadable = true
    readHead()
  }

  /// Nothing has come for too long.
  private func endIdle() {
    readOnceMore()
    guard phase == .idle else { return }
    // The client may be sending its next request now: it gets a clean end, and knows that nobody has read it.
    endOutput(
      unreadBytesMax: worker.snapshot.policy.settings.limits.bodyBytesMax,
      for: min(Int64(worker.timeouts.idleMilliseconds), Self.shortLingerMilliseconds))
  }

  var hasExchange: Bool { phase == .exchanging }

  /// The gateway waits no longer: a request whose head has not come whole is refused, no other one is read.
  func refuseRequest() {
    switch phase {
    case .readingHead: refuseHead(LocalReply(Rejection.draining))
    case .idle: endOutput(unreadBytesMax: worker.snapshot.policy.settings.limits.bodyBytesMax)
    case .exchanging, .lingering, .closed: break
    }
  }

  /// The gateway waits no longer.
  func abort() {
    if phase == .exchanging { withExchange { $0.abort(self) } } else { close() }
  }

  /// RFC 9112 §9.6: closes our side, and reads until the client has closed its own. A client that is still sending would
  /// otherwise be answered with a reset, and lose the response.
  ///
  /// - Parameter milliseconds: how long the client is waited for; nil: as long as for bytes of a body.
  private func endOutput(unreadBytesMax: Int, for milliseconds: Int64? = nil) {
    returnInput()
    socket.endOutput()
    setLingerDeadline(milliseconds ?? Int64(worker.timeouts.bodyIdleMilliseconds))
    phase = .lingering
    lingeringClose = LingeringClose(bytesMax: unreadBytesMax)
    if isReadable { linger() }
  }

  /// A client that does not close must not hold up the end of the process for long.
  private func setLingerDeadline(_ milliseconds: Int64) {
    let longest = worker.isDraining ? Self.shortLingerMilliseconds : .max
    loop.setDeadline(loop.now + min(milliseconds, longest), for: registration)
  }

  private func linger() {
    switch lingeringClose?.drain(socket, into: worker.scratch) {
    case .waiting: break
    case .peerEnded, .boundReached, nil: close()
    }
  }

  func close() {
    if phase == .closed { return }
    phase = .closed
    returnInput()
    worker.connectionClosed(self)
    loop.unregister(registration)
  }

  /// What is lent is given back behind the call that it is lent for.
  private func returnExchange() {
    if let exchange = exchange.take() { worker.giveBack(exchange) }
  }

  private func returnInput() {
    if let input = input.take() { worker.giveBack(input) }
  }
}
