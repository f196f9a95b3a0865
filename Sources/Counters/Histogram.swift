/// A histogram of durations with fixed bounds, and their sum; written by one thread.
public final class Histogram: Sendable {
  @usableFromInline let counts = InlineArray<19, Counter> { _ in Counter() }
  @usableFromInline let nanoseconds = Counter()

  package init() {}

  /// - Parameter duration: nanoseconds; a negative value counts as 0.
  @inlinable @inline(__always)
  public func observe(_ duration: Int64) {
    let duration = max(Int(duration), 0)
    counts[DurationBounds.index(of: duration)].add()
    nanoseconds.add(duration)
  }

  package var reading: HistogramReading {
    var reading = HistogramReading()
    for index in reading.counts.indices { reading.counts[index] = counts[index].current }
    reading.nanoseconds = nanoseconds.current
    return reading
  }
}

/// The values of one or more histograms, read once.
package struct HistogramReading: Equatable, Sendable {
  /// One count per bound in `DurationBounds.all`, then one for longer durations; not cumulative.
  package fileprivate(set) var counts = [Int](repeating: 0, count: DurationBounds.all.count + 1)
  package fileprivate(set) var nanoseconds = 0

  package init() {}

  package var total: Int { counts.reduce(0, +) }

  package static func += (left: inout HistogramReading, right: HistogramReading) {
    for index in left.counts.indices { left.counts[index] += right.counts[index] }
    left.nanoseconds += right.nanoseconds
  }
}

/// The bounds of every histogram: 100 µs to 60 s, each about 2.5 times the one before.
public enum DurationBounds {
  /// Each bound in nanoseconds, and as text in seconds.
  package static let all: [(nanoseconds: Int, seconds: String)] = [
    (100_000, "0.0001"), (250_000, "0.00025"), (500_000, "0.0005"), (1_000_000, "0.001"), (2_500_000, "0.0025"),
    (5_000_000, "0.005"), (10_000_000, "0.01"), (25_000_000, "0.025"), (50_000_000, "0.05"), (100_000_000, "0.1"),
    (250_000_000, "0.25"), (500_000_000, "0.5"), (1_000_000_000, "1"), (2_500_000_000, "2.5"), (5_000_000_000, "5"),
    (10_000_000_000, "10"), (30_000_000_000, "30"), (60_000_000_000, "60"),
  ]

  /// The duration that a share of those counted do not exceed, in milliseconds, interpolated between two bounds; nil if
  /// nothing was counted.
  ///
  /// - Parameters:
  ///   - share: such as 0.99.
  ///   - counts: one per bound, then one for longer durations, which count as the last bound.
  package static func quantile(_ share: Double, of counts: [Int]) -> Double? {
    let total = counts.reduce(0, +)
    guard total > 0, counts.count == all.count + 1 else { return nil }
    var (rest, lower) = (share * Double(total), 0.0)
    for (count, bound) in zip(counts, all) {
      let upper = Double(bound.nanoseconds) / 1_000_000
      if count > 0, rest <= Double(count) { return lower + (upper - lower) * rest / Double(count) }
      rest -= Double(count)
      lower = upper
    }
    return lower
  }

  /// The index of the first bound that is not below the duration; the number of bounds if there is none.
  @usableFromInline
  static func index(of nanoseconds: Int) -> Int {
    // Written out: reading an array would cost more than all comparisons.
    switch nanoseconds {
    case ...1_000_000: nanoseconds <= 100_000 ? 0 : nanoseconds <= 250_000 ? 1 : nanoseconds <= 500_000 ? 2 : 3
    case ...10_000_000: nanoseconds <= 2_500_000 ? 4 : nanoseconds <= 5_000_000 ? 5 : 6
    case ...100_000_000: nanoseconds <= 25_000_000 ? 7 : nanoseconds <= 50_000_000 ? 8 : 9
    case ...1_000_000_000: nanoseconds <= 250_000_000 ? 10 : nanoseconds <= 500_000_000 ? 11 : 12
    case ...10_000_000_000: nanoseconds <= 2_500_000_000 ? 13 : nanoseconds <= 5_000_000_000 ? 14 : 15
    case ...60_000_000_000: nanoseconds <= 30_000_000_000 ? 16 : 17
    default: 18
    }
  }
}
