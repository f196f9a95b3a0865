import Counters
import Policies

/// Counts by code; written by one thread.
final class CodeCounters: Sendable {
  /// Indexed by `GatewayCode.rawValue`.
  private let counts = InlineArray<64, Counter> { _ in Counter() }

  func add(_ code: GatewayCode) { counts[Int(code.rawValue)].add() }

  func count(of code: GatewayCode) -> Int { counts[Int(code.rawValue)].current }
}

/// The codes that have a count, over all loops, in a fixed order.
typealias CodeReading = [(code: GatewayCode, count: Int)]

extension [CodeCounters] {
  var reading: CodeReading {
    GatewayCode.allCases.map { code in (code, reduce(0) { $0 + $1.count(of: code) }) }.filter { $0.count > 0 }
  }
}
