import Synchronization

/// What all loops share of one client with limits: its rate budgets, and how many of its requests are under way.
///
/// The one thing that is written on a request's way by several loops, and only for clients with limits. A reload keeps it
/// where the limits stay as they were; new limits take effect at once, and give nobody a new budget.
package final class ClientLimiter: Sendable {
  private let limits: ClientLimits
  /// Reads, or all requests where they share one budget.
  private let reads: Atomic<Int64>
  private let writes: Atomic<Int64>
  private let underWay: RequestsUnderWay

  /// - Parameters:
  ///   - previous: the client's limiter until now: what is under way goes on, and the requests that it counts as spent are
  ///     spent here, too, at the new rate.
  ///   - now: monotonic nanoseconds.
  package init(_ limits: ClientLimits, following previous: ClientLimiter?, now: Int64) {
    self.limits = limits
    let spent = previous?.spent(now: now) ?? SpentRequests()
    let states: (reads: RateState, writes: RateState) =
      switch limits.rates {
      case .unlimited: (RateState(), RateState())
      case .shared(let limit): (RateState(spent: spent.all, now: now, limit), RateState())
      case .separate(let read, let write):
        (
          read.map { RateState(spent: spent.reads, now: now, $0) } ?? RateState(),
          write.map { RateState(spent: spent.writes, now: now, $0) } ?? RateState()
        )
      }
    reads = Atomic(states.reads.wholeAt)
    writes = Atomic(states.writes.wholeAt)
    underWay = previous?.underWay ?? RequestsUnderWay()
  }

  /// Requests that the budgets have not got back yet, each at most a whole burst.
  private func spent(now: Int64) -> SpentRequests {
    let reads = RateState(wholeAt: reads.load(ordering: .relaxed))
    let writes = RateState(wholeAt: writes.load(ordering: .relaxed))
    switch limits.rates {
    case .unlimited: return SpentRequests()
    case .shared(let limit):
      // Which of them were writes is not known: they count for both.
      let all = reads.spent(now: now, limit)
      return SpentRequests(all: all, reads: all, writes: all)
    case .separate(let read, let write):
      let (read, write) = (read.map { reads.spent(now: now, $0) } ?? 0, write.map { writes.spent(now: now, $0) } ?? 0)
      return SpentRequests(all: read + write, reads: read, writes: write)
    }
  }

  /// Whether a limiter with these limits would be the same.
  package func has(_ limits: ClientLimits) -> Bool { self.limits == limits }

  /// Takes one request in, or refuses it and takes nothing. Each request that is let in is followed by one `leave`.
  ///
  /// - Parameter now: monotonic nanoseconds.
  package func enter(isWrite: Bool, now: Int64) throws(Rejection) {
    if limits.concurrentMax > 0, underWay.count.add(1, ordering: .relaxed).newValue > limits.concurrentMax {
      leave()
      throw .concurrencyLimited(max: limits.concurrentMax)
    }
    guard let budget = takeRate(isWrite: isWrite, now: now) else { return }
    leave()
    throw .rateLimited(budget)
  }

  /// A request that was let in has come to its end. What it took of a rate budget stays spent.
  package func leave() {
    if limits.concurrentMax > 0 { underWay.count.subtract(1, ordering: .relaxed) }
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

/// Requests by which a client's budgets are smaller than whole.
private struct SpentRequests {
  var all = 0.0
  var reads = 0.0
  var writes = 0.0
}

/// A count that outlives the limiter that began it: requests end after a reload that they began before.
private final class RequestsUnderWay: Sendable {
  let count = Atomic<Int>(0)
}
