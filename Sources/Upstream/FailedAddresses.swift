import Reactor
import Synchronization

/// Addresses of named upstreams that recently refused a connection or did not respond; shared by all loops.
///
/// Holds at most 1,024 addresses for 30 s each; a new one replaces the oldest. Read and written only while connecting.
package final class FailedAddresses: Sendable {
  /// How long an address is skipped, provided its name has others.
  package static let milliseconds: Int64 = 30_000
  static let countMax = 1_024

  /// When each address is tried again (monotonic milliseconds).
  private let ends = Mutex<[SocketAddress: Int64]>([:])

  package init() {}

  func insert(_ address: SocketAddress, now: Int64) {
    ends.withLock { ends in
      if ends.count >= Self.countMax, ends[address] == nil {
        ends = ends.filter { $0.value > now }
        if ends.count >= Self.countMax, let oldest = ends.min(by: { $0.value < $1.value }) { ends[oldest.key] = nil }
      }
      ends[address] = now + Self.milliseconds
    }
  }

  func remove(_ address: SocketAddress) { ends.withLock { $0[address] = nil } }

  func contains(_ address: SocketAddress, now: Int64) -> Bool { ends.withLock { $0[address] ?? .min } > now }

  var count: Int { ends.withLock { $0.count } }
}
