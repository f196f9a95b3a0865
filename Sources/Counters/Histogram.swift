/// How often durations were within each of a few bounds, and their sum; written by one thread.
public final class Histogram: Sendable {
  @usableFromInline let counts = InlineArray<19, Counter> { _ in Counter() }
  @usableFromInline let nanoseconds = Counter()

  package init() {}

  /// - Parameter duration: nanoseconds; less than nothing counts as nothing.
  @inlinable @inline(__always)
  public func observe(_ duration: Int64) {
    let duration = max(Int(duration), 0)
    counts[DurationBounds.place(of: duration)].add()
    nanoseconds.add(duration)
  }

  package var reading: HistogramReading {
    var reading = HistogramReading()
    for place in reading.counts.indices { reading.counts[place] = counts[place].now }
    reading.nanoseconds = nanoseconds.now
    return reading
  }
}

/// What histograms of the same bounds have counted.
package struct HistogramReading: Equatable, Sendable {
  /// For each of `DurationBounds.all`, and one for what is longer; not summed up.
  package fileprivate(set) var counts = [Int](repeating: 0, count: DurationBounds.all.count + 1)
  package fileprivate(set) var nanoseconds = 0

  package init() {}

  package var total: Int { counts.reduce(0, +) }

  package static func += (left: inout HistogramReading, right: HistogramReading) {
    for place in left.counts.indices { left.counts[place] += right.counts[place] }
    left.nanoseconds += right.nanoseconds
  }
}

/// The bounds of every histogram: 100 µs to 60 s, about two and a half apart.
public enum DurationBounds {
  /// Each with its nanoseconds and its text in seconds.
  package static let all: [(nanoseconds: Int, seconds: String)] = [
    (100_000, "0.0001"), (250_000, "0.00025"), (500_000, "0.0005"), (1_000_000, "0.001"), (2_500_000, "0.0025"),
    (5_000_000, "0.005"), (10_000_000, "0.01"), (25_000_000, "0.025"), (50_000_000, "0.05"), (100_000_000, "0.1"),
    (250_000_000, "0.25"), (500_000_000, "0.5"), (1_000_000_000, "1"), (2_500_000_000, "2.5"), (5_000_000_000, "5"),
    (10_000_000_000, "10"), (30_000_000_000, "30"), (60_000_000_000, "60"),
  ]

  /// The first bound that is not below the duration, or the place behind all of them.
  @usableFromInline
  static func place(of nanoseconds: Int) -> Int {
    // Written out, because reading an array would cost more than all comparisons.
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
