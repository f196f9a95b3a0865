import Counters
import Digests
import HTTP1
import Policies
import Reactor
import Synchronization
import Telemetry
import Upstream

/// What other threads tell a worker; read when its loop is woken.
final class Mailbox: Sendable {
  enum Message: Sendable {
    /// The end is near: probes are to be told so, and all else goes on.
    case announceDrain
    /// Take no new connections, end the idle ones, and stop when the last is gone.
    case drain
    /// Requests from now on are under this policy.
    case take(Generation)
    /// Stop now; what is in flight is cut.
    case stop
  }

  private let messages = Mutex<[Message]>([])

  func post(_ message: Message) { messages.withLock { $0.append(message) } }

  func takeAll() -> [Message] {
    messages.withLock { messages in
      defer { messages = [] }
      return messages
    }
  }
}

/// All that one loop's thread owns: its connections, exchanges, pools and buffers. Nothing of it is shared.
final class Worker: EventLoopDelegate, EventHandler {
  let loop: EventLoop
  private(set) var snapshot: Snapshot
  private(set) var isDraining = false
  /// What probes on the listeners are told.
  private(set) var isReady = true

  private let mailbox: Mailbox
  private let gate: ConnectionGate
  private let log: AccessLogBuffer?
  let metrics: LoopMetrics
  /// By code; the loop's own way to its counters.
  private var refusals: [String: SharedCounter] = [:]
  /// Refusals come in floods of one kind, and a look into the table is 400 instructions.
  private var lastRefusal: (code: String, counter: SharedCounter)?
  /// nil: writes are not audited.
  let audit: AuditPort?
  private let report: @Sendable (String) -> Void
  private var headLimits: HeadLimits
  private var acceptors: [Acceptor] = []
  private var connections: [DownstreamConnection] = []
  /// At most `DescriptorBudget.refusalsMax`.
  private var refused: [RefusedConnection] = []
  private let pools: PoolDirectory
  private var ids: RequestIDGenerator
  private var date = HTTPDate()
  private var ownAnswers = OwnAnswerWriter()
  private var registration = Registration.none
  private var isTicking = false

  let buffers = BufferPool(
    capacity: bufferBytes, keptMax: 1_024, largeCapacity: largeBufferBytes, largeKeptMax: 16)
  private var inputs: [RequestInput] = []
  private var exchanges: [Exchange] = []

  /// A body of 16 KiB fits together with its head.
  private static let bufferBytes = 20 << 10
  private static let inputBytes = 16 << 10
  private static let largeBufferBytes = 256 << 10
  private static let keptMax = 1_024
  /// Log lines are looked after so often: half of the longest that one may wait.
  private static let tickMilliseconds: Int64 = 500

  /// - Parameters:
  ///   - kernel: what stands for Linux in a simulation.
  ///   - makeLink: what stands for libcurl there.
  init(
    handle: LoopHandle, loops: Int, generation: Generation, mailbox: Mailbox, gate: ConnectionGate,
    log: AccessLogBuffer?, audit: AuditPort? = nil, metrics: LoopMetrics = LoopMetrics(),
    kernel: (any Kernel)? = nil, makeLink: LinkMaker? = nil,
    report: @escaping @Sendable (String) -> Void
  ) throws(Errno) {
    loop = try EventLoop(handle: handle, kernel: kernel)
    self.mailbox = mailbox
    self.gate = gate
    self.log = log
    self.metrics = metrics
    self.audit = audit
    self.report = report
    headLimits = HeadLimits(generation.policy.settings.limits)
    var random = SystemRandomNumberGenerator()
    ids = RequestIDGenerator(using: &random)
    let pools = PoolDirectory(
      loop: loop, loops: loops, connectionsMax: generation.policy.settings.limits.upstreamConnectionsMax,
      metrics: metrics, makeLink: makeLink)
    self.pools = pools
    snapshot = Snapshot(generation, metrics) { pools.pool(for: $0) }
    registration = loop.register(self)
  }

  var timeouts: GatewayTimeouts { snapshot.policy.settings.timeouts }
  var bodyBytesPerSecondMin: Int { snapshot.policy.settings.limits.bodyBytesPerSecondMin }

  // MARK: Running

  /// Serves until it is told to stop.
  func run(_ listeners: [Reactor.Listener], sharedBy loops: [LoopHandle]) {
    for listener in listeners {
      acceptors.append(Acceptor(listener, worker: self, targets: loops, gate: gate, report: report))
    }
    loop.run(for: self)
    letGo()
    log?.close()
  }

  /// Gives back what outlives connections, and ends the circles in which the loop, its handlers and this hold each other.
  private func letGo() {
    pools.closeIdle()
    exchanges = []
    loop.unregister(registration)
    loop.freeLeaving()
  }

  func adopted(_ descriptor: consuming FileDescriptor) {
    let peer = PeerAddress(loop.sockets.peerAddress(descriptor.number))
    open(descriptor, from: peer, isWatched: true)
  }

  /// A connection that this loop has accepted and keeps.
  func take(_ descriptor: consuming FileDescriptor, from peer: PeerAddress) {
    open(descriptor, from: peer, isWatched: false)
  }

  private func open(_ descriptor: consuming FileDescriptor, from peer: PeerAddress, isWatched: Bool) {
    let connection = DownstreamConnection(Socket(descriptor, calls: loop.sockets), peer: peer, worker: self)
    connection.place = connections.count
    connections.append(connection)
    do throws(Errno) { try connection.open(isWatched: isWatched) } catch { connection.close() }
  }

  func connectionClosed(_ connection: DownstreamConnection) {
    let last = connections.removeLast()
    if last !== connection {
      connections[connection.place] = last
      last.place = connection.place
    }
  }

  /// A connection's descriptor is about to be closed: only now is there room for another one.
  func connectionFreed(_ descriptor: Int32) {
    gate.left(descriptor)
    loop.handle.connections.subtract(1, ordering: .relaxed)
  }

  /// Answers a connection that there is no place for, and ends it.
  func refuse(_ descriptor: consuming FileDescriptor, from peer: PeerAddress, _ own: OwnAnswer) {
    // The oldest one has had its answer for longest; it only waits for its client to leave.
    if refused.count == DescriptorBudget.refusalsMax { refused[0].end() }
    let connection = RefusedConnection(Socket(descriptor, calls: loop.sockets), loop: loop) { [unowned self] ended in
      refused.removeAll { $0 === ended }
    }
    refused.append(connection)
    let (id, bytes) = (nextRequestID(), ByteBuffer(from: buffers))
    write(own, id: id, keepsAlive: false, version: .http11, hasBody: true, to: bytes)
    var record = ExchangeRecord(id, startedAt: loop.wallMicroseconds, status: own.status)
    record.code = own.code
    record.outcome = own.outcome?.text
    record.peer = peer.text
    record.bytesOut = connection.answer(bytes)
    metrics.refusedConnections.add()
    countRefusal(own.code, nil, nil)
    log?.append(record, RequestTexts(), in: Span(), now: loop.nowNanoseconds / 1_000)
    tick()
  }

  func woken() {
    audit?.settle()
    for message in mailbox.takeAll() {
      switch message {
      case .announceDrain: isReady = false
      case .drain: drain()
      case .take(let generation): take(generation)
      case .stop:
        for connection in connections { connection.abort() }
        loop.stop()
      }
    }
  }

  func turnEnded() {
    if isDraining, connections.isEmpty { loop.stop() }
  }

  /// Exchanges under way end under the policy that admitted them.
  private func take(_ generation: Generation) {
    let pools = pools
    snapshot = Snapshot(generation, metrics) { pools.pool(for: $0) }
    pools.keep(only: generation.policy)
    headLimits = HeadLimits(generation.policy.settings.limits)
    inputs.removeAll()
  }

  private func drain() {
    isDraining = true
    isReady = false
    for acceptor in acceptors { acceptor.close() }
    acceptors = []
    for connection in connections { connection.drain() }
    for connection in refused { connection.end() }
  }

  // MARK: Free lists

  func takeInput() -> RequestInput {
    inputs.popLast() ?? RequestInput(buffer: ByteBuffer(capacity: Self.inputBytes), limits: headLimits)
  }

  func giveBack(_ input: RequestInput) {
    guard input.buffer.capacity == Self.inputBytes, inputs.count < Self.keptMax else { return }
    input.next(input.buffer.count)
    inputs.append(input)
  }

  func takeExchange(for connection: DownstreamConnection) -> Exchange {
    let exchange = exchanges.popLast() ?? Exchange(worker: self)
    exchange.attach(to: connection)
    return exchange
  }

  func giveBack(_ exchange: Exchange) {
    if exchanges.count < Self.keptMax { exchanges.append(exchange) }
  }

  func nextRequestID() -> RequestID { ids.next() }

  /// The `Date` line of the present second.
  func dateLine() -> [UInt8] { date.line(at: loop.wallMicroseconds / 1_000_000) }

  func write(
    _ own: OwnAnswer, id: RequestID, keepsAlive: Bool, version: Version, hasBody: Bool, to output: ByteBuffer
  ) {
    ownAnswers.write(
      own, id: id, dateLine: dateLine(), keepsAlive: keepsAlive, version: version, hasBody: hasBody, to: output)
  }

  // MARK: Recording

  /// Counts one exchange, and writes it into the log.
  func record(
    _ record: inout ExchangeRecord, _ times: ExchangeTimes, of connection: DownstreamConnection,
    _ method: HTTP1.Method, _ trace: AdmissionTrace, _ snapshot: Snapshot?, _ access: InstanceAccess?
  ) {
    count(record.status, times, method, route: trace.routeIndex, snapshot, access)
    if let code = record.code { countRefusal(code, record.fault, access) }
    guard let log else { return }
    record.peer = connection.peerText
    (snapshot ?? self.snapshot).name(trace, in: &record)
    connection.withRequestTexts { texts, head in
      log.append(record, texts, in: head, now: loop.nowNanoseconds / 1_000)
    }
    tick()
  }

  private func count(
    _ status: Int, _ times: ExchangeTimes, _ method: HTTP1.Method, route: Int32, _ snapshot: Snapshot?,
    _ access: InstanceAccess?
  ) {
    metrics.ownTime.observe(times.own)
    if let access, times.leased > 0 { access.metrics.upstreamTime.observe(times.upstream) }
    // The policy is asked on the way of the first such request only: lending its tables is not free.
    if access?.requests.count(status: status, method, route: route) == true { return }
    let snapshot = snapshot ?? self.snapshot
    let requests = access?.requests ?? snapshot.requestsWithoutInstance
    if requests.count(status: status, method, route: route) { return }
    requests.find(method, route: route, in: snapshot.policy.routes)
    _ = requests.count(status: status, method, route: route)
  }

  private func refusalCounter(_ code: String) -> SharedCounter {
    if let lastRefusal, lastRefusal.code == code { return lastRefusal.counter }
    let counter = refusals.value(code, orElse: metrics.refusals(code))
    lastRefusal = (code, counter)
    return counter
  }

  private func countRefusal(_ code: String, _ detail: String?, _ access: InstanceAccess?) {
    refusalCounter(code).count.add()
    guard let access, Fault.codesOfInstances.contains(code) else { return }
    access.metrics.failed(InstanceFault(code: code, detail: detail, at: loop.wallMicroseconds))
  }

  /// A fault's cause, for the operator: the client is told the kind alone.
  func report(_ fault: ConnectFault, of trace: AdmissionTrace, _ snapshot: Snapshot?) {
    guard let snapshot, snapshot.access(to: trace.instanceIndex).mayReport(loop.now) else { return }
    report("instance \(snapshot.policy.instances[Int(trace.instanceIndex)].id.text): \(fault.detail)")
  }

  func report(refusedKey index: Int, of trace: AdmissionTrace, _ snapshot: Snapshot?) {
    guard let snapshot, snapshot.access(to: trace.instanceIndex).mayReport(loop.now) else { return }
    let instance = snapshot.policy.instances[Int(trace.instanceIndex)]
    report(
      "instance \(instance.id.text): it refuses key \(index + 1) of \(instance.keys.count); see \"key\" in instances.json"
    )
  }

  /// A request found an instance's breaker open, and nobody else asks whether it is well again.
  func probe(_ index: Int32, _ state: UpstreamState) {
    snapshot.generation.states.probe(index) { isWell in
      let now = MonotonicClock.nanoseconds / 1_000_000
      isWell ? state.succeeded() : state.failed(now: now, jitter: Double.random(in: 0..<1))
    }
  }

  private func tick() {
    guard !isTicking else { return }
    isTicking = true
    loop.setDeadline(loop.now + Self.tickMilliseconds, for: registration)
  }

  func ready(_ readiness: Readiness) {}

  func deadlinePassed() {
    isTicking = false
    guard let log else { return }
    log.flushIfDue(now: loop.nowNanoseconds / 1_000)
    if !log.isEmpty { tick() }
  }
}

extension HeadLimits {
  init(_ limits: GatewayLimits) {
    self.init(
      requestLineBytesMax: limits.requestLineBytesMax, headerBytesMax: limits.headerBytesMax,
      fieldsMax: limits.headerFieldsMax)
  }
}

extension Snapshot {
  /// Names who asked for what, as far as admission came, in place of those of the record's last exchange.
  fileprivate func name(_ trace: AdmissionTrace, in record: inout ExchangeRecord) {
    record.client = trace.clientIndex >= 0 ? policy.clients.id(of: Int(trace.clientIndex)) : []
    record.tokenNote = trace.tokenIndex >= 0 ? policy.tokens.note(of: trace.tokenIndex) : []
    record.tokenDigestPrefix = trace.tokenDigestPrefix
    record.instance = trace.instanceIndex >= 0 ? policy.instances[Int(trace.instanceIndex)].id.bytes : []
    let hasRoute = trace.routeIndex >= 0
    record.routePattern = hasRoute ? policy.routes.routes[Int(trace.routeIndex)].pattern : []
    record.operation = hasRoute ? policy.routes.routes[Int(trace.routeIndex)].operation : []
  }
}

extension PeerAddress {
  init(_ address: SocketAddress?) {
    switch address {
    case .ipv4(let address, _): self = .ip(IPAddress(ipv4: address))
    case .ipv6(let high, let low, _): self = .ip(IPAddress(high: high, low: low))
    // A peer without an address is never within anybody's networks.
    case .unix, nil: self = .unix
    }
  }

  /// As logs and Core are told: the address, or `unix`.
  var text: [UInt8] {
    var text: [UInt8] = []
    switch self {
    case .ip(let address): address.write(to: &text)
    case .unix: text += "unix".utf8
    }
    return text
  }
}
