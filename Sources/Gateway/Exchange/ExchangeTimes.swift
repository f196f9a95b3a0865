import Telemetry

/// When an exchange reached its steps, and how its time divides (monotonic nanoseconds; 0: not reached).
struct ExchangeTimes {
  /// The exchange asked the pool for a connection.
  var acquireStarted: Int64 = 0
  /// A connection was leased: pooled, after queueing, or new.
  private(set) var leased: Int64 = 0
  /// The head of Core's response was complete.
  var responseBegan: Int64 = 0
  /// Time that the gateway worked, including the other exchanges of the same turns.
  private(set) var own: Int64 = 0
  /// Time spent waiting for the instance.
  private(set) var upstream: Int64 = 0
  private let started: Int64
  private var connectBegan: Int64 = 0
  private var suspendedAt: Int64

  /// - Parameter started: the start of the turn in which the request's head was complete.
  init(started: Int64 = 0) {
    self.started = started
    suspendedAt = started
  }

  mutating func didLease(pooled: Bool, connectBegan: Int64, at now: Int64) {
    leased = now
    self.connectBegan = pooled ? 0 : connectBegan
  }

  /// Accounts for the time until `now`, when the exchange suspends.
  ///
  /// - Parameters:
  ///   - wait: what the exchange waited for before this turn.
  ///   - turn: when the current turn began.
  ///   - now: read from the clock, because a turn takes time.
  mutating func suspended(_ wait: Wait, turn: Int64, now: Int64) {
    if wait.isForUpstream { upstream += max(0, turn - suspendedAt) }
    own += now - max(turn, suspendedAt)
    suspendedAt = now
  }

  /// Writes the durations to the record. Call `suspended` first.
  func write(to record: inout ExchangeRecord, now: Int64) {
    record.total = (now - started) / 1_000
    if responseBegan > 0 { record.firstByte = (responseBegan - started) / 1_000 }
    guard leased > 0 else { return }
    if connectBegan > 0 { record.connect = (leased - connectBegan) / 1_000 }
    // max: the connect may have started before this exchange asked for a connection.
    record.queue = max(0, (connectBegan > 0 ? connectBegan : leased) - acquireStarted) / 1_000
  }
}

extension Wait {
  fileprivate var isForUpstream: Bool {
    switch self {
    case .connect, .upstreamWritable, .responseHead, .responseBody: true
    case .nothing, .introspection, .grant, .key, .intent, .queue, .requestBody, .downstreamWritable: false
    }
  }
}
