import System

/// The clocks of the journal, which tests replace.
struct JournalClocks: Sendable {
  var wallMicroseconds: @Sendable () -> Int64 = { SystemClock.wallMicroseconds }
  /// CLOCK_BOOTTIME.
  var bootMicroseconds: @Sendable () -> Int64 = { SystemClock.bootMicroseconds }
  var boot = Self.currentBoot

  private static var currentBoot: BootID {
    let text = try? InputFile(path: "/proc/sys/kernel/random/boot_id").read(64)
    return BootID(text ?? [])
  }
}

/// How old records are, whatever happens to the wall clock.
///
/// Within a boot of the system, CLOCK_BOOTTIME gives the age. For a record of another boot, the wall clock gives the age at
/// the start of this run, and CLOCK_BOOTTIME gives the time since then. The wall clock may be wrong for a while, so the
/// latest time that it gave in the other boot counts, and the earliest one of this boot.
struct JournalAges: Sendable {
  private let boot: BootID
  private let startedAt: Int64
  /// The earliest time that the wall clock gave for the start of this run.
  private var earliestStart: Int64
  private(set) var now: Int64

  /// The time after the start in which no record of another boot expires: the wall clock may not be set yet.
  static let settlingMicroseconds: Int64 = 600_000_000

  /// - Parameter earliestOffset: the smallest difference of wall clock and CLOCK_BOOTTIME seen in this boot; nil: none.
  init(_ clocks: JournalClocks, earliestOffset: Int64? = nil) {
    boot = clocks.boot
    startedAt = clocks.bootMicroseconds()
    now = startedAt
    earliestStart = min(clocks.wallMicroseconds(), earliestOffset.map { [startedAt] in $0 &+ startedAt } ?? .max)
  }

  /// Microseconds since the start of this run.
  var elapsed: Int64 { now - startedAt }

  /// Reads the clocks.
  mutating func update(_ clocks: JournalClocks) {
    now = max(now, clocks.bootMicroseconds())
    earliestStart = min(earliestStart, clocks.wallMicroseconds() - (now - startedAt))
  }

  /// The age in microseconds, never more than the true one; nil if it is not certain yet.
  func age(of wall: Int64, _ bootTime: Int64, in other: BootID) -> Int64? {
    // The times of a file that was made up must not trap.
    if boot.isSame(as: other) { return max(0, now &- bootTime) }
    guard now - startedAt >= Self.settlingMicroseconds else { return nil }
    return max(0, earliestStart &- wall) &+ (now - startedAt)
  }
}
