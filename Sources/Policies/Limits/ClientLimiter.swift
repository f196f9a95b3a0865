import Synchronization

/// What all loops share of one client with limits: its rate budgets, and how many of its requests are under way.
///
/// The one thing that is written on a request's way by several loops, and only for clients with limits. It outlives the
/// policy that made it, so that a reload gives nobody a new budget.
package final class ClientLimiter: Sendable {
  private let limits: ClientLimits
  /// Reads, or all requests where they share one budget.
  private let reads: Atomic<Int64>
  private let writes: Atomic<Int64>
  private let underWay: Atomic<Int>

  /// - Parameter previous: the client's limiter until now, whose budgets go on.
  package init(_ limits: ClientLimits, following previous: ClientLimiter?) {
    self.limits = limits
    reads = Atomic(previous?.reads.load(ordering: .relaxed) ?? 0)
    writes = Atomic(previous?.writes.load(ordering: .relaxed) ?? 0)
    underWay = Atomic(0)
  }

  /// Whether a limiter with these limits would be the same.
  package func has(_ limits: ClientLimits) -> Bool { self.limits == limits }

  /// Takes one request in, or refuses it and takes nothing. Each request that is let in is followed by one `leave`.
  ///
  /// - Parameter now: monotonic nanoseconds.
  package func enter(isWrite: Bool, now: Int64) throws(Rejection) {
    if limits.concurrentMax > 0, underWay.add(1, ordering: .relaxed).newValue > limits.concurrentMax {
      leave()
      throw .concurrencyLimited(max: limits.concurrentMax)
    }
    guard let budget = takeRate(isWrite: isWrite, now: now) else { return }
    leave()
    throw .rateLimited(budget)
  }

  /// A request that was let in has come to its end. What it took of a rate budget stays spent.
  package func leave() {
    if limits.concurrentMax > 0 { underWay.subtract(1, ordering: .relaxed) }
  }

  /// The budget that is used up; nil when the request fits.
  private func takeRate(isWrite: Bool, now: Int64) -> RateBudget? {
    switch limits.rates {
    case .unlimited: nil
    case .shared(let limit): take(reads, limit, .all, now)
    case .separate(let read, let write):
      isWrite ? write.flatMap { take(writes, $0, .write, now) } : read.flatMap { take(reads, $0, .read, now) }
    }
  }

  private func take(
    _ word: borrowing Atomic<Int64>, _ limit: RateLimit, _ name: RateBudget.Name, _ now: Int64
  ) -> RateBudget? {
    var old = word.load(ordering: .relaxed)
    while true {
      var state = RateState(wholeAt: old)
      if let wait = state.take(now: now, limit) { return RateBudget(name, of: limit, nanoseconds: wait) }
      let (exchanged, current) = word.weakCompareExchange(expected: old, desired: state.wholeAt, ordering: .relaxed)
      if exchanged { return nil }
      old = current
    }
  }
}
