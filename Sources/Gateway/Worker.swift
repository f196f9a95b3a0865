import Bytes
import Counters
import Dispatch
import HTTP1
import Policies
import Reactor
import Synchronization
import System
import Telemetry
import Upstream

/// What other threads tell a worker; read when its loop is woken.
final class Mailbox: Sendable {
  enum Message: Sendable {
    /// The end is near: responses and probes say so, and all else goes on.
    case announceDrain
    /// Take no new connections, and signal when all that waited are handed to their loops.
    case closeListeners(DispatchSemaphore)
    /// Serve each connection's last request, and stop when the last connection is gone.
    case drain
    /// Requests from now on are under this policy.
    case take(Generation)
    /// Stop now; what is in flight is cut.
    case stop
  }

  private let messages = Mutex<[Message]>([])
  /// Whether `stop` found an exchange that had not come to its end.
  let hasCutExchanges = Atomic<Bool>(false)

  func post(_ message: Message) { messages.withLock { $0.append(message) } }

  func takeAll() -> [Message] {
    messages.withLock { messages in
      defer { messages = [] }
      return messages
    }
  }
}

/// All that one loop's thread owns: its connections, exchanges, pools and buffers. Nothing of it is shared.
final class Worker: EventHandler, EventLoopDelegate {
  let loop: EventLoop
  private(set) var snapshot: Snapshot
  /// The snapshot's number, its timeouts, and the pace that it asks of clients.
  private(set) var generation: Int
  private(set) var timeouts: GatewayTimeouts
  private var pace: ClientPace
  /// Where the worker is on its way to the end.
  private enum Phase {
    case serving
    /// Responses end their connections; idle connections, and new ones, are kept as before.
    case announced
    /// No listener is left; each connection has one last request.
    case draining
    /// Nothing is waited for any more.
    case stopping
  }

  private var phase = Phase.serving
  /// Whether each response ends its connection.
  private(set) var isEnding = false
  var isDraining: Bool { phase == .draining }

  private let mailbox: Mailbox
  private let gate: ConnectionGate
  let log: AccessLogBuffer?
  let metrics: LoopMetrics
  /// nil: writes are not audited.
  let audit: AuditPort?
  let report: @Sendable (String) -> Void
  private var headLimits: HeadLimits
  private var acceptors: [Acceptor] = []
  private var connections: [DownstreamConnection] = []
  /// At most `DescriptorBudget.refusalsMax`.
  private var refused: [RefusedConnection] = []
  private let pools: PoolDirectory
  private var ids: RequestIDGenerator
  var tokenDigests: TokenDigests
  private var date = HTTPDate()
  private var localReplies = LocalReplyWriter()
  private var registration = Registration.none
  private var isTicking = false

  let buffers = BufferPool(
    capacity: bufferBytes, keptMax: 1_024, largeCapacity: largeBufferBytes, largeKeptMax: 16)
  /// For bytes that nobody wants.
  let scratch = ByteBuffer(capacity: scratchBytes)
  private var inputs = FreeList<RequestInput>()
  private var exchanges = FreeList<Exchange>()

  /// A body of 16 KiB fits together with its head.
  private static let bufferBytes = 20 << 10
  private static let scratchBytes = 64 << 10
  private static let largeBufferBytes = 256 << 10
  /// Log lines are looked after so often: half of the longest that one may wait.
  private static let tickMilliseconds: Int64 = 500

  /// - Parameters:
  ///   - failedAddresses: shared by all loops.
  ///   - kernel: what stands for Linux in a simulation.
  ///   - makeLink: what stands for libcurl there.
  init(
    handle: LoopHandle, loops: Int, generation: Generation, mailbox: Mailbox, gate: ConnectionGate,
    log: AccessLogBuffer?, audit: AuditPort? = nil, metrics: LoopMetrics = LoopMetrics(),
    failedAddresses: FailedAddresses = FailedAddresses(), kernel: (any Kernel)? = nil, makeLink: LinkMaker? = nil,
    report: @escaping @Sendable (String) -> Void
  ) throws(Errno) {
    loop = try EventLoop(handle: handle, kernel: kernel)
    self.mailbox = mailbox
    self.gate = gate
    self.log = log
    self.metrics = metrics
    self.audit = audit
    self.report = report
    self.generation = generation.number
    timeouts = generation.policy.settings.timeouts
    pace = ClientPace(generation.policy.settings)
    headLimits = HeadLimits(generation.policy.settings.limits)
    var random = SystemRandomNumberGenerator()
    ids = RequestIDGenerator(using: &random)
    tokenDigests = TokenDigests(using: &random)
    let pools = PoolDirectory(
      loop: loop, loops: loops, connectionsMax: generation.policy.settings.limits.upstreamConnectionsMax,
      metrics: metrics, failedAddresses: failedAddresses, makeLink: makeLink)
    self.pools = pools
    snapshot = Snapshot(generation, metrics) { pools.pool(for: $0) }
    super.init()
    registration = loop.register(self)
  }

  // MARK: Running

  /// Serves until it is told to stop.
  func run(_ listeners: [Reactor.Listener], sharedBy loops: [LoopHandle]) {
    for (index, listener) in listeners.enumerated() {
      acceptors.append(
        Acceptor(listener, index: index, worker: self, targets: loops, gate: gate, report: report))
    }
    loop.run(for: self)
    letGo()
    log?.close()
  }

  /// Gives back what outlives connections, and ends the circles in which the loop, its handlers and this hold each other.
  private func letGo() {
    pools.closeIdle()
    exchanges.removeAll()
    loop.unregister(registration)
    loop.freeLeaving()
  }

  func adopted(_ descriptor: consuming FileDescriptor, from listener: Int) {
    let peer = PeerAddress(loop.sockets.peerAddress(descriptor.number))
    open(descriptor, from: peer, listener, isWatched: true)
  }

  /// A connection that this loop has accepted and keeps.
  func take(_ descriptor: consuming FileDescriptor, from peer: PeerAddress, _ listener: Int) {
    open(descriptor, from: peer, listener, isWatched: false)
  }

  private func open(_ descriptor: consuming FileDescriptor, from peer: PeerAddress, _ listener: Int, isWatched: Bool) {
    let connection = DownstreamConnection(
      Socket(descriptor, calls: loop.sockets), from: peer, listener: listener, worker: self)
    connection.slot = connections.count
    connections.append(connection)
    do throws(Errno) { try connection.open(isWatched: isWatched) } catch { connection.close() }
  }

  func connectionClosed(_ connection: DownstreamConnection) {
    let last = connections.removeLast()
    if last !== connection {
      connections[connection.slot] = last
      last.slot = connection.slot
    }
  }

  /// A connection's descriptor is about to be closed: only now is there room for another one.
  func connectionFreed(_ descriptor: Int32) {
    gate.left(descriptor)
    loop.handle.connections.subtract(1, ordering: .relaxed)
  }

  /// Answers a connection that there is no place for, and ends it.
  func refuse(_ descriptor: consuming FileDescriptor, from peer: PeerAddress, _ reply: LocalReply) {
    // The oldest one has had its answer for longest; it only waits for its client to leave.
    if refused.count == DescriptorBudget.refusalsMax { refused[0].end() }
    let connection = RefusedConnection(Socket(descriptor, calls: loop.sockets), loop: loop) { [unowned self] ended in
      refused.removeAll { $0 === ended }
    }
    refused.append(connection)
    let (id, bytes) = (nextRequestID(), ByteBuffer(from: buffers))
    write(reply, id: id, keepsAlive: false, version: .http11, hasBody: true, to: bytes)
    var record = ExchangeRecord(id, startedAt: loop.wallMicroseconds, status: reply.code.status)
    record.code = reply.code.text
    record.outcome = reply.outcome?.text
    let peer = peer.text
    record.bytesOut = connection.answer(bytes)
    metrics.refusedConnections.add()
    metrics.refused(reply.code)
    log?.append(
      record, client: Span(), token: Span(), instance: Span(), route: Span(), operation: Span(), peer: peer.span,
      RequestTexts(), in: Span(), now: loop.nowNanoseconds / 1_000)
    tick()
  }

  func woken() {
    audit?.deliver()
    for message in mailbox.takeAll() {
      switch message {
      case .announceDrain:
        phase = .announced
        isEnding = true
      case .closeListeners(let closed):
        for acceptor in acceptors { acceptor.close() }
        acceptors = []
        closed.signal()
      case .drain: drain()
      case .take(let generation): take(generation)
      case .stop: stop()
      }
    }
  }

  func turnEnded() {
    switch phase {
    case .serving, .announced: break
    case .draining:
      // What another loop has handed over may have had no event yet.
      if connections.isEmpty, refused.isEmpty, loop.handle.arriving.load(ordering: .relaxed) == 0 { loop.stop() }
    case .stopping:
      for connection in connections { connection.abort() }
      for connection in refused { connection.end() }
    }
    inputs.turnEnded()
    exchanges.turnEnded()
  }

  /// Exchanges under way end under the policy that admitted them.
  private func take(_ generation: Generation) {
    let pools = pools
    snapshot = Snapshot(generation, metrics) { pools.pool(for: $0) }
    pools.keep(only: generation.policy)
    self.generation = generation.number
    timeouts = generation.policy.settings.timeouts
    pace = ClientPace(generation.policy.settings)
    headLimits = HeadLimits(generation.policy.settings.limits)
    inputs.removeAll()
  }

  private func drain() {
    phase = .draining
    isEnding = true
    // At most half, so that connections end in order before `drain_s` is over.
    timeouts.idleMilliseconds = min(timeouts.drainIdleMilliseconds, timeouts.drainMilliseconds / 2)
    for connection in connections { connection.drain() }
  }

  /// What is in flight is cut; a head that has not come whole is refused, for which the rest of this turn is left.
  private func stop() {
    phase = .stopping
    isEnding = true
    for connection in connections where connection.hasExchange {
      mailbox.hasCutExchanges.store(true, ordering: .relaxed)
      connection.abort()
    }
    for connection in connections { connection.refuseRequest() }
    loop.stop()
  }

  // MARK: Free lists

  func takeInput() -> RequestInput {
    guard let input = inputs.take() else { return RequestInput(limits: headLimits) }
    // Here and not before: somebody may have been in the midst of reading into it.
    input.reset()
    return input
  }

  // Consumed, here and below: who gives something back hands its reference on.
  func giveBack(_ input: consuming RequestInput) {
    if input.isWorthKeeping { inputs.giveBack(input) }
  }

  func takeExchange(for connection: DownstreamConnection) -> Exchange {
    let exchange = exchanges.take() ?? Exchange(worker: self)
    exchange.attach(to: connection, pace)
    return exchange
  }

  func giveBack(_ exchange: consuming Exchange) { exchanges.giveBack(exchange) }

  func nextRequestID() -> RequestID { ids.next() }

  /// The `Date` line of the present second.
  func dateLine() -> [UInt8] { date.line(at: loop.wallMicroseconds / 1_000_000) }

  @inline(never)
  func writeDate(to output: ByteBuffer) { output.append(dateLine()) }

  func write(
    _ reply: LocalReply, id: RequestID, keepsAlive: Bool, version: Version, hasBody: Bool, to output: ByteBuffer
  ) {
    localReplies.write(
      reply, id: id, dateLine: dateLine(), keepsAlive: keepsAlive, version: version, hasBody: hasBody, to: output)
  }

  // MARK: Looking after things

  /// Looks after the log lines that wait, in a while.
  func tick() {
    guard !isTicking else { return }
    isTicking = true
    loop.setDeadline(loop.now + Self.tickMilliseconds, for: registration)
  }

  override func deadlinePassed() {
    isTicking = false
    guard let log else { return }
    log.flushIfDue(now: loop.nowNanoseconds / 1_000)
    if !log.isEmpty { tick() }
  }
}
