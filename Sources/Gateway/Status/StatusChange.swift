import Counters

/// A part of a status, and the same part of an earlier one.
@dynamicMemberLookup
struct StatusChange<Value> {
  let now: Value
  /// nil: the earlier status did not have it.
  let before: Value?
  /// Between the two; nil: there is no earlier status.
  let seconds: Double?

  subscript<Member>(dynamicMember path: KeyPath<Value, Member>) -> Member { now[keyPath: path] }

  /// The members of a list, each with the one of the same name in the earlier status.
  func rows<Row>(_ list: (Value) -> [Row], by name: (Row) -> String) -> [StatusChange<Row>] {
    let earlier = Dictionary(before.map(list)?.map { (name($0), $0) } ?? []) { first, _ in first }
    return list(now).map { StatusChange<Row>(now: $0, before: earlier[name($0)], seconds: seconds) }
  }

  /// How much a count grows per second.
  func rate(_ count: (Value) -> Int?) -> String? {
    guard let seconds, let new = count(now) else { return nil }
    let old = before.flatMap(count) ?? 0
    return StatusText.decimal(max(0, Double(new) - Double(old)) / seconds)
  }

  /// A count with its rate.
  func total(_ count: (Value) -> Int) -> String {
    "\(count(now))" + (rate(count).map { ", \($0) per s" } ?? "")
  }
}

extension StatusChange<InstanceStatus> {
  /// Of the time between the two readings, in milliseconds.
  func percentile(_ share: Double) -> String? {
    var counts = now.upstreamMs?.boundedCounts ?? []
    for (index, count) in (before?.upstreamMs?.boundedCounts ?? []).enumerated() where index < counts.count {
      counts[index] = max(0, counts[index] - count)
    }
    return DurationBounds.quantile(share, of: counts).map(StatusText.decimal)
  }
}

extension InstanceStatus.Latency {
  /// Clamped so that sums of counts from a hostile sender cannot overflow.
  fileprivate var boundedCounts: [Int] { counts.map { min(max(0, $0), 1 << 50) } }
}
