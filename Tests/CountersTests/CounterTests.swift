import Foundation
import Synchronization
import Testing

@testable import Counters

@Suite struct CounterTests {
  @Test func `a reader on another thread sees a count that only grows, and finally the total`() {
    let counter = RequestCounter()
    let isDone = Atomic<Bool>(false)
    let ended = DispatchSemaphore(value: 0)
    let falls = Atomic<Int>(0)
    Thread {
      var last = 0
      while !isDone.load(ordering: .acquiring) {
        let now = counter.reading[2]
        if now < last { falls.add(1, ordering: .relaxed) }
        last = now
      }
      ended.signal()
    }.start()
    for _ in 0..<1_000_000 { counter.count(status: 200) }
    isDone.store(true, ordering: .releasing)
    ended.wait()
    #expect(falls.load(ordering: .relaxed) == 0)
    #expect(counter.reading == [0, 0, 1_000_000, 0, 0, 0])
  }

  static let classes: [(Int, Int)] = [
    (0, 0), (-1, 0), (-200, 0), (99, 0), (100, 1), (199, 1), (200, 2), (204, 2), (304, 3), (404, 4), (499, 4),
    (500, 5), (599, 5), (600, 0), (.max, 0), (.min, 0),
  ]

  @Test(arguments: classes) func `a status is counted in its class`(status: Int, index: Int) {
    let counter = RequestCounter()
    counter.count(status: status)
    #expect(counter.reading.enumerated().allSatisfy { $0.element == ($0.offset == index ? 1 : 0) })
    #expect(RequestCounter.classes.count == counter.reading.count)
  }

  @Test func `a duration is counted at the first bound that is not below it`() {
    for (index, bound) in DurationBounds.all.enumerated() {
      #expect(DurationBounds.index(of: bound.nanoseconds) == index)
      #expect(DurationBounds.index(of: bound.nanoseconds + 1) == index + 1)
      #expect(Double(bound.seconds).map { Int(($0 * 1e9).rounded()) } == bound.nanoseconds)
    }
    #expect(DurationBounds.index(of: 0) == 0 && DurationBounds.index(of: .max) == DurationBounds.all.count)
  }

  @Test func `a histogram keeps the count and the sum, and readings add up`() {
    let (one, other) = (Histogram(), Histogram())
    for duration in [-5, 0, 100_000, 100_001, 59_000_000_000, 61_000_000_000] as [Int64] { one.observe(duration) }
    other.observe(7)
    var sum = one.reading
    sum += other.reading
    #expect(sum.total == 7 && sum.counts[0] == 4 && sum.counts[1] == 1)
    #expect(sum.counts[17] == 1 && sum.counts[18] == 1)
    #expect(sum.nanoseconds == 120_000_200_008)
  }

  private static func counts(_ counts: [Int: Int]) -> [Int] { (0..<19).map { counts[$0] ?? 0 } }

  static let quantiles: [(Double, [Int: Int], Double?)] = [
    (0.5, [:], nil), (0.5, [0: 1], 0.05), (0.5, [3: 10], 0.75), (0.99, [3: 99, 9: 1], 1.0), (1, [3: 99, 9: 1], 100),
    (0.5, [18: 4], 60_000), (0.9, [0: 9, 17: 1], 0.1),
  ]

  @Test(arguments: quantiles) func `a quantile is interpolated between two bounds`(
    share: Double, counts: [Int: Int], expected: Double?
  ) {
    let quantile = DurationBounds.quantile(share, of: Self.counts(counts))
    #expect(
      (quantile == nil) == (expected == nil) && abs((quantile ?? 0) - (expected ?? 0)) < 1e-6, "\(quantile ?? -1)")
  }

  @Test func `counts of other bounds have no quantile`() {
    #expect(DurationBounds.quantile(0.5, of: [1, 2, 3]) == nil)
  }
}
