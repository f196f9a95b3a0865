import Policies

/// When an exchange has waited too long, and for whom.
///
/// Time blocked on the client is not Core's: it is bounded by the minimum rate, and not counted into `total_s`.
struct ExchangeClock {
  private(set) var wait = Wait.nobody
  private var begun: Int64 = 0
  private var waitSince: Int64 = 0
  private var progressAt: Int64 = 0
  /// Milliseconds that were spent waiting for the client, the present wait aside.
  private var clientMilliseconds: Int64 = 0
  private var dueAt = Int64.max

  /// A disk that takes longer holds up no client further.
  private static let intentMillisecondsMax: Int64 = 5_000

  mutating func begin(at now: Int64) {
    self = ExchangeClock()
    begun = now
    waitSince = now
    progressAt = now
  }

  /// Bytes moved.
  mutating func progressed(_ now: Int64) { progressAt = now }

  mutating func wait(for next: Wait, _ now: Int64) {
    guard next != wait else { return }
    if wait.isForClient { clientMilliseconds += now - waitSince }
    wait = next
    waitSince = now
    progressAt = now
  }

  func isDue(_ now: Int64) -> Bool { now >= dueAt }

  /// The deadline of the present wait (monotonic milliseconds).
  ///
  /// - Parameters:
  ///   - bodyIdleMilliseconds: how long a client may pause.
  ///   - bytesPerSecondMin: how slow it may be over all; 0: no bound.
  mutating func due(
    bodyIdleMilliseconds: Int, bytesPerSecondMin: Int, instance: InstanceTimeouts?, bytesIn: Int, bytesOut: Int
  ) -> Int64 {
    let bodyIdle = Int64(bodyIdleMilliseconds)
    let inTotal = instance.map { begun + Int64($0.totalMilliseconds) + clientMilliseconds } ?? .max
    switch wait {
    case .nobody: dueAt = .max
    case .intent: dueAt = min(inTotal, waitSince + Self.intentMillisecondsMax)
    case .slot: dueAt = min(inTotal, waitSince + Int64(instance?.queueMilliseconds ?? 0))
    // The connection itself keeps `connect_s`.
    case .connect: dueAt = inTotal
    case .clientBody: dueAt = clientDue(bodyIdle, bytes: bytesIn, bytesPerSecondMin)
    case .clientRoom: dueAt = clientDue(bodyIdle, bytes: bytesOut, bytesPerSecondMin)
    case .answerHead: dueAt = min(inTotal, waitSince + Int64(instance?.firstByteMilliseconds ?? 0))
    case .answerBody, .upstreamRoom:
      dueAt = min(inTotal, progressAt + Int64(instance?.betweenBytesMilliseconds ?? 0))
    }
    return dueAt
  }

  /// A client may pause for `idle`, and over all be as slow as the minimum rate.
  private func clientDue(_ idle: Int64, bytes: Int, _ bytesPerSecondMin: Int) -> Int64 {
    let allowance = idle + (bytesPerSecondMin > 0 ? Int64(bytes) * 1_000 / Int64(bytesPerSecondMin) : .max / 4)
    return min(progressAt + idle, waitSince + max(0, allowance - clientMilliseconds))
  }
}

extension Wait {
  var isForClient: Bool {
    switch self {
    case .clientBody, .clientRoom: true
    case .nobody, .intent, .slot, .connect, .upstreamRoom, .answerHead, .answerBody: false
    }
  }
}
