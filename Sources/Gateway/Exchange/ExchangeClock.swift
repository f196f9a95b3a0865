import Policies

/// The deadline of what an exchange waits for. All times are monotonic milliseconds.
///
/// Time spent waiting for downstream is not Core's: minimum rates bound it, and it does not count towards `total_s`.
struct ExchangeClock {
  /// The side whose bytes moved.
  enum Side {
    case downstream, upstream
  }

  private(set) var wait = Wait.nothing
  private let begun: Int64
  private var waitSince: Int64
  private var progressAt: Int64
  /// Milliseconds spent waiting for downstream, without the current wait.
  private var downstreamMilliseconds: Int64 = 0
  private let downstream: DownstreamLimits
  private var instance: InstanceTimeouts?
  private var upload: UploadCredit

  /// How long a request waits for the journal, the audit log, and the introspection endpoint (milliseconds).
  private static let keyMillisecondsMax: Int64 = 5_000
  private static let intentMillisecondsMax: Int64 = 5_000
  private static let introspectionMillisecondsMax: Int64 = 5_000
  private static let grantMillisecondsMax: Int64 = 5_000

  init(at now: Int64, _ downstream: DownstreamLimits) {
    begun = now
    waitSince = now
    progressAt = now
    self.downstream = downstream
    upload = UploadCredit(bytesPerSecondMin: downstream.uploadBytesPerSecondMin)
  }

  /// Sets the instance's timeouts, once the instance is known.
  mutating func apply(_ timeouts: InstanceTimeouts) { instance = timeouts }

  /// Replaces the instance's timeouts by those of the route.
  mutating func apply(_ times: RouteTimes) {
    if let first = times.firstByteMilliseconds { instance?.firstByteMilliseconds = first }
    if let total = times.totalMilliseconds { instance?.totalMilliseconds = total }
  }

  /// Records that bytes moved. They count only on the side that the exchange waits for.
  mutating func progressed(_ now: Int64, by side: Side) {
    if wait.isForDownstream == (side == .downstream) { progressAt = now }
  }

  /// Records received bytes of the request's body.
  mutating func received(bodyBytes count: Int, _ now: Int64) {
    progressed(now, by: .downstream)
    upload.received(count, now)
  }

  /// - Parameter holdsUpstream: whether the exchange holds a connection to the instance meanwhile.
  mutating func startWaiting(for next: Wait, holdsUpstream: Bool, _ now: Int64) {
    // Before the guard: the same wait can have started without a connection.
    if next == .requestBody, holdsUpstream { upload.started(now) }
    guard next != wait else { return }
    if wait.isForDownstream { downstreamMilliseconds += now - waitSince }
    if wait == .requestBody { upload.stopped() }
    wait = next
    waitSince = now
    progressAt = now
  }

  /// The deadline of the current wait.
  ///
  /// - Parameters:
  ///   - bytesIn: received bytes of the request's body, without framing.
  ///   - bytesOut: all bytes written downstream.
  func deadline(bytesIn: Int, bytesOut: Int) -> Int64 {
    let inTotal = instance.map { begun + Int64($0.totalMilliseconds) + downstreamMilliseconds } ?? .max
    switch wait {
    case .nothing: return .max
    case .grant: return waitSince + Self.grantMillisecondsMax
    case .introspection: return waitSince + Self.introspectionMillisecondsMax
    // Core may have executed the request: its total time does not end this wait.
    case .key: return waitSince + Self.keyMillisecondsMax
    case .intent: return min(inTotal, waitSince + Self.intentMillisecondsMax)
    case .queue: return min(inTotal, waitSince + Int64(instance?.queueMilliseconds ?? 0))
    // The connection itself enforces `connect_s`.
    case .connect: return inTotal
    case .requestBody: return min(downstreamDeadline(bytes: bytesIn + bytesOut), upload.deadline)
    case .downstreamWritable: return downstreamDeadline(bytes: bytesIn + bytesOut)
    case .responseHead: return min(inTotal, waitSince + Int64(instance?.firstByteMilliseconds ?? 0))
    case .responseBody, .upstreamWritable:
      return min(inTotal, progressAt + Int64(instance?.betweenBytesMilliseconds ?? 0))
    }
  }

  /// The bytes of both directions earn time; all waiting for downstream spends it.
  private func downstreamDeadline(bytes: Int) -> Int64 {
    let (idle, bytesPerSecondMin) = (Int64(downstream.idleMilliseconds), downstream.bytesPerSecondMin)
    let allowance = idle + (bytesPerSecondMin > 0 ? Int64(bytes) * 1_000 / Int64(bytesPerSecondMin) : .max / 4)
    return min(progressAt + idle, waitSince + max(0, allowance - downstreamMilliseconds))
  }
}

/// How much longer an upload may block a connection to the instance: a bucket of five seconds that waiting drains, and
/// that received bytes refill at the minimum rate.
struct UploadCredit {
  /// The window over which the rate is averaged.
  static let windowMilliseconds: Int64 = 5_000

  /// 0: no minimum.
  private let bytesPerSecondMin: Int
  private var milliseconds = windowMilliseconds
  /// When draining began; nil while nothing drains it.
  private var since: Int64?

  init(bytesPerSecondMin: Int) { self.bytesPerSecondMin = bytesPerSecondMin }

  /// When it is empty (monotonic milliseconds); `.max` while nothing drains it.
  var deadline: Int64 {
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

/// The minimum speed of sending a request body and of reading a response.
struct DownstreamLimits {
  /// The longest pause.
  var idleMilliseconds = 0
  /// Averaged over the exchange; 0: no minimum.
  var bytesPerSecondMin = 0
  /// For a body while it holds a connection to the instance; 0: no minimum.
  var uploadBytesPerSecondMin = 0

  init() {}

  init(_ settings: GatewaySettings) {
    idleMilliseconds = settings.timeouts.bodyIdleMilliseconds
    bytesPerSecondMin = settings.limits.bodyBytesPerSecondMin
    uploadBytesPerSecondMin = settings.limits.bodyBytesPerSecondMinUpstream
  }
}

extension Wait {
  var isForDownstream: Bool {
    switch self {
    case .requestBody, .downstreamWritable: true
    case .nothing, .introspection, .grant, .key, .intent, .queue, .connect, .upstreamWritable, .responseHead,
      .responseBody:
      false
    }
  }
}
