import Synchronization

/// What all loops share of one client with limits: its budgets, and how much it has under way.
///
/// The one thing that is written on a request's way by several loops, and only for clients with limits. It outlives the
/// policy that made it, so that a reload gives nobody a new budget.
package final class ClientMeter: Sendable {
  /// Why a client has to wait.
  package enum Refusal: Equatable, Sendable {
    /// - Parameters:
    ///   - nanoseconds: until one more request fits.
    ///   - budget: the name of the budget, such as `read`.
    case rate(nanoseconds: Int64, limit: RateLimit, budget: String)
    case concurrency(max: Int)
  }

  private let limits: ClientLimits
  /// Reads, or all requests where they share one budget.
  private let reads: Atomic<Int64>
  private let writes: Atomic<Int64>
  private let underWay: Atomic<Int>

  /// - Parameter previous: the client's meter until now, whose state goes on.
  package init(_ limits: ClientLimits, following previous: ClientMeter?) {
    self.limits = limits
    reads = Atomic(previous?.reads.load(ordering: .relaxed) ?? 0)
    writes = Atomic(previous?.writes.load(ordering: .relaxed) ?? 0)
    underWay = Atomic(0)
  }

  /// Whether a meter with these limits would be the same.
  package func has(_ limits: ClientLimits) -> Bool { self.limits == limits }

  /// Takes one request in; nil when it fits. Each nil is followed by one `leave`.
  ///
  /// - Parameter now: monotonic nanoseconds.
  package func enter(isWrite: Bool, now: Int64) -> Refusal? {
    if limits.concurrentMax > 0, underWay.add(1, ordering: .relaxed).newValue > limits.concurrentMax {
      leave()
      return .concurrency(max: limits.concurrentMax)
    }
    guard let refusal = takeRate(isWrite: isWrite, now: now) else { return nil }
    leave()
    return refusal
  }

  /// A request that was let in has come to its end.
  package func leave() {
    if limits.concurrentMax > 0 { underWay.subtract(1, ordering: .relaxed) }
  }

  private func takeRate(isWrite: Bool, now: Int64) -> Refusal? {
    switch limits.rates {
    case .unlimited: nil
    case .shared(let limit): take(reads, limit, "all", now)
    case .separate(let read, let write):
      isWrite ? write.flatMap { take(writes, $0, "write", now) } : read.flatMap { take(reads, $0, "read", now) }
    }
  }

  private func take(_ word: borrowing Atomic<Int64>, _ limit: RateLimit, _ budget: String, _ now: Int64) -> Refusal? {
    var old = word.load(ordering: .relaxed)
    while true {
      var state = RateState(wholeAt: old)
      if let wait = state.take(now: now, limit) { return .rate(nanoseconds: wait, limit: limit, budget: budget) }
      let (exchanged, current) = word.weakCompareExchange(expected: old, desired: state.wholeAt, ordering: .relaxed)
      if exchanged { return nil }
      old = current
    }
  }
}
