import Bytes
import Fronts
import HTTP1
import Policies
import Reactor
import System
import Telemetry

/// A downstream connection: reads heads and starts an exchange for each request.
///
/// One exchange runs at a time; pipelined requests wait in the input buffer. While idle it holds no buffer.
final class DownstreamConnection: EventHandler {
  private enum Phase {
    /// Waiting for the rest of the PROXY header, before any request.
    case readingProxyHeader
    /// Waiting for the first byte of a request.
    case idle
    case readingHead
    case exchanging
    /// The last response is written and our side is closed. Input is still read and dropped, because a reset could
    /// destroy the response.
    case lingering
    case closed
  }

  let socket: Socket
  /// The index of the listener that accepted it, in the order of the settings.
  let listener: Int
  private(set) var peer: Peer
  /// Whether a front may report the client of each request.
  private let hasReportedClients: Bool
  private(set) var isReadable = true
  private(set) var isWritable = true
  /// Whether the peer has closed its side.
  private(set) var inputEnded = false
  private(set) var input: RequestInput?
  private(set) var registration = Registration.none

  private let worker: Worker
  /// The worker's loop. A copy here saves a retain and release per use.
  private let loop: EventLoop
  private var phase = Phase.idle
  /// Set while the phase is `lingering`. Not part of the phase, which is read at each event.
  private var lingeringClose: LingeringClose?
  private var exchange: Exchange?
  /// The index of this connection in the worker's table.
  var slot = 0
  /// When the first byte of the current head arrived (monotonic milliseconds).
  private var headSince: Int64 = 0

  /// How long to linger while the gateway drains, or if no response is in flight.
  private static let shortLingerMilliseconds: Int64 = 1_000

  init(_ socket: consuming Socket, from peer: PeerAddress, listener: Int, worker: Worker) {
    self.socket = socket
    self.listener = listener
    self.peer = Peer(peer)
    self.worker = worker
    if case .forwarded = worker.trust(of: listener) { hasReportedClients = true } else { hasReportedClients = false }
    loop = worker.loop
    super.init()
    registration = loop.register(self)
  }

  deinit { worker.connectionFreed(socket.number) }

  /// Starts to serve.
  ///
  /// - Parameter isWatched: whether the loop's epoll has the descriptor already.
  func open(isWatched: Bool) throws(Errno) {
    if isWatched {
      try loop.redirectEvents(of: socket.number, to: registration)
    } else {
      try loop.watch(socket.number, for: registration)
    }
    if case .proxyProtocol = worker.trust(of: listener) { awaitProxyHeader() } else { setIdleDeadline() }
  }

  // MARK: Events

  override func ready(_ readiness: Readiness) {
    if readiness.hasInputEnded { inputEnded = true }
    if readiness.isReadable { isReadable = true }
    if readiness.has(.writable) { isWritable = true }
    switch phase {
    case .exchanging:
      withExchange { if readiness.has(.hungUp) { $0.downstreamClosed(self) } else { $0.downstreamReady(self) } }
    case .idle, .readingHead: readHead()
    case .readingProxyHeader: readProxyHeader()
    case .lingering: linger()
    case .closed: break
    }
  }

  @_optimize(speed)
  override func scheduledCall(for reason: UInt8) {
    guard let wakeUp = WakeUp(rawValue: reason) else { preconditionFailure("unknown wake-up") }
    if phase == .exchanging {
      withExchange { $0.wokenUp(for: wakeUp, self) }
    } else if phase == .idle, wakeUp == .nextRequest {
      readHead()
    }
  }

  override func deadlinePassed() {
    switch phase {
    case .exchanging: withExchange { $0.deadlinePassed(self) }
    case .readingHead: rejectHead(LocalReply(.requestTimeout))
    case .idle: endIdle()
    case .readingProxyHeader:
      rejectProxyHeader("no complete PROXY header within \(Self.proxyHeaderMilliseconds / 1_000) s")
    case .lingering: close()
    case .closed: break
    }
  }

  // MARK: Fronts

  /// The PROXY header is the first thing that a front sends, so it is there at once (proxy-protocol.txt §2).
  private static let proxyHeaderMilliseconds: Int64 = 3_000

  /// Waits for the PROXY header; closes a connection of a peer that is not trusted to send one.
  private func awaitProxyHeader() {
    guard worker.trusts(peer.connected) else { return rejectProxyHeader("it is not in \"trusted_proxies\"") }
    phase = .readingProxyHeader
    loop.setDeadline(loop.now + Self.proxyHeaderMilliseconds, for: registration)
  }

  private func readProxyHeader() {
    if input == nil { input = worker.takeInput() }
    guard let input else { return }
    while true {
      do throws(ProxyHeaderFault) {
        // Starts again at the first byte, so that connections need no room for a parser: most headers come in one piece.
        var parser = ProxyHeaderParser()
        if let header = try input.buffer.withBytes({ bytes throws(ProxyHeaderFault) in try parser.parse(bytes) }) {
          return take(header, input)
        }
      } catch {
        return rejectProxyHeader("\(error.text)")
      }
      guard isReadable else { return }
      switch receive(into: input) {
      case .bytes: break
      case .wouldBlock: return
      // A probe that only connects, as load balancers make them.
      case .ended where input.buffer.isEmpty: return close()
      case .ended, .failed: return rejectProxyHeader("the connection ended within the PROXY header")
      }
    }
  }

  /// Serves the client that the header names.
  private func take(_ header: ProxyHeader, _ input: RequestInput) {
    input.next(header.byteCount)
    phase = .idle
    setIdleDeadline()
    switch header.client {
    case .address(let address, _):
      peer.take(.ip(address), isTLS: header.isTLS)
      if let overload = worker.admit(address, on: socket.number) { return rejectHead(overload) }
    case .unix: peer.take(.unix, isTLS: header.isTLS)
    // The front's own connection, such as a health check.
    case .connection: break
    }
    readHead()
  }

  private func rejectProxyHeader(_ reason: String) {
    worker.rejectedProxyHeader(of: peer.connected, listener, reason)
    close()
  }

  /// Takes over what the front says about the client of the request that begins.
  @inline(never)
  private func readReportedClient(_ input: RequestInput) {
    guard worker.trusts(peer.connected), case .forwarded(let certificateField) = worker.trust(of: listener) else {
      return peer.forgetReport()
    }
    let networks = worker.snapshot.policy.settings.trustedProxies
    input.buffer.withBytes { bytes in
      let report = ForwardedClient.read(input.parser.head, bytes, from: peer.connected, trusting: networks)
      let certificate = certificateField.flatMap { field in
        input.parser.head.certificateDigest(inField: field.name, bytes)
      }
      peer.take(report.client, isTLS: report.isTLS, certificate: certificate)
    }
  }

  // MARK: Requests

  /// Reads until a head is complete, and starts its exchange.
  @_optimize(speed)
  private func readHead() {
    if input == nil { input = worker.takeInput() }
    guard let input else { return }
    while true {
      if !input.buffer.isEmpty {
        do throws(HeadFault) {
          if try input.parse() {
            if hasReportedClients { readReportedClient(input) }
            return beginExchange { $0.begin(input, self) }
          }
        } catch {
          return rejectHead(LocalReply(error))
        }
      }
      guard isReadable else { return awaitHead() }
      // The parser rejects an oversized head before the buffer reaches its maximum.
      if input.buffer.freeCapacity == 0 { input.buffer.grow(to: input.buffer.capacity + RequestInput.growthBytes) }
      switch receive(into: input) {
      case .bytes: break
      case .wouldBlock: return awaitHead()
      case .ended, .failed: return close()
      }
    }
  }

  /// Rejects a head that is malformed, too large, or too slow.
  private func rejectHead(_ reply: LocalReply) {
    if hasReportedClients { peer.forgetReport() }
    let isHead = input.map { $0.buffer.withBytes { bytes in RequestHeadParser.isHead(bytes) } } ?? false
    beginExchange { $0.rejectUnread(reply, isHead: isHead, self) }
  }

  /// Reads into the input buffer.
  func receive(into input: RequestInput) -> Transfer {
    let capacity = input.buffer.freeCapacity
    let transfer = socket.receive(into: input.buffer)
    switch transfer {
    case .bytes(let count):
      // A short read means the socket is empty, but if EOF was signalled it must still be read.
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

  @inline(__always)
  private func awaitRequest() {
    phase = .idle
    returnInput()
    setIdleDeadline()
  }

  @inline(__always)
  private func setIdleDeadline() {
    loop.setDeadline(loop.now + Int64(worker.timeouts.idleMilliseconds), for: registration)
  }

  // MARK: Exchanges

  private func beginExchange(_ begin: (Exchange) -> Void) {
    phase = .exchanging
    exchange = worker.takeExchange(for: self)
    withExchange(begin)
  }

  /// Calls `body` with the exchange, moved out of its property and back: that saves a retain and release.
  private func withExchange(_ body: (Exchange) -> Void) {
    guard let exchange = exchange.take() else { return }
    body(exchange)
    if phase == .exchanging { self.exchange = exchange } else { worker.recycle(exchange) }
  }

  /// What the end of an exchange means for its connection.
  struct ExchangeEnd {
    /// The input bytes of its request. The next request follows.
    let consumed: Int
    let keepsAlive: Bool
    /// How many bytes of the unread body may still arrive.
    let unreadBodyBytesMax: Int
    /// Whether the end of the connection ends the body, so that a clean end would make a cut response look complete.
    let isCloseDelimited: Bool
  }

  /// The exchange has ended and is recorded.
  func exchangeEnded(_ end: ExchangeEnd) {
    returnExchange()
    guard end.keepsAlive else { return endOutput(unreadBytesMax: end.unreadBodyBytesMax) }
    guard isReadable || (input?.buffer.count ?? 0) > end.consumed else { return awaitRequest() }
    // A pipelined request waits for the next turn, so that other connections come first.
    input?.next(end.consumed)
    phase = .idle
    setIdleDeadline()
    loop.scheduleNextTurn(registration, WakeUp.nextRequest.rawValue)
  }

  /// Closes the connection in the middle of a response, or without one.
  func cut(_ end: ExchangeEnd) {
    returnExchange()
    if end.isCloseDelimited { socket.resetOnClose() }
    close()
  }

  /// Calls `body` with the log's parts of the current head; with empty ones if the head is incomplete.
  @inline(__always)
  func withRequestTexts(_ body: (RequestTexts, _ head: Span<UInt8>) -> Void) {
    guard let input, input.headIsWhole else { return body(RequestTexts(), Span()) }
    input.buffer.withBytes { bytes in body(RequestTexts(input.parser.head, bytes), bytes) }
  }

  // MARK: Closing

  /// The gateway is shutting down: an idle connection may serve one last request, within a shorter timeout.
  func drain() {
    switch phase {
    case .idle: readOnceMore()
    case .lingering: setLingerDeadline(Self.shortLingerMilliseconds)
    case .readingProxyHeader, .readingHead, .exchanging, .closed: break
    }
  }

  /// Reads without an event: bytes that arrived since the last one are a request to serve. If there are none, sets the
  /// idle deadline.
  private func readOnceMore() {
    isReadable = true
    readHead()
  }

  /// Closes a connection that has been idle for too long.
  private func endIdle() {
    readOnceMore()
    guard phase == .idle else { return }
    // The peer may be sending a request right now: a clean end tells it that the request was not read.
    endOutput(
      unreadBytesMax: worker.snapshot.policy.settings.limits.bodyBytesMax,
      for: min(Int64(worker.timeouts.idleMilliseconds), Self.shortLingerMilliseconds))
  }

  var hasExchange: Bool { phase == .exchanging }

  /// The gateway stops: rejects a request whose head is incomplete, and reads no other one.
  func rejectRequest() {
    switch phase {
    case .readingHead: rejectHead(LocalReply(Rejection.draining))
    case .idle: endOutput(unreadBytesMax: worker.snapshot.policy.settings.limits.bodyBytesMax)
    case .readingProxyHeader: close()
    case .exchanging, .lingering, .closed: break
    }
  }

  /// The gateway stops: ends the connection now.
  func abort() {
    if phase == .exchanging { withExchange { $0.abort(self) } } else { close() }
  }

  /// Closes our side, and reads until the peer has closed its side (RFC 9112 §9.6). Otherwise a peer that is still
  /// sending gets a reset, and loses the response.
  ///
  /// - Parameter milliseconds: the timeout; nil: `body_idle_s`.
  private func endOutput(unreadBytesMax: Int, for milliseconds: Int64? = nil) {
    returnInput()
    socket.endOutput()
    setLingerDeadline(milliseconds ?? Int64(worker.timeouts.bodyIdleMilliseconds))
    phase = .lingering
    lingeringClose = LingeringClose(bytesMax: unreadBytesMax)
    if isReadable { linger() }
  }

  /// While draining, a peer that does not close must not delay the shutdown for long.
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

  /// During `withExchange` the property is nil: that call recycles the exchange.
  private func returnExchange() {
    if let exchange = exchange.take() { worker.recycle(exchange) }
  }

  private func returnInput() {
    if let input = input.take() { worker.recycle(input) }
  }
}
