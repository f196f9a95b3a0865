/// The wall clock, as far as the time since the machine's start confirms it, to judge what has expired: late rather
/// than early.
///
/// A wall clock that jumps ahead is not believed until it has kept that time for a day, because what is dropped by
/// mistake would be missing after the clock is corrected. One that is set back is believed at once.
struct ConfirmedClock {
  /// Wall time minus time since the start (seconds).
  private var offset: Int64
  /// A clock that has jumped ahead.
  private var jump: Jump?

  private struct Jump {
    let offset: Int64
    /// Since the machine's start (seconds).
    let seenAt: Int64
  }

  /// How far the clocks may drift apart between two readings, and by a correction that is not a jump.
  private static let toleranceSeconds: Int64 = 5
  private static let confirmationSeconds: Int64 = 86_400

  /// - Parameters:
  ///   - wall: seconds since 1970.
  ///   - boot: seconds since the machine's start.
  init(wall: Int64, boot: Int64) { offset = wall - boot }

  /// Compares the clocks.
  ///
  /// - Returns: whether the wall clock was set back: it may have been wrong before.
  mutating func read(wall: Int64, boot: Int64) -> Bool {
    let new = wall - boot
    guard new <= offset + Self.toleranceSeconds else {
      if let jump, abs(new - jump.offset) <= Self.toleranceSeconds {
        if boot - jump.seenAt >= Self.confirmationSeconds { (offset, self.jump) = (new, nil) }
      } else {
        jump = Jump(offset: new, seenAt: boot)
      }
      return false
    }
    defer { (offset, jump) = (new, nil) }
    return new < offset - Self.toleranceSeconds
  }

  /// The time that is certain at least (seconds since 1970).
  func now(boot: Int64) -> Int64 { offset + boot }
}
