/// Decides when to return the memory that a burst of requests has left behind to the system: it stays resident, because
/// glibc keeps what is freed, and loops keep buffers.
///
/// Returning it takes glibc's locks for some milliseconds, in which a loop that allocates waits. So it waits until there
/// is much to return and the process is nearly idle.
struct BurstMemory {
  /// Less than that is kept: loops would soon need it again.
  private static let growthBytesMin = 6 << 20
  /// Of one processor.
  private static let idleShareMax = 0.05

  /// The least resident bytes since the last release.
  private var floorBytes: Int?
  private var last: (nanoseconds: Int64, processorNanoseconds: Int64)?

  /// - Parameter residentBytes: at the start; nil: unknown.
  init(residentBytes: Int?) { floorBytes = residentBytes }

  /// Whether to release now.
  ///
  /// - Parameters:
  ///   - residentBytes: those that no file backs.
  ///   - now: monotonic nanoseconds.
  ///   - processorNanoseconds: the processor time of the process so far.
  mutating func isReleaseDue(residentBytes: Int, now: Int64, processorNanoseconds: Int64) -> Bool {
    defer { last = (now, processorNanoseconds) }
    let floor = min(floorBytes ?? residentBytes, residentBytes)
    floorBytes = floor
    guard let last, now > last.nanoseconds else { return false }
    let share = Double(processorNanoseconds - last.processorNanoseconds) / Double(now - last.nanoseconds)
    return residentBytes - floor >= Self.growthBytesMin && share <= Self.idleShareMax
  }

  /// What was not returned is in use.
  mutating func released(residentBytes: Int) { floorBytes = residentBytes }
}
