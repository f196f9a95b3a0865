package import Bytes
import CLibcurl
import Glibc
package import Reactor
import System

/// Who uses a connection for one exchange.
package protocol Lessee: AnyObject {
  /// Names the client whose exchange it is, also after a reload; 0: unknown, as if all of these were one client.
  var clientKey: UInt32 { get }
  /// Whether the request's body is not whole yet, so that the client decides how long sending takes; asked for once,
  /// when the lessee asks for a connection.
  var isUploading: Bool { get }
  /// It waits no longer in the queue: a connect is under way for it. From within its own `Pool.replace`, too.
  func connectBegan()
  /// The connection is there; called outside of the lessee's own calls.
  func leaseGranted(_ connection: UpstreamConnection)
  func connectFailed(_ fault: ConnectFault)
  /// Its place in the queue went to a client with fewer: the same end as a full queue; called outside of the lessee's own
  /// calls.
  func turnedAway()
  /// Bytes may have come, or room to write: see `isReadable` and `isWritable`.
  func upstreamReady(_ connection: UpstreamConnection)
}

/// One connection to an upstream: connecting, idle in its pool, or leased to one exchange.
///
/// While it connects its descriptors belong to libcurl. From then on it is watched both ways, edge-triggered, and never
/// modified; `isReadable` and `isWritable` remember the edges.
///
/// Without TLS, bytes go to libcurl's socket itself, as CURLOPT_CONNECT_ONLY has it, and through libcurl over TLS alone:
/// libcurl 7.88 looks its one connection up in a table of 97 chains for each send and receive, which is 2,300 instructions
/// a request and, with 1,000 connections, a tenth of the CPU time.
package final class UpstreamConnection: EventHandler {
  package enum Phase: Sendable {
    case connecting, idle, leased, closed
  }

  package private(set) var phase = Phase.connecting
  package private(set) var isReadable = false
  package private(set) var isWritable = false
  /// Whether an earlier exchange was served on it.
  package private(set) var isReused = false
  /// Why the last read or write that failed did so, for the log only.
  package private(set) var transferFault: String?
  /// When connecting began (monotonic nanoseconds).
  package private(set) var connectBegan: Int64 = 0
  /// When it came back to the pool (monotonic milliseconds).
  private(set) var idleSince: Int64 = 0
  /// How long it may idle (milliseconds): ours to say, unless the upstream said less.
  private var idleMilliseconds: Int64

  private let pool: Pool
  private let loop: EventLoop
  private var link: (any Link)?
  /// The link's, while it is connected; else -1.
  private var socket: Int32 = -1
  private let sockets: any SocketCalls
  /// Whether the last read left room: over TLS that was all of a record.
  private var lastReadWasShort = false
  private var registration = Registration.none
  private var lessee: (any Lessee)?
  /// Whether it is leased for an upload that its client streams.
  private(set) var carriesUpload: Bool
  private var connectSockets: [ConnectSocket] = []
  /// When libcurl wants to be called again, and when connecting has taken too long (monotonic milliseconds).
  private var timerDue = Int64.max
  private var connectDue = Int64.max
  private var ageDue = Int64.max
  /// Whether nothing comes behind what waits in the socket.
  private var inputEnded = false
  /// What failed the first write without TLS.
  private var sendError: Errno?
  private(set) var isResolving: Bool
  /// Whether libcurl is to ask for the name's addresses, though it may know some.
  private(set) var resolvesAnew = false
  /// The addresses of the name that this connect has tried.
  private var tried: [SocketAddress] = []
  private var addressChoice = AddressChoice.skippingFailed

  /// Which addresses of the name are tried.
  private enum AddressChoice {
    /// Not those that failed lately; none was skipped yet.
    case skippingFailed
    /// The same, and there was one.
    case skippedFailed
    /// Those that failed lately, too: no other one took the connection.
    case all
  }

  init(pool: Pool, loop: EventLoop, lessee: any Lessee, isUpload: Bool) {
    self.pool = pool
    self.loop = loop
    sockets = loop.sockets
    self.lessee = lessee
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
    resolvesAnew = pool.takesNewAddresses()
    beginLink()
  }

  private func beginLink() {
    link = pool.makeLink(for: self)
    link?.begin(for: self)
    // Never from within the caller's own turn: a connect on loopback can end at once.
    timerDue = loop.now
    loop.again(registration)
  }

  /// Makes a socket for libcurl: the name is resolved, and no child process inherits the descriptor.
  ///
  /// libcurl goes on to the name's next address where it gets none: so an address that failed lately is skipped.
  func openSocket(_ family: Int32, _ type: Int32, _ proto: Int32, _ address: SocketAddress?) -> curl_socket_t {
    isResolving = false
    link?.nameWasResolved()
    guard !skips(address) else { return CURL_SOCKET_BAD }
    let socket = Glibc.socket(family, type | Int32(SOCK_CLOEXEC.rawValue), proto)
    if let address, socket >= 0, pool.failedAddresses != nil { tried.append(address) }
    return socket
  }

  private func skips(_ address: SocketAddress?) -> Bool {
    guard addressChoice != .all, let address, pool.failedAddresses?.contains(address, now: loop.now) == true else {
      return false
    }
    addressChoice = .skippedFailed
    return true
  }

  /// Remembers which addresses did not take the connection.
  ///
  /// - Parameter winner: the one that did; nil: none of them.
  private func noteAddresses(winner: SocketAddress?) {
    guard let addresses = pool.failedAddresses else { return }
    for address in tried where address != winner { addresses.insert(address, now: loop.now) }
    if let winner { addresses.remove(winner) }
    tried = []
  }

  /// What libcurl wants to know of one of its sockets; called from within `drive`.
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

  package func callAgain(after milliseconds: Int) {
    timerDue = milliseconds < 0 ? .max : loop.now + Int64(milliseconds)
  }

  func drive(_ socket: curl_socket_t, _ ready: Int32) {
    guard phase == .connecting else { return }
    let wasResolving = isResolving
    var result = link?.drive(socket, ready)
    // libcurl 7.88 tries the next address of a name, once one has failed, only when its timer comes up: 200 ms after a
    // refusal, and too late after an address that never answered.
    if result == nil, !isResolving, connectSockets.isEmpty { result = link?.goOn() }
    guard let result else {
      if wasResolving, !isResolving { pool.didResolve() }
      guard timerDue <= loop.now else { return loop.setDeadline(min(timerDue, connectDue), for: registration) }
      return loop.again(registration)
    }
    switch result {
    case .connected: connected()
    case .failed(let kind, let detail): failed(kind, detail)
    }
  }

  private func connected() {
    guard let socket = link?.activeSocket else { return failed(.refused, "libcurl shows no socket") }
    endConnectSockets()
    if pool.failedAddresses != nil { noteAddresses(winner: peerAddress(of: socket)) }
    do throws(Errno) {
      try loop.watch(socket, for: registration)
    } catch {
      return failed(.refused, "epoll: \(error)")
    }
    loop.setDeadline(.max, for: registration)
    self.socket = socket
    ageDue = loop.now + pool.settings.ageMilliseconds
    isWritable = true
    isReadable = true
    // Over TLS the end of the handshake may still be on its way: there the first read tells.
    if !pool.settings.isSecure, let fault = unfitness {
      return failed(fault, fault == .spokeFirst ? "bytes came before a request" : "the connection ended at once")
    }
    phase = .leased
    pool.didConnect(self)
    guard let lessee else { return pool.release(self, isReusable: true) }
    lessee.leaseGranted(self)
  }

  private func failed(_ kind: ConnectFault.Kind, _ detail: String) {
    if kind == .refused || kind == .timedOut { noteAddresses(winner: nil) }
    if kind == .refused, addressChoice == .skippedFailed, loop.now < connectDue { return connectToSkipped() }
    let lessee = lessee
    pool.connectFailed(kind)
    close()
    lessee?.connectFailed(ConnectFault(kind, detail))
  }

  /// Begins once more, with the addresses that were skipped: there is no other that takes the connection.
  private func connectToSkipped() {
    addressChoice = .all
    resolvesAnew = false
    endConnectSockets()
    // Before the new one begins: what it says as it ends is not the new one's.
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
    // While it connects, libcurl's sockets have registrations of their own.
    case .connecting: break
    case .idle:
      note(readiness)
      // A pooled connection has nothing to say: whatever comes, or its end, throws it away.
      if isReadable, !isEmpty() { close() }
    case .leased:
      note(readiness)
      lessee?.upstreamReady(self)
    case .closed:
      break
    }
  }

  /// libcurl is due.
  package override func wokenUp(for reason: UInt8) {
    guard phase == .connecting else { return }
    guard link != nil else { return failed(.refused, "libcurl: no memory") }
    timerDue = .max
    drive(CURL_SOCKET_TIMEOUT, 0)
  }

  private func note(_ readiness: Readiness) {
    if readiness.isForTheEnd { inputEnded = true }
    if inputEnded || readiness.has(.readable) { isReadable = true }
    if readiness.has(.writable) || readiness.has(.hungUp) { isWritable = true }
  }

  package override func deadlinePassed() {
    switch phase {
    case .connecting:
      if loop.now >= connectDue {
        let lack = isResolving ? "name not resolved" : "no connection"
        return failed(.timedOut, "\(lack) within \(pool.settings.connectMilliseconds) ms")
      }
      timerDue = .max
      drive(CURL_SOCKET_TIMEOUT, 0)
    case .idle: close()
    case .leased, .closed: break
    }
  }

  // MARK: Leases

  /// The upstream has said how long it keeps the connection: we close it first, by a margin for the way.
  package func upstreamKeepsAlive(seconds: Int) {
    idleMilliseconds = min(pool.settings.idleMilliseconds, max(0, Int64(seconds) * 1_000 - Self.idleMarginMilliseconds))
  }

  private static let idleMarginMilliseconds: Int64 = 500

  /// Whether an idle connection is still good for one more exchange.
  ///
  /// - Parameter provingAfter: it must show that it is open and empty when it idled for longer (milliseconds).
  func isFit(provingAfter: Int64) -> Bool {
    guard loop.now < ageDue, loop.now - idleSince < idleMilliseconds else { return false }
    return !(loop.now - idleSince > provingAfter || isReadable) || isEmpty()
  }

  /// Gives an idle connection to `lessee`.
  func lease(to lessee: any Lessee, isUpload: Bool) {
    precondition(phase == .idle)
    carriesUpload = isUpload
    phase = .leased
    isReused = true
    self.lessee = lessee
  }

  /// Why the first byte of a request must not be written: a stray response or the connection's end, which can come after
  /// the pool has looked and before the request begins; nil: it may be written.
  ///
  /// To be asked before the first byte of every request; `Pool.replace` an unfit one. A byte that was read is lost.
  package func unfitForFirstByte() -> ConnectFault.Kind? { isReadable ? unfitness : nil }

  /// Ends the lease, from the lessee's side: the connection goes back to its pool, or ends.
  package func giveBack(isReusable: Bool) { pool.release(self, isReusable: isReusable) }

  func isLeased(to other: any Lessee) -> Bool { lessee === other }

  /// Whether an exchange of this client has it, or waits for it to connect.
  func isHeld(by client: UInt32) -> Bool { lessee?.clientKey == client }

  /// Ends the lease for good: the lessee hears nothing more.
  func endLease() { lessee = nil }

  /// Readies the connection for the pool; false when it is not to be used again.
  ///
  /// - Parameter isAwaited: another exchange gets it at once, without a look at what the system tells of it next.
  func rest(isAwaited: Bool) -> Bool {
    guard phase == .leased, loop.now < ageDue else { return false }
    // Any byte behind the answer is not ours: a second answer can wait in the kernel without a new edge.
    guard !isReadable || !isAwaited && isDrained || isEmpty() else { return false }
    phase = .idle
    idleSince = loop.now
    loop.setDeadline(min(ageDue, loop.now + idleMilliseconds), for: registration)
    return true
  }

  /// Whether the connection is open and has no byte for us.
  ///
  /// Over TLS only libcurl can tell: a session ticket is bytes on the wire, yet nothing to read.
  private func isEmpty() -> Bool { unfitness == nil }

  private var unfitness: ConnectFault.Kind? {
    pool.scratch.removeAll()
    switch take(into: pool.scratch) {
    case .wouldBlock:
      isReadable = false
      return nil
    case .bytes: return .spokeFirst
    case .ended, .failed: return .closedEarly
    }
  }

  /// Whether all that came over TLS was read, as far as the system can tell; false says nothing, as with a session ticket.
  ///
  /// Where nothing is read ahead, nothing is left of a record that was read short. Asking libcurl would be a read that
  /// finds nothing: 4,000 instructions more. An end that came meanwhile is told by the next event.
  private var isDrained: Bool {
    guard lastReadWasShort, !inputEnded, link?.readsAhead == false, sockets.bytesWaiting(socket) == 0 else {
      return false
    }
    isReadable = false
    return true
  }

  // MARK: Bytes

  /// Reads into the free room of `buffer`, of which there must be some.
  ///
  /// `.ended` is an end that the peer has declared: a FIN, and over TLS a close_notify. Any other end is `.failed`, since
  /// what came before it may be cut off (RFC 9112 §9.8).
  package func receive(into buffer: ByteBuffer) -> Transfer {
    let room = buffer.freeCapacity
    precondition(room > 0, "no room to read into")
    let transfer = declared(take(into: buffer))
    switch transfer {
    case .bytes(let count):
      lastReadWasShort = count < room
      // Plain sockets: a short read has emptied it. TLS reads record by record, and others may wait.
      if lastReadWasShort, isPlain, !inputEnded { isReadable = false }
    case .wouldBlock: isReadable = false
    case .failed(let error): transferFault = describe(error)
    case .ended: break
    }
    return transfer
  }

  /// A failed send has taken the error of a reset from the socket, and its reads end as after a FIN.
  @inline(__always)
  private func declared(_ transfer: Transfer) -> Transfer {
    guard case .ended = transfer, let sendError else { return transfer }
    // Linux reports EPIPE where a FIN came before the reset, else ECONNRESET (net/ipv4/tcp_input.c, tcp_reset).
    return sendError.number == EPIPE ? .ended : .failed(sendError)
  }

  /// Writes a range of `buffer`; after `.wouldBlock` the very same range must be written next.
  ///
  /// After `.failed` the connection is readable: what the peer sent before it hung up comes first, then the end.
  package func send(_ buffer: ByteBuffer, _ range: Range<Int>) -> Transfer {
    precondition(range.upperBound <= buffer.count)
    let transfer =
      isPlain ? sockets.send(socket, buffer, range, isLast: false) : link?.send(buffer, range) ?? .ended
    switch transfer {
    case .bytes(let count):
      // As with reading: over TLS a short write can be a whole record, and no edge follows.
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

  private var isPlain: Bool { !pool.settings.isSecure && socket >= 0 }

  private func take(into buffer: ByteBuffer) -> Transfer {
    isPlain ? sockets.receive(socket, into: buffer) : link?.receive(into: buffer) ?? .ended
  }

  // MARK: The end

  func close() {
    guard phase != .closed else { return }
    let last = phase
    phase = .closed
    lessee = nil
    // While the descriptors are still open: what libcurl says of them as it ends, or fails to say, does not matter then.
    endConnectSockets()
    link = nil
    socket = -1
    isReadable = false
    isWritable = false
    loop.unregister(registration)
    pool.didClose(self, last)
  }
}
