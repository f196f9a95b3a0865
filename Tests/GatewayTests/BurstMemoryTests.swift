import Testing

@testable import Gateway

@Suite struct BurstMemoryTests {
  private static let second: Int64 = 1_000_000_000

  /// Readings every 5 seconds: resident megabytes, and how much of the time the process ran, in percent.
  private func releases(atStart start: Int? = 10, _ readings: [(megabytes: Int, percent: Int64)]) -> [Bool] {
    var burst = BurstMemory(residentBytes: start.map { $0 << 20 })
    var (now, processor) = (700 * Self.second, Self.second)
    return readings.map { megabytes, percent in
      now += 5 * Self.second
      processor += 5 * Self.second * percent / 100
      return burst.isReleaseDue(residentBytes: megabytes << 20, now: now, processorNanoseconds: processor)
    }
  }

  @Test func `memory of a burst is released in the first interval with little work`() {
    #expect(releases([(10, 0), (500, 80), (500, 6), (500, 4)]) == [false, false, false, true])
  }

  @Test func `the work before the first reading is unknown`() {
    #expect(releases([(500, 0), (500, 0)]) == [false, true])
  }

  @Test func `a little more memory is kept`() {
    #expect(releases([(10, 0), (15, 0), (15, 0), (16, 0)]) == [false, false, false, true])
  }

  @Test func `growth counts from the least memory seen`() {
    #expect(releases(atStart: 500, [(500, 0), (20, 0), (25, 0), (26, 0)]) == [false, false, false, true])
    #expect(releases(atStart: nil, [(20, 0), (25, 0), (26, 0)]) == [false, false, true])
  }

  @Test func `what a release has not returned is in use`() {
    var burst = BurstMemory(residentBytes: 0)
    var dues: [Bool] = []
    for turn in 1...4 {
      let isDue = burst.isReleaseDue(
        residentBytes: 100 << 20, now: Int64(turn) * Self.second, processorNanoseconds: 0)
      if isDue { burst.released(residentBytes: 95 << 20) }
      dues.append(isDue)
    }
    #expect(dues == [false, true, false, false])
  }
}
