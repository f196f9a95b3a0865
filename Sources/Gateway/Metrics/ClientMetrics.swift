import Counters
import Policies
import Synchronization
import System
import Telemetry

/// One loop's counts of one client, while the policy has the client and counts by client.
final class ClientMetrics: Sendable {
  let requests = RequestCounter()
  /// As in the access log: of the bodies of requests, and all bytes written to the client.
  let bytesIn = Counter()
  let bytesOut = Counter()
  let codes = CodeCounters()
  /// Microseconds since 1970; 0: none.
  let lastRefusal = Atomic<Int64>(0)

  func count(_ record: borrowing ExchangeRecord, _ code: GatewayCode?) {
    requests.count(status: record.status)
    bytesIn.add(record.bytesIn)
    bytesOut.add(record.bytesOut)
    guard let code else { return }
    codes.add(code)
    lastRefusal.store(SystemClock.wallMicroseconds, ordering: .relaxed)
  }
}

/// A client, and its counts over all loops.
struct ClientReading {
  let name: ArraySlice<UInt8>
  let tokenExpiry: UnixSeconds?
  /// nil: requests are not counted by client.
  let counts: Counts?

  /// Whether a request was refused lately, or a token ends soon.
  func isInTrouble(at now: UnixSeconds) -> Bool {
    if let counts, now.rawValue * 1_000_000 - counts.lastRefusal < Attention.recentMicroseconds { return true }
    return tokenExpiry.map { Attention.isDue($0, at: now) } == true
  }

  struct Counts {
    /// In the order of `RequestCounter.classes`.
    private(set) var requests = RequestCounter.classes.map { _ in 0 }
    let refusals: CodeReading
    /// Microseconds since 1970; 0: none.
    let lastRefusal: Int64
    private(set) var bytesIn = 0
    private(set) var bytesOut = 0

    /// - Parameter parts: one for each loop.
    init(_ parts: [ClientMetrics]) {
      refusals = parts.map(\.codes).reading
      lastRefusal = parts.reduce(0) { max($0, $1.lastRefusal.load(ordering: .relaxed)) }
      for part in parts {
        requests = zip(requests, part.requests.reading).map(+)
        bytesIn += part.bytesIn.current
        bytesOut += part.bytesOut.current
      }
    }

    func count(of code: GatewayCode) -> Int { refusals.first { $0.code == code }?.count ?? 0 }
  }
}
