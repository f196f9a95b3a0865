import Counters
import Synchronization

/// What one loop has counted: written by the loop alone and read by any thread, without a word to the loop.
///
/// Bound: one entry for each code of the gateway's own, and for each instance that the loop has sent a request to since
/// the start, with one for each of its routes and methods that were asked for. They outlive reloads, as sums must.
final class LoopMetrics: Sendable {
  let accepted = Counter()
  /// Connections that there was no place for.
  let refusedConnections = Counter()
  /// How long an exchange kept the gateway itself at work.
  let ownTime = Histogram()
  /// Exchanges that ended before an instance was found for them.
  let withoutInstance = InstanceMetrics()
  private let byInstance = Mutex<[String: InstanceMetrics]>([:])
  private let byCode = Mutex<[String: SharedCounter]>([:])

  /// The loop's metrics of an instance, made at the first call.
  func instance(_ id: String) -> InstanceMetrics { byInstance.withLock { $0.value(id, orElse: InstanceMetrics()) } }

  /// How often the code was given, made at the first call.
  func refusals(_ code: String) -> SharedCounter { byCode.withLock { $0.value(code, orElse: SharedCounter()) } }

  var instances: [String: InstanceMetrics] { byInstance.withLock(\.self) }
  var refusals: [String: Int] { byCode.withLock(\.self).mapValues { $0.count.now } }
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
