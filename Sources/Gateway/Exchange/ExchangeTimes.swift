import Telemetry

/// When the steps of an exchange came, and who took its time (monotonic nanoseconds; 0: not reached).
struct ExchangeTimes {
  /// A connection was asked for.
  var asked: Int64 = 0
  /// A connection was there: pooled, waited for, or new.
  private(set) var leased: Int64 = 0
  /// The head of Core's answer was there.
  var answered: Int64 = 0
  /// How long the gateway was at work, its other exchanges of the same turns included.
  private(set) var own: Int64 = 0
  /// How long it waited for the instance.
  private(set) var upstream: Int64 = 0
  private let started: Int64
  private var connectBegan: Int64 = 0
  private var pausedAt: Int64

  /// - Parameter started: when the turn began in which the request's head was whole.
  init(started: Int64 = 0) {
    self.started = started
    pausedAt = started
  }

  mutating func didLease(pooled: Bool, connectBegan: Int64, at now: Int64) {
    leased = now
    self.connectBegan = pooled ? 0 : connectBegan
  }

  /// All is done that could be done; the clock is read anew, since a turn's work is not nothing.
  ///
  /// - Parameters:
  ///   - wait: whom the exchange waited for before this turn.
  ///   - turn: when the present turn began.
  mutating func paused(_ wait: Wait, turn: Int64, now: Int64) {
    if wait.isForUpstream { upstream += max(0, turn - pausedAt) }
    own += now - max(turn, pausedAt)
    pausedAt = now
  }

  /// Tells the record; `paused` comes before.
  func tell(_ record: inout ExchangeRecord, now: Int64) {
    record.total = (now - started) / 1_000
    if answered > 0 { record.firstByte = (answered - started) / 1_000 }
    guard leased > 0 else { return }
    if connectBegan > 0 { record.connect = (leased - connectBegan) / 1_000 }
    // A connect that was under way already was not waited for in the queue.
    record.queue = max(0, (connectBegan > 0 ? connectBegan : leased) - asked) / 1_000
  }
}

extension Wait {
  fileprivate var isForUpstream: Bool {
    switch self {
    case .connect, .upstreamCapacity, .responseHead, .responseBody: true
    case .nobody, .token, .intent, .slot, .clientBody, .clientCapacity: false
    }
  }
}
