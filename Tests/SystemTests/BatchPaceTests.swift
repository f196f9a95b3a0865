import Testing

@testable import System

@Suite struct BatchPaceTests {
  private let millisecond: Int64 = 1_000_000

  @Test func `a single writer is never waited for`() {
    var pace = BatchPace(patienceMax: 16)
    for _ in 0..<100 {
      #expect(pace.expected == 1)
      pace.gathered(1)
      pace.wrote(1, waiting: 0, in: millisecond)
    }
    // When a second one comes, the time limit starts at its least.
    pace.wrote(1, waiting: 1, in: millisecond)
    #expect(pace.expected == 2 && pace.nanoseconds == millisecond / 8)
  }

  /// Half of them wait while the disk works for the others: the next batch should have all.
  @Test func `writers that come back at once are expected, and get up to twice the time of the disk`() {
    var pace = BatchPace(patienceMax: 16)
    pace.wrote(4, waiting: 4, in: millisecond)
    for _ in 0..<10 {
      #expect(pace.expected == 8)
      pace.gathered(8)
      pace.wrote(8, waiting: 0, in: millisecond)
    }
    #expect(pace.nanoseconds == 2 * millisecond)
  }

  @Test func `the longest time limit is what its owner allows`() {
    var pace = BatchPace(patienceMax: 1)
    pace.wrote(8, waiting: 0, in: millisecond)
    for _ in 0..<10 { pace.gathered(8) }
    #expect(pace.nanoseconds == millisecond / 8)
  }

  @Test func `writers that do not come back are soon hardly waited for`() {
    var pace = BatchPace(patienceMax: 16)
    pace.wrote(8, waiting: 0, in: millisecond)
    for _ in 0..<10 { pace.gathered(8) }
    for _ in 0..<10 { pace.gathered(1) }
    #expect(pace.nanoseconds == millisecond / 8)
    // A few late ones change nothing.
    pace.gathered(6)
    #expect(pace.nanoseconds == millisecond / 8)
  }

  @Test func `a slow disk does not make them wait longer than 2 ms`() {
    var pace = BatchPace(patienceMax: 16)
    pace.wrote(8, waiting: 0, in: 1_000 * millisecond)
    for _ in 0..<10 { pace.gathered(8) }
    #expect(pace.nanoseconds == 2 * millisecond)
  }

  @Test func `the time of the disk follows what it takes lately`() {
    var pace = BatchPace(patienceMax: 16)
    pace.wrote(2, waiting: 0, in: 8 * millisecond)
    for _ in 0..<40 { pace.wrote(2, waiting: 0, in: millisecond) }
    #expect(pace.nanoseconds > millisecond / 9 && pace.nanoseconds < millisecond / 7)
  }
}
