import Counters
import Policies
import Synchronization

/// What one loop has counted: written by the loop alone and read by any thread, without a word to the loop.
///
/// Bound: one entry for each code of the gateway's own, and for each instance that the loop has sent a request to since
/// the start, with one for each of its routes and methods that were asked for. They outlive reloads, as sums must.
final class LoopMetrics: Sendable {
  let accepted = Counter()
  /// Connections above the limit.
  let refusedConnections = Counter()
  /// How long an exchange kept the gateway itself at work.
  let ownTime = Histogram()
  /// Exchanges that ended before an instance was found for them.
  let withoutInstance = InstanceMetrics()
  private let byInstance = Mutex<[String: InstanceMetrics]>([:])
  /// Events that were illegal in their exchange's state: bugs.
  let internalFaults = Counter()
  /// By `GatewayCode.rawValue`.
  private let refusalsByCode = GatewayCode.allCases.map { _ in SharedCounter() }

  /// The loop's metrics of an instance, made at the first call.
  func instance(_ id: String) -> InstanceMetrics { byInstance.withLock { $0.value(id, orElse: InstanceMetrics()) } }

  /// The gateway gave this code.
  func refused(_ code: GatewayCode) { refusalsByCode[Int(code.rawValue)].count.add() }

  /// How often the gateway gave this code.
  func refusals(_ code: GatewayCode) -> Int { refusalsByCode[Int(code.rawValue)].count.now }

  var instances: [String: InstanceMetrics] { byInstance.withLock(\.self) }
}

/// A counter that stands in a table.
final class SharedCounter: Sendable {
  let count = Counter()
}

extension Dictionary {
  /// The value of a key; where there is none, another one from now on.
  mutating func value(_ key: Key, orElse other: @autoclosure () -> Value) -> Value {
    if let value = self[key] { return value }
    let value = other()
    self[key] = value
    return value
  }
}
