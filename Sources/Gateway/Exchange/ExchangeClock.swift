import Policies

/// When an exchange has waited too long, and for whom; all times are monotonic milliseconds.
///
/// Time blocked on the client is not Core's: it is bounded by minimum rates, and not counted into `total_s`.
struct ExchangeClock {
  /// Whose bytes moved.
  enum Side {
    case client, instance
  }

  private(set) var wait = Wait.nobody
  private let begun: Int64
  private var waitSince: Int64
  private var progressAt: Int64
  /// Milliseconds that were spent waiting for the client, the present wait aside.
  private var clientMilliseconds: Int64 = 0
  private let client: ClientPace
  private var instance: InstanceTimeouts?
  private var upload: UploadCredit

  /// How long a client waits for the audit log, and for an introspection endpoint (milliseconds).
  private static let intentMillisecondsMax: Int64 = 5_000
  private static let tokenMillisecondsMax: Int64 = 5_000

  init(at now: Int64, _ client: ClientPace) {
    begun = now
    waitSince = now
    progressAt = now
    self.client = client
    upload = UploadCredit(bytesPerSecondMin: client.uploadBytesPerSecondMin)
  }

  /// The instance is known, and with it how long it may take.
  mutating func bound(by timeouts: InstanceTimeouts) { instance = timeouts }

  /// The route says how long the instance may take for it.
  mutating func bound(by times: RouteTimes) {
    if let first = times.firstByteMilliseconds { instance?.firstByteMilliseconds = first }
    if let total = times.totalMilliseconds { instance?.totalMilliseconds = total }
  }

  /// Bytes moved; they count only for the side that is waited for.
  mutating func progressed(_ now: Int64, by side: Side) {
    if wait.isForClient == (side == .client) { progressAt = now }
  }

  /// Bytes of the client's body came.
  mutating func received(bodyBytes count: Int, _ now: Int64) {
    progressed(now, by: .client)
    upload.received(count, now)
  }

  /// - Parameter holdsUpstream: whether a connection to the instance is held meanwhile.
  mutating func wait(for next: Wait, holdsUpstream: Bool, _ now: Int64) {
    // Also where the exchange has waited for the client before, and holds a connection only since.
    if next == .clientBody, holdsUpstream { upload.started(now) }
    guard next != wait else { return }
    if wait.isForClient { clientMilliseconds += now - waitSince }
    if wait == .clientBody { upload.stopped() }
    wait = next
    waitSince = now
    progressAt = now
  }

  /// The deadline of the present wait (monotonic milliseconds).
  ///
  /// - Parameters:
  ///   - bytesIn: body bytes that came from the client, without framing.
  ///   - bytesOut: all bytes that were written to the client.
  func due(bytesIn: Int, bytesOut: Int) -> Int64 {
    let inTotal = instance.map { begun + Int64($0.totalMilliseconds) + clientMilliseconds } ?? .max
    switch wait {
    case .nobody: return .max
    case .token: return waitSince + Self.tokenMillisecondsMax
    case .intent: return min(inTotal, waitSince + Self.intentMillisecondsMax)
    case .slot: return min(inTotal, waitSince + Int64(instance?.queueMilliseconds ?? 0))
    // The connection itself keeps `connect_s`.
    case .connect: return inTotal
    case .clientBody: return min(clientDue(bytes: bytesIn + bytesOut), upload.dueAt)
    case .clientCapacity: return clientDue(bytes: bytesIn + bytesOut)
    case .responseHead: return min(inTotal, waitSince + Int64(instance?.firstByteMilliseconds ?? 0))
    case .responseBody, .upstreamCapacity:
      return min(inTotal, progressAt + Int64(instance?.betweenBytesMilliseconds ?? 0))
    }
  }

  /// The bytes of both directions have earned the client its time, and all that it was waited for is spent of it.
  private func clientDue(bytes: Int) -> Int64 {
    let (idle, bytesPerSecondMin) = (Int64(client.idleMilliseconds), client.bytesPerSecondMin)
    let allowance = idle + (bytesPerSecondMin > 0 ? Int64(bytes) * 1_000 / Int64(bytesPerSecondMin) : .max / 4)
    return min(progressAt + idle, waitSince + max(0, allowance - clientMilliseconds))
  }
}

/// How long an upload that holds a connection to the instance may still make it wait: a bucket of five seconds, which
/// waiting empties and the client's bytes fill at the minimum rate.
struct UploadCredit {
  /// The rate is averaged over so long.
  static let windowMilliseconds: Int64 = 5_000

  /// 0: no minimum.
  private let bytesPerSecondMin: Int
  private var milliseconds = windowMilliseconds
  /// Since when it runs out; nil while nobody waits for the client.
  private var since: Int64?

  init(bytesPerSecondMin: Int) { self.bytesPerSecondMin = bytesPerSecondMin }

  /// When it has run out (monotonic milliseconds); never, while nobody waits for the client.
  var dueAt: Int64 {
    guard bytesPerSecondMin > 0, let since else { return .max }
    return since + milliseconds
  }

  mutating func started(_ now: Int64) {
    if since == nil { since = now }
  }

  mutating func stopped() { since = nil }

  mutating func received(_ count: Int, _ now: Int64) {
    guard bytesPerSecondMin > 0 else { return }
    if let since {
      milliseconds -= now - since
      self.since = now
    }
    milliseconds = min(Self.windowMilliseconds, milliseconds + Int64(count) * 1_000 / Int64(bytesPerSecondMin))
  }
}

/// How slowly a client may send its body and take its response.
struct ClientPace {
  /// How long it may pause.
  var idleMilliseconds = 0
  /// Over all; 0: no bound.
  var bytesPerSecondMin = 0
  /// Of a body, while a connection to the instance is held for it; 0: no bound.
  var uploadBytesPerSecondMin = 0

  init() {}

  init(_ settings: GatewaySettings) {
    idleMilliseconds = settings.timeouts.bodyIdleMilliseconds
    bytesPerSecondMin = settings.limits.bodyBytesPerSecondMin
    uploadBytesPerSecondMin = settings.limits.bodyBytesPerSecondMinUpstream
  }
}

extension Wait {
  var isForClient: Bool {
    switch self {
    case .clientBody, .clientCapacity: true
    case .nobody, .token, .intent, .slot, .connect, .upstreamCapacity, .responseHead, .responseBody: false
    }
  }
}
