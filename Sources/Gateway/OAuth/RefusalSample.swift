/// Which refusals of unknown callers go into the audit log: one of them can cause a million a minute,
/// and must neither fill the disk nor displace the entries of clients.
///
/// One loop writes 20 at once, and one more each second.
struct RefusalSample {
  private static let burst: Int64 = 20
  private static let millisecondsEach: Int64 = 1_000

  /// Monotonic milliseconds when all are free again.
  private var fullAt: Int64 = 0
  private var omitted = 0

  /// - Returns: how many were left out since the last one; nil: this one is left out, too.
  mutating func take(now: Int64) -> Int? {
    guard fullAt - now <= Self.millisecondsEach * (Self.burst - 1) else {
      omitted += 1
      return nil
    }
    fullAt = max(fullAt, now) + Self.millisecondsEach
    defer { omitted = 0 }
    return omitted
  }
}
