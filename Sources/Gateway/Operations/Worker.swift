import Bytes
import Counters
import Dispatch
import HTTP1
import OAuth
import Policies
import Reactor
import Synchronization
import System
import Telemetry
import Upstream

/// Messages from other threads to a worker, which reads them when its loop is woken.
final class Mailbox: Sendable {
  enum Message: Sendable {
    /// Shutdown is announced: responses end their connections and probes fail; everything else continues.
    case announceDrain
    /// Close the listeners, and signal once all waiting connections are handed to their loops.
    case closeListeners(DispatchSemaphore)
    /// Serve each connection's last request, and stop after the last connection has closed.
    case drain
    /// Serve requests under this policy from now on.
    case install(Generation)
    /// What tokens and grants are revoked has changed.
    case revocations(GrantRegistry.Change)
    /// Answer in this turn.
    case prove(TurnProof)
    /// Free what is kept for reuse.
    case releaseUnused(DispatchSemaphore)
    /// Stop now, and cut exchanges in flight.
    case stop
  }

  private let messages = Mutex<[Message]>([])
  /// Whether `stop` has cut an exchange.
  let hasCutExchanges = Atomic<Bool>(false)

  func post(_ message: Message) { messages.withLock { $0.append(message) } }

  func takeAll() -> [Message] {
    messages.withLock { messages in
      defer { messages = [] }
      return messages
    }
  }
}

/// Everything that one loop's thread owns: its connections, exchanges, pools and buffers. None of it is shared.
final class Worker: EventHandler, EventLoopDelegate {
  let loop: EventLoop
  private(set) var snapshot: Snapshot
  /// Changes whenever admission may decide otherwise than before: with a new policy or a revocation.
  private(set) var admissionEpoch = 0
  /// The snapshot's timeouts and limits.
  private(set) var timeouts: GatewayTimeouts
  private var downstreamLimits: DownstreamLimits
  /// The phases of a shutdown.
  private enum Phase {
    case serving
    /// Responses end their connections. New and idle connections are served as before.
    case announced
    /// The listeners are closed. Each connection may serve one last request.
    case draining
    /// Everything is cut.
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
  /// nil: writes have no idempotency keys.
  let journal: JournalPort?
  /// nil: writes are not audited.
  let audit: AuditPort?
  let grants: GrantPort?
  let introspection: IntrospectionPort?
  let report: @Sendable (String) -> Void
  private var headLimits: HeadLimits
  /// Of each listener. Like the listeners, they change only at a restart.
  private let trusts: [FrontTrust]
  private var proxyHeaderReportDue: Int64 = 0
  private var acceptors: [Acceptor] = []
  private var connections: [DownstreamConnection] = []
  /// At most `DescriptorBudget.refusalsMax`.
  private var refused: [RefusedConnection] = []
  private let pools: PoolDirectory
  private var ids = RequestIDGenerator()
  var tokenCaches = TokenCaches()
  /// Of the token endpoint, of unknown callers.
  var refusals = RefusalSample()
  private var date = DateLine()
  private var localReplies = LocalReplyWriter()
  private var registration = Registration.none
  private var isLogFlushScheduled = false

  let buffers = BufferPool(
    capacity: bufferBytes, keptMax: 1_024, largeCapacity: largeBufferBytes, largeKeptMax: 16)
  /// For bytes that are read and dropped.
  let scratch = ByteBuffer(capacity: scratchBytes)
  private var inputs = FreeList<RequestInput>()
  private var exchanges = FreeList<Exchange>()

  /// Holds a body of 16 KiB together with its head.
  private static let bufferBytes = 20 << 10
  private static let scratchBytes = 64 << 10
  private static let largeBufferBytes = 256 << 10
  /// Half of the longest time that a log line may wait.
  private static let logFlushMilliseconds: Int64 = 500

  /// - Parameters:
  ///   - failedAddresses: shared by all loops.
  ///   - kernel: replaces Linux in a simulation.
  ///   - makeLink: replaces libcurl in a simulation.
  init(
    handle: LoopHandle, loops: Int, generation: Generation, mailbox: Mailbox, gate: ConnectionGate,
    log: AccessLogBuffer?, journal: JournalPort? = nil, audit: AuditPort? = nil, grants: GrantPort? = nil,
    introspection: IntrospectionPort? = nil, metrics: LoopMetrics = LoopMetrics(),
    failedAddresses: FailedAddresses = FailedAddresses(), kernel: (any Kernel)? = nil, makeLink: LinkMaker? = nil,
    report: @escaping @Sendable (String) -> Void
  ) throws(Errno) {
    loop = try EventLoop(handle: handle, kernel: kernel)
    self.mailbox = mailbox
    self.gate = gate
    self.log = log
    self.metrics = metrics
    self.journal = journal
    self.audit = audit
    self.grants = grants
    self.introspection = introspection
    self.report = report
    timeouts = generation.policy.settings.timeouts
    downstreamLimits = DownstreamLimits(generation.policy.settings)
    headLimits = HeadLimits(generation.policy.settings.limits)
    trusts = generation.policy.settings.listeners.map(\.trust)
    let pools = PoolDirectory(
      loop: loop, loops: loops, connectionsMax: generation.policy.settings.limits.upstreamConnectionsMax,
      metrics: metrics, failedAddresses: failedAddresses, makeLink: makeLink)
    self.pools = pools
    snapshot = Snapshot(generation, metrics) { pools.pool(for: $0) }
    super.init()
    registration = loop.register(self)
  }

  // MARK: Running

  /// Serves until the loop stops.
  func run(_ listeners: [Reactor.Listener], sharedBy loops: [LoopHandle]) {
    for (index, listener) in listeners.enumerated() {
      acceptors.append(
        Acceptor(listener, index: index, worker: self, loops: loops, gate: gate, report: report))
    }
    loop.run(for: self)
    releaseResources()
    log?.close()
  }

  /// Frees what outlives connections, and breaks the reference cycles between the loop, its handlers and this object.
  private func releaseResources() {
    pools.closeIdle()
    exchanges.removeAll()
    loop.unregister(registration)
    loop.freeUnregistered()
  }

  func adopted(_ descriptor: consuming FileDescriptor, from listener: Int) {
    let peer = PeerAddress(loop.sockets.peerAddress(descriptor.number))
    open(descriptor, from: peer, listener, isWatched: true)
  }

  /// Serves a connection that this loop has accepted itself.
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

  /// Lets the gate admit another connection. Called right before a connection's descriptor is closed.
  func connectionFreed(_ descriptor: Int32) {
    gate.release(descriptor)
    loop.handle.connections.subtract(1, ordering: .relaxed)
  }

  // MARK: Fronts

  func trust(of listener: Int) -> FrontTrust { trusts[listener] }

  /// Whether a peer's word about its clients counts, on a listener that trusts something.
  func trusts(_ peer: PeerAddress) -> Bool {
    switch peer {
    // The permissions of the socket file decide who connects.
    case .unix: true
    case .unknown: false
    case .ip(let address): snapshot.policy.settings.trustedProxies.contains { $0.contains(address) }
    }
  }

  /// Counts the connection of a client that a PROXY header names; returns the reply if the client has too many.
  func admit(_ client: IPAddress, on descriptor: Int32) -> LocalReply? {
    guard let overload = gate.admitClient(descriptor, client) else { return nil }
    metrics.refusedConnections.add()
    return overload
  }

  /// Counts a connection that is closed because it has no valid PROXY header. Reports one now and then: there may be
  /// thousands a second.
  func rejectedProxyHeader(of peer: PeerAddress, _ listener: Int, _ reason: String) {
    metrics.proxyHeaderFaults.add()
    guard loop.now >= proxyHeaderReportDue else { return }
    proxyHeaderReportDue = loop.now + Self.proxyHeaderReportMilliseconds
    let address = snapshot.policy.settings.listeners[listener].address
    report(
      "\(address): closed a connection from \(String(decoding: peer.text, as: UTF8.self)): \(reason)")
  }

  private static let proxyHeaderReportMilliseconds: Int64 = 10_000

  // MARK: Refusing

  /// Refuses a connection above a limit, with a reply.
  func refuse(_ descriptor: consuming FileDescriptor, from peer: PeerAddress, _ reply: LocalReply) {
    // The oldest one has got its reply, and only waits for its peer to close.
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
    metrics.codes.add(reply.code)
    metrics.recentEnds.add(
      reply.code, id, at: loop.wallMicroseconds, client: Span(), instance: Span(), method: Span(), path: Span())
    log?.append(
      record, client: Span(), token: Span(), instance: Span(), route: Span(), operation: Span(), peer: peer.span,
      via: Span(), RequestTexts(), in: Span(), now: loop.nowNanoseconds / 1_000)
    scheduleLogFlush()
  }

  func woken() {
    journal?.deliver()
    audit?.deliver()
    grants?.deliver()
    // Taken before the messages and judged after them, so that a policy that was posted before an answer came judges it.
    let answers = introspection?.takeAnswers() ?? []
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
      case .install(let generation): install(generation)
      case .revocations(.revoked(let ids)):
        tokenCaches.signed.revoke(ids)
        admissionEpoch += 1
      case .revocations(.forgotten(let ids)): tokenCaches.signed.forgetRevoked(ids)
      case .prove(let proof): proof.answer()
      case .releaseUnused(let released):
        releaseUnused()
        released.signal()
      case .stop: stop()
      }
    }
    if !answers.isEmpty { deliver(answers) }
  }

  private func deliver(_ answers: [IntrospectionPort.Answer]) {
    introspection?.deliver(answers, now: loop.nowNanoseconds) { settled, question in
      let (now, provider) = (UnixSeconds(loop.wallMicroseconds / 1_000_000), question.provider)
      let standing = snapshot.policy.standing(settled.result, by: provider, at: now)
      tokenCaches.introspected.insert(settled, standing, at: now, secondsMax: provider.cacheSeconds)
      return standing
    }
  }

  func turnEnded() {
    switch phase {
    case .serving, .announced: break
    case .draining:
      // Count connections that another loop has handed over but that have had no event yet.
      if connections.isEmpty, refused.isEmpty, loop.handle.arriving.load(ordering: .relaxed) == 0 { loop.stop() }
    case .stopping:
      for connection in connections { connection.abort() }
      for connection in refused { connection.end() }
    }
    audit?.turnEnded()
    journal?.turnEnded()
    inputs.turnEnded()
    exchanges.turnEnded()
  }

  /// Puts a policy into force. An exchange that has not sent its first byte is admitted again under it; others finish
  /// under the policy that admitted them.
  private func install(_ generation: Generation) {
    let pools = pools
    snapshot = Snapshot(generation, metrics) { pools.pool(for: $0) }
    pools.retainPools(of: generation.policy)
    admissionEpoch += 1
    timeouts = generation.policy.settings.timeouts
    downstreamLimits = DownstreamLimits(generation.policy.settings)
    headLimits = HeadLimits(generation.policy.settings.limits)
    inputs.removeAll()
  }

  private func drain() {
    phase = .draining
    isEnding = true
    // At most half, so that idle connections close cleanly within `drain_s`.
    timeouts.idleMilliseconds = min(timeouts.drainIdleMilliseconds, timeouts.drainMilliseconds / 2)
    for connection in connections { connection.drain() }
  }

  /// Cuts the exchanges in flight, and rejects requests whose heads are incomplete within the rest of this turn.
  private func stop() {
    phase = .stopping
    isEnding = true
    for connection in connections where connection.hasExchange {
      mailbox.hasCutExchanges.store(true, ordering: .relaxed)
      connection.abort()
    }
    for connection in connections { connection.rejectRequest() }
    loop.stop()
  }

  // MARK: Free lists

  @_optimize(speed)
  func takeInput() -> RequestInput {
    guard let input = inputs.take() else { return RequestInput(limits: headLimits) }
    // Reset here, because until the turn ended a caller may still have been reading into it.
    input.reset()
    return input
  }

  // `consuming`, here and below: the caller passes its reference on.
  @inline(__always)
  func recycle(_ input: consuming RequestInput) {
    if input.isReusable { inputs.recycle(input) }
  }

  @_optimize(speed)
  func takeExchange(for connection: DownstreamConnection) -> Exchange {
    let exchange = exchanges.take() ?? Exchange(worker: self)
    exchange.attach(to: connection, downstreamLimits)
    return exchange
  }

  func recycle(_ exchange: consuming Exchange) { exchanges.recycle(exchange) }

  /// Frees what is kept for reuse. After a burst, that is 60 MB, which requests refill as they need it.
  private func releaseUnused() {
    inputs.removeAll()
    exchanges.removeAll()
    buffers.removeUnused()
    audit?.releaseUnused()
  }

  func nextRequestID() -> RequestID { ids.next() }

  /// The `Date` line of the current second.
  func dateLine() -> [UInt8] { date.line(at: loop.wallMicroseconds / 1_000_000) }

  @inline(never)
  func writeDate(to output: ByteBuffer) { output.append(dateLine()) }

  func write(
    _ reply: LocalReply, id: RequestID, keepsAlive: Bool, version: Version, hasBody: Bool, to output: ByteBuffer
  ) {
    localReplies.write(
      reply, id: id, dateLine: dateLine(), keepsAlive: keepsAlive, version: version, hasBody: hasBody, to: output)
  }

  // MARK: The log

  /// Schedules a flush of waiting log lines, if none is scheduled.
  func scheduleLogFlush() {
    guard !isLogFlushScheduled else { return }
    isLogFlushScheduled = true
    loop.setDeadline(loop.now + Self.logFlushMilliseconds, for: registration)
  }

  override func deadlinePassed() {
    isLogFlushScheduled = false
    guard let log else { return }
    log.flushIfDue(now: loop.nowNanoseconds / 1_000)
    if !log.isEmpty { scheduleLogFlush() }
  }
}
