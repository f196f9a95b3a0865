package import Bytes
import CLibcurl
import Glibc
package import Reactor
import System

/// Uses a connection for one exchange.
package protocol ConnectionDelegate: AnyObject {
  /// Identifies the client of the exchange across reloads; 0: unknown, and all unknown ones count as one client.
  var clientKey: UInt32 { get }
  /// Whether the request's body is incomplete, so that its sender decides how long sending takes. Read once, when the
  /// delegate asks for a connection.
  var isUploading: Bool { get }
  /// Written by the pool only; at first `.none`.
  var poolPlace: PoolPlace { get set }
  /// The delegate has left the queue: a new connection is being opened for it. Also called during its own
  /// `Pool.replace`.
  func connectBegan()
  /// A connection is ready. Never called during the delegate's own calls.
  func leaseGranted(_ connection: UpstreamConnection)
  func connectFailed(_ fault: ConnectFault)
  /// The delegate has lost its place in the queue to a client with fewer waiters: same as a full queue. Never called
  /// during the delegate's own calls.
  func evictedFromQueue()
  /// The connection may have become readable or writable: see `isReadable` and `isWritable`.
  func upstreamReady(_ connection: UpstreamConnection)
}

/// Where a delegate waits in its pool.
package enum PoolPlace {
  case none
  /// In the queue, in this slot.
  case queued(Int32)
  /// For this connection, which is being opened.
  case connecting(UpstreamConnection)
}

/// One connection to an upstream: connecting, idle in its pool, or leased to one exchange.
///
/// While it connects, libcurl owns its descriptors. From then on epoll watches its socket for both directions,
/// edge-triggered, and the registration is never modified; `isReadable` and `isWritable` keep the edges.
///
/// Without TLS, it reads and writes libcurl's socket directly, which CURLOPT_CONNECT_ONLY is for; over TLS, through
/// libcurl. libcurl 7.88 searches a table of 97 chains for its only connection at each send and receive: 2,300
/// instructions per request and, with 1,000 connections, a tenth of the CPU time.
package final class UpstreamConnection: EventHandler {
  package enum Phase: Sendable {
    case connecting, idle, leased, closed
  }

  // First what each request reads or writes: few cache lines, because they are cold when there are many connections.
  package private(set) var phase = Phase.connecting
  package private(set) var isReadable = false
  package private(set) var isWritable = false
  /// Whether it has served an earlier exchange.
  package private(set) var isReused = false
  /// Whether it is connected without TLS.
  private var isPlain = false
  /// Whether the last read did not fill the buffer: over TLS, it has read a record to its end.
  private var lastReadWasShort = false
  /// Whether the peer sends nothing after what is in the socket's buffer.
  private var inputEnded = false
  /// Whether it is leased for an upload that the caller streams.
  private(set) var carriesUpload: Bool
  /// The link's socket while connected; else -1.
  private var socket: Int32 = -1
  /// Where the pool counts the lease for its client; -1: nowhere.
  var account: Int32 = -1
  private(set) var delegate: (any ConnectionDelegate)?
  private var registration = Registration.none
  private let loop: EventLoop
  private let sockets: any SocketCalls
  private let pool: Pool
  private var ageDue = Int64.max
  /// When it was returned to the pool (monotonic milliseconds).
  private(set) var idleSince: Int64 = 0
  /// How long it may be idle (milliseconds): as configured, or less if the upstream says so.
  private var idleMilliseconds: Int64
  /// When connecting began (monotonic nanoseconds).
  package private(set) var connectBegan: Int64 = 0
  /// While it is idle, its index in the pool's stack; -1: it was taken from there.
  var idlePlace: Int32 = -1
  /// The error of the first failed write without TLS.
  private var sendError: Errno?

  /// Its index in the pool's list of connections.
  var place = 0
  /// Why the last failed read or write failed. For the log only.
  package private(set) var transferFault: String?
  private var link: (any Link)?
  private var connectSockets: [ConnectSocket] = []
  /// When libcurl's timer fires, and when connecting times out (monotonic milliseconds).
  private var timerDue = Int64.max
  private var connectDue = Int64.max
  private(set) var isResolving: Bool
  /// Whether libcurl resolves the name even if it has cached addresses.
  private(set) var bypassesNameCache = false
  /// The addresses that this connect has tried.
  private var triedAddresses: [SocketAddress] = []
  private var addressChoice = AddressChoice.skippingFailed

  /// Which addresses of the name are tried.
  private enum AddressChoice {
    /// All except those that failed recently; none was skipped yet.
    case skippingFailed
    /// The same, and at least one was skipped.
    case skippedFailed
    /// All, because the others have failed too.
    case all
  }

  init(pool: Pool, loop: EventLoop, delegate: any ConnectionDelegate, isUpload: Bool) {
    self.pool = pool
    self.loop = loop
    sockets = loop.sockets
    self.delegate = delegate
    carriesUpload = isUpload
    isResolving = pool.settings.hasName
    idleMilliseconds = pool.settings.idleMilliseconds
  }

  // MARK: Connecting

  func connect() {
    registration = loop.register(self)
    connectBegan = loop.nowNanoseconds
    connectDue = loop.now + pool.settings.connectMilliseconds
    loop.setDeadline(connectDue, for: registration)
    bypassesNameCache = pool.renewNameIfExpired()
    beginLink()
  }

  private func beginLink() {
    link = pool.makeLink(for: self)
    link?.begin(for: self)
    // Not during the caller's own call: a connect on loopback can complete at once.
    timerDue = loop.now
    loop.scheduleNextTurn(registration)
  }

  /// Opens a close-on-exec socket for libcurl. libcurl asks for it once the name is resolved.
  ///
  /// Without a socket libcurl tries the next address, so this skips addresses that failed recently.
  func openSocket(_ family: Int32, _ type: Int32, _ proto: Int32, _ address: SocketAddress?) -> curl_socket_t {
    endResolving()
    link?.nameWasResolved()
    guard !skips(address) else { return CURL_SOCKET_BAD }
    let socket = Glibc.socket(family, type | Int32(SOCK_CLOEXEC.rawValue), proto)
    if let address, socket >= 0, pool.failedAddresses != nil { triedAddresses.append(address) }
    return socket
  }

  private func endResolving() {
    guard isResolving else { return }
    isResolving = false
    pool.endedResolving()
  }

  private func skips(_ address: SocketAddress?) -> Bool {
    guard addressChoice != .all, let address, pool.failedAddresses?.contains(address, now: loop.now) == true else {
      return false
    }
    addressChoice = .skippedFailed
    return true
  }

  /// Records which addresses failed.
  ///
  /// - Parameter winner: the one that connected; nil: none.
  private func recordAddresses(winner: SocketAddress?) {
    guard let addresses = pool.failedAddresses else { return }
    for address in triedAddresses where address != winner { addresses.insert(address, now: loop.now) }
    if let winner { addresses.remove(winner) }
    triedAddresses = []
  }

  /// Watches one of libcurl's sockets. Called during `drive`.
  func watch(_ socket: curl_socket_t, _ what: Int32) {
    let index = connectSockets.firstIndex { $0.descriptor == socket }
    guard what != CURL_POLL_REMOVE else {
      if let index { connectSockets.remove(at: index).end() }
      return
    }
    guard phase == .connecting else { return }
    let connectSocket = index.map { connectSockets[$0] } ?? ConnectSocket(socket, self, loop)
    if index == nil { connectSockets.append(connectSocket) }
    connectSocket.watch(what)
  }

  /// Sets libcurl's timer; a negative value cancels it.
  package func setTimer(after milliseconds: Int) {
    timerDue = milliseconds < 0 ? .max : loop.now + Int64(milliseconds)
  }

  func drive(_ socket: curl_socket_t, _ ready: Int32) {
    guard phase == .connecting else { return }
    let wasResolving = isResolving
    var result = link?.drive(socket, ready)
    // After an address has failed, libcurl 7.88 tries the next one only when its timer fires: 200 ms after a refusal,
    // and too late after an address that never responds.
    if result == nil, !isResolving, connectSockets.isEmpty { result = link?.driveAll() }
    guard let result else {
      if wasResolving, !isResolving { pool.didResolve() }
      guard timerDue <= loop.now else { return loop.setDeadline(min(timerDue, connectDue), for: registration) }
      return loop.scheduleNextTurn(registration)
    }
    switch result {
    case .connected: connected()
    case .failed(let kind, let detail): failed(kind, detail)
    }
  }

  private func connected() {
    guard let socket = link?.activeSocket else { return failed(.refused, "libcurl reports no socket") }
    endConnectSockets()
    if pool.failedAddresses != nil { recordAddresses(winner: peerAddress(of: socket)) }
    do throws(Errno) {
      try loop.watch(socket, for: registration)
    } catch {
      return failed(.refused, "epoll: \(error)")
    }
    loop.setDeadline(.max, for: registration)
    self.socket = socket
    isPlain = !pool.settings.isSecure
    ageDue = loop.now + pool.settings.ageMilliseconds
    isWritable = true
    isReadable = true
    // Over TLS the rest of the handshake may still arrive, so only the first read can check this.
    if isPlain, let fault = unexpectedInput {
      return failed(
        fault, fault == .spokeFirst ? "bytes arrived before a request" : "the connection was closed at once")
    }
    phase = .leased
    pool.didConnect(self)
    guard let delegate else { return pool.release(self, isReusable: true) }
    delegate.poolPlace = .none
    delegate.leaseGranted(self)
  }

  private func failed(_ kind: ConnectFault.Kind, _ detail: String) {
    if kind == .refused || kind == .timedOut { recordAddresses(winner: nil) }
    if kind == .refused, addressChoice == .skippedFailed, loop.now < connectDue { return connectToSkipped() }
    let delegate = delegate
    pool.connectFailed(kind)
    close()
    delegate?.connectFailed(ConnectFault(kind, detail))
  }

  /// Connects again, with the addresses that were skipped: all others have failed.
  private func connectToSkipped() {
    addressChoice = .all
    bypassesNameCache = false
    endConnectSockets()
    // Before the new link starts: the old one calls back as it ends.
    link = nil
    beginLink()
    pool.didResolve()
  }

  private func endConnectSockets() {
    for socket in connectSockets { socket.end() }
    connectSockets.removeAll()
  }

  // MARK: Events

  package override func ready(_ readiness: Readiness) {
    switch phase {
    // While connecting, libcurl's sockets have their own registrations.
    case .connecting: break
    case .idle:
      note(readiness)
      // On an idle connection any byte, or the end, makes it unusable.
      if isReadable, !isOpenAndEmpty() { close() }
    case .leased:
      note(readiness)
      delegate?.upstreamReady(self)
    case .closed:
      break
    }
  }

  /// Runs libcurl.
  package override func scheduledCall(for reason: UInt8) {
    guard phase == .connecting else { return }
    guard link != nil else { return failed(.refused, "libcurl: no memory") }
    timerDue = .max
    drive(CURL_SOCKET_TIMEOUT, 0)
  }

  private func note(_ readiness: Readiness) {
    if readiness.hasInputEnded { inputEnded = true }
    if inputEnded || readiness.has(.readable) { isReadable = true }
    if readiness.has(.writable) || readiness.has(.hungUp) { isWritable = true }
  }

  package override func deadlinePassed() {
    switch phase {
    case .connecting:
      if loop.now >= connectDue {
        let failure = isResolving ? "name not resolved" : "not connected"
        return failed(.timedOut, "\(failure) within \(pool.settings.connectMilliseconds) ms")
      }
      timerDue = .max
      drive(CURL_SOCKET_TIMEOUT, 0)
    case .idle: close()
    case .leased, .closed: break
    }
  }

  // MARK: Leases

  /// Records how long the upstream keeps an idle connection open. The pool closes it earlier, by a margin for the
  /// network delay.
  package func upstreamKeepsAlive(seconds: Int) {
    idleMilliseconds = min(pool.settings.idleMilliseconds, max(0, Int64(seconds) * 1_000 - Self.idleMarginMilliseconds))
  }

  private static let idleMarginMilliseconds: Int64 = 500

  /// Whether an idle connection can serve one more exchange.
  ///
  /// - Parameter checkingAfterIdle: if it was idle for longer (milliseconds), it is read to check that it is open and
  ///   empty.
  func isUsable(checkingAfterIdle: Int64) -> Bool {
    guard loop.now < ageDue, loop.now - idleSince < idleMilliseconds else { return false }
    return !(loop.now - idleSince > checkingAfterIdle || isReadable) || isOpenAndEmpty()
  }

  /// Leases an idle connection to `delegate`.
  func lease(to delegate: any ConnectionDelegate, isUpload: Bool) {
    precondition(phase == .idle)
    carriesUpload = isUpload
    phase = .leased
    isReused = true
    self.delegate = delegate
  }

  /// Checks the connection before the first byte of a request: a stray response or the end can arrive after the pool's
  /// own check. nil: the request may be written.
  ///
  /// Call it before the first byte of every request. If it returns a fault, call `Pool.replace`: a byte that it has
  /// read is lost.
  package func faultBeforeFirstByte() -> ConnectFault.Kind? { isReadable ? unexpectedInput : nil }

  /// Ends the lease: the connection returns to its pool, or is closed.
  package func release(isReusable: Bool) { pool.release(self, isReusable: isReusable) }

  /// Detaches the delegate: it gets no further calls.
  @inline(__always)
  func endLease() {
    delegate = nil
    if account >= 0 { pool.endCount(self) }
  }

  /// Makes the connection idle; false if it cannot be reused.
  ///
  /// - Parameter isAwaited: whether another exchange gets it at once, before its next event.
  func becomeIdle(isAwaited: Bool) -> Bool {
    guard phase == .leased, loop.now < ageDue else { return false }
    // A byte after the response belongs to no request: a second response can be in the kernel without a new edge.
    guard !isReadable || !isAwaited && isDrained || isOpenAndEmpty() else { return false }
    phase = .idle
    idleSince = loop.now
    loop.setDeadline(min(ageDue, loop.now + idleMilliseconds), for: registration)
    return true
  }

  /// Reads to check that the connection is open and has no byte to read.
  ///
  /// Over TLS only libcurl knows: a session ticket is bytes on the wire, but nothing to read.
  private func isOpenAndEmpty() -> Bool { unexpectedInput == nil }

  private var unexpectedInput: ConnectFault.Kind? {
    pool.scratch.removeAll()
    switch read(into: pool.scratch) {
    case .wouldBlock:
      isReadable = false
      return nil
    case .bytes: return .spokeFirst
    case .ended, .failed: return .closedEarly
    }
  }

  /// Whether everything received over TLS was read, as far as the kernel knows; false is inconclusive, for example
  /// after a session ticket.
  ///
  /// Without read-ahead, a short read has emptied its record. Asking libcurl instead costs 4,000 instructions for a
  /// read that returns nothing. The next event reports an end that arrived meanwhile.
  private var isDrained: Bool {
    guard lastReadWasShort, !inputEnded, link?.readsAhead == false, sockets.bytesWaiting(socket) == 0 else {
      return false
    }
    isReadable = false
    return true
  }

  // MARK: Bytes

  /// Reads into the free capacity of `buffer`, which must not be 0.
  ///
  /// `.ended` is an end that the peer has declared: a FIN or, over TLS, a close_notify. Any other end is `.failed`,
  /// because the bytes before it may be cut off (RFC 9112 §9.8).
  package func receive(into buffer: ByteBuffer) -> Transfer {
    let capacity = buffer.freeCapacity
    precondition(capacity > 0, "no capacity to read into")
    let transfer = restoringSendError(read(into: buffer))
    switch transfer {
    case .bytes(let count):
      lastReadWasShort = count < capacity
      // A short read has emptied a plain socket. Over TLS, a read ends with its record, and more records may follow.
      if lastReadWasShort, isPlain, !inputEnded { isReadable = false }
    case .wouldBlock: isReadable = false
    case .failed(let error): transferFault = describe(error)
    case .ended: break
    }
    return transfer
  }

  /// Turns the end of the input back into the error of a reset: a failed send has consumed that error, so that reads
  /// end as after a FIN.
  @inline(__always)
  private func restoringSendError(_ transfer: Transfer) -> Transfer {
    guard case .ended = transfer, let sendError else { return transfer }
    // Linux reports EPIPE if a FIN came before the reset, else ECONNRESET (net/ipv4/tcp_input.c, tcp_reset).
    return sendError.number == EPIPE ? .ended : .failed(sendError)
  }

  /// Writes a range of `buffer`. After `.wouldBlock` the next call must write the same range.
  ///
  /// After `.failed` the connection is readable: first what the peer sent before it closed, then the end.
  package func send(_ buffer: ByteBuffer, _ range: Range<Int>) -> Transfer {
    precondition(range.upperBound <= buffer.count)
    let transfer =
      isPlain ? sockets.send(socket, buffer, range, isLast: false) : link?.send(buffer, range) ?? .ended
    switch transfer {
    case .bytes(let count):
      // Over TLS a short write can be a whole record, and no edge follows.
      if count < range.count, isPlain { isWritable = false }
    case .wouldBlock: isWritable = false
    case .failed(let error):
      transferFault = describe(error)
      if isPlain, sendError == nil { sendError = error }
      inputEnded = true
      isReadable = true
    case .ended: break
    }
    return transfer
  }

  private func describe(_ error: Errno) -> String { isPlain ? error.description : link?.failure ?? error.description }

  private func read(into buffer: ByteBuffer) -> Transfer {
    isPlain ? sockets.receive(socket, into: buffer) : link?.receive(into: buffer) ?? .ended
  }

  // MARK: Closing

  func close() {
    guard phase != .closed else { return }
    let last = phase
    if last == .connecting { delegate?.poolPlace = .none }
    endLease()
    endResolving()
    phase = .closed
    // Before `link = nil` closes the descriptors: libcurl may or may not report them as it ends.
    endConnectSockets()
    link = nil
    socket = -1
    isPlain = false
    isReadable = false
    isWritable = false
    loop.unregister(registration)
    pool.didClose(self, last)
  }
}
