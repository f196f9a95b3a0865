import Policies

/// When an exchange has waited too long, and for whom.
///
/// Time blocked on the client is not Core's: it is bounded by the minimum rate, and not counted into `total_s`.
struct ExchangeClock {
  private(set) var wait = Wait.nobody
  private let begun: Int64
  private var waitSince: Int64
  private var progressAt: Int64
  /// Milliseconds that were spent waiting for the client, the present wait aside.
  private var clientMilliseconds: Int64 = 0
  private var dueAt = Int64.max
  private let client: ClientPace
  private var instance: InstanceTimeouts?

  /// A disk that takes longer holds up no client further.
  private static let intentMillisecondsMax: Int64 = 5_000

  init(at now: Int64, _ client: ClientPace) {
    begun = now
    waitSince = now
    progressAt = now
    self.client = client
  }

  /// The instance is known, and with it how long it may take.
  mutating func bound(by timeouts: InstanceTimeouts) { instance = timeouts }

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
  mutating func due(bytesIn: Int, bytesOut: Int) -> Int64 {
    let inTotal = instance.map { begun + Int64($0.totalMilliseconds) + clientMilliseconds } ?? .max
    switch wait {
    case .nobody: dueAt = .max
    case .intent: dueAt = min(inTotal, waitSince + Self.intentMillisecondsMax)
    case .slot: dueAt = min(inTotal, waitSince + Int64(instance?.queueMilliseconds ?? 0))
    // The connection itself keeps `connect_s`.
    case .connect: dueAt = inTotal
    case .clientBody: dueAt = clientDue(bytes: bytesIn)
    case .clientRoom: dueAt = clientDue(bytes: bytesOut)
    case .answerHead: dueAt = min(inTotal, waitSince + Int64(instance?.firstByteMilliseconds ?? 0))
    case .answerBody, .upstreamRoom:
      dueAt = min(inTotal, progressAt + Int64(instance?.betweenBytesMilliseconds ?? 0))
    }
    return dueAt
  }

  private func clientDue(bytes: Int) -> Int64 {
    let (idle, bytesPerSecondMin) = (Int64(client.idleMilliseconds), client.bytesPerSecondMin)
    let allowance = idle + (bytesPerSecondMin > 0 ? Int64(bytes) * 1_000 / Int64(bytesPerSecondMin) : .max / 4)
    return min(progressAt + idle, waitSince + max(0, allowance - clientMilliseconds))
  }
}

/// How slowly a client may send its body and take its answer.
struct ClientPace {
  /// How long it may pause.
  var idleMilliseconds = 0
  /// Over all; 0: no bound.
  var bytesPerSecondMin = 0

  init() {}

  init(_ settings: GatewaySettings) {
    idleMilliseconds = settings.timeouts.bodyIdleMilliseconds
    bytesPerSecondMin = settings.limits.bodyBytesPerSecondMin
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
