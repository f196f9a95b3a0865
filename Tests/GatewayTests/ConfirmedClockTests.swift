import Testing

@testable import Gateway

/// A wall clock that someone sets, next to the time since the machine's start.
@Suite struct ConfirmedClockTests {
  private static let day: Int64 = 86_400

  @Test func `follows a wall clock that runs, and small corrections`() {
    var clock = ConfirmedClock(wall: 1_000_000, boot: 100)
    for (wall, boot) in [(1_000_050, 150), (1_000_203, 300), (1_000_298, 400)] as [(Int64, Int64)] {
      #expect(clock.read(wall: wall, boot: boot) == false)
      #expect(clock.now(boot: boot) == wall)
    }
  }

  @Test func `does not believe a clock that jumps ahead before a day has passed`() {
    var clock = ConfirmedClock(wall: 1_000_000, boot: 0)
    for boot in stride(from: Int64(1), through: Self.day, by: 60) {
      #expect(clock.read(wall: 1_000_000 + 40 * Self.day + boot, boot: boot) == false)
      #expect(clock.now(boot: boot) == 1_000_000 + boot)
    }
    // It comes back, as if nothing had been, and another jump has to wait for another day.
    #expect(clock.read(wall: 1_000_000 + Self.day, boot: Self.day) == false)
    #expect(clock.read(wall: 1_000_000 + 41 * Self.day + 1, boot: Self.day + 1) == false)
    #expect(clock.now(boot: Self.day + 1) == 1_000_000 + Self.day + 1)
    let later = 2 * Self.day + 1
    #expect(clock.read(wall: 1_000_000 + 40 * Self.day + later, boot: later) == false)
    #expect(clock.now(boot: later) == 1_000_000 + 40 * Self.day + later)
  }

  @Test func `a clock that jumps again and again is never believed`() {
    var clock = ConfirmedClock(wall: 1_000_000, boot: 0)
    for boot in stride(from: Int64(1), through: 10 * Self.day, by: 3_600) {
      #expect(clock.read(wall: 1_000_000 + 100 * boot + 6, boot: boot) == false)
      #expect(clock.now(boot: boot) == 1_000_000 + boot)
    }
  }

  @Test func `believes a clock that is set back at once, and says so`() {
    var clock = ConfirmedClock(wall: 10 * Self.day, boot: 0)
    #expect(clock.read(wall: Self.day, boot: 1) == true)
    #expect(clock.now(boot: 1) == Self.day)
    #expect(clock.read(wall: Self.day + 1, boot: 2) == false)
    #expect(clock.now(boot: 2) == Self.day + 1)
  }
}
