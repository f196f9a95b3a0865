import Synchronization

/// The state of one client's limits, shared by all loops: its rate budgets and its number of requests in progress.
///
/// The only state on the request path that several loops write, and only for clients with limits. A reload keeps it if
/// the limits are unchanged. New limits take effect at once and do not refill a budget.
package final class ClientLimiter: Sendable {
  private let limits: ClientLimits
  /// For reads, or for all requests if they share one budget.
  private let reads: Atomic<Int64>
  private let writes: Atomic<Int64>
  private let inProgress: RequestsInProgress

  /// - Parameters:
  ///   - previous: the client's limiter so far. Its requests in progress stay counted, and its spent requests are spent
  ///     here, too, at the new rate.
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
    reads = Atomic(states.reads.fullAt)
    writes = Atomic(states.writes.fullAt)
    inProgress = previous?.inProgress ?? RequestsInProgress()
  }

  /// Requests that the budgets have not regained yet, at most a full burst each.
  private func spent(now: Int64) -> SpentRequests {
    let reads = RateState(fullAt: reads.load(ordering: .relaxed))
    let writes = RateState(fullAt: writes.load(ordering: .relaxed))
    switch limits.rates {
    case .unlimited: return SpentRequests()
    case .shared(let limit):
      // How many of them were writes is unknown, so they count for both.
      let all = reads.spent(now: now, limit)
      return SpentRequests(all: all, reads: all, writes: all)
    case .separate(let read, let write):
      let (read, write) = (read.map { reads.spent(now: now, $0) } ?? 0, write.map { writes.spent(now: now, $0) } ?? 0)
      return SpentRequests(all: read + write, reads: read, writes: write)
    }
  }

  /// Whether its limits are exactly these.
  package func has(_ limits: ClientLimits) -> Bool { self.limits == limits }

  /// Admits one request, or rejects it and takes nothing from a budget. Call `leave` once for each admitted request.
  ///
  /// - Parameter now: monotonic nanoseconds.
  package func enter(isWrite: Bool, now: Int64) throws(Rejection) {
    if limits.concurrentMax > 0, inProgress.count.add(1, ordering: .relaxed).newValue > limits.concurrentMax {
      leave()
      throw .concurrencyLimited(max: limits.concurrentMax)
    }
    guard let budget = takeRate(isWrite: isWrite, now: now) else { return }
    leave()
    throw .rateLimited(budget)
  }

  /// Ends an admitted request. What it took from a rate budget stays spent.
  package func leave() {
    if limits.concurrentMax > 0 { inProgress.count.subtract(1, ordering: .relaxed) }
  }

  /// Takes one request from its budget. Returns the budget if it is exhausted, nil if the request fits.
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
      var state = RateState(fullAt: old)
      if let wait = state.take(now: now, limit) { return RateBudget(name, of: limit, nanoseconds: wait) }
      let (exchanged, current) = word.weakCompareExchange(expected: old, desired: state.fullAt, ordering: .relaxed)
      if exchanged { return nil }
      old = current
    }
  }
}

/// The requests that are missing from a client's budgets.
private struct SpentRequests {
  var all = 0.0
  var reads = 0.0
  var writes = 0.0
}

/// A count that outlives its limiter: requests can start before a reload and end after it.
private final class RequestsInProgress: Sendable {
  let count = Atomic<Int>(0)
}
