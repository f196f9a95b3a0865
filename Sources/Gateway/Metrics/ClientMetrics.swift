import Counters
import Policies
import Telemetry

/// One loop's counts of one client, while the policy has the client and counts by client.
final class ClientMetrics: Sendable {
  let requests = RequestCounter()
  /// As in the access log: of the bodies of requests, and all bytes written to the client.
  let bytesIn = Counter()
  let bytesOut = Counter()
  let codes = CodeCounters()

  func count(_ record: borrowing ExchangeRecord, _ code: GatewayCode?) {
    requests.count(status: record.status)
    bytesIn.add(record.bytesIn)
    bytesOut.add(record.bytesOut)
    if let code { codes.add(code) }
  }
}

/// A client, and its counts over all loops.
struct ClientReading {
  let name: ArraySlice<UInt8>
  let tokenExpiry: UnixSeconds?
  /// nil: requests are not counted by client.
  let counts: Counts?

  /// Whether requests were refused, or a token ends within two weeks.
  func isInTrouble(at now: UnixSeconds) -> Bool {
    counts?.refusals.isEmpty == false || tokenExpiry.map { $0.rawValue < now.rawValue + 14 * 86_400 } == true
  }

  struct Counts {
    /// In the order of `RequestCounter.classes`.
    private(set) var requests = RequestCounter.classes.map { _ in 0 }
    let refusals: CodeReading
    private(set) var bytesIn = 0
    private(set) var bytesOut = 0

    /// - Parameter parts: one for each loop.
    init(_ parts: [ClientMetrics]) {
      refusals = parts.map(\.codes).reading
      for part in parts {
        requests = zip(requests, part.requests.reading).map(+)
        bytesIn += part.bytesIn.current
        bytesOut += part.bytesOut.current
      }
    }

    func count(of code: GatewayCode) -> Int { refusals.first { $0.code == code }?.count ?? 0 }
  }
}
