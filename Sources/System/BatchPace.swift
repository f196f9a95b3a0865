/// How long the thread of a log waits for more entries before it makes a batch of them durable.
///
/// Writers that got their answers with one batch often write again at once. If the next batch waits for them, it has twice as
/// many entries as without, and the disk and the threads work half as often for each. Writers that do not come teach the
/// thread not to wait: the time limit is halved each time that most are missing, and doubled each time that all of several
/// came.
package struct BatchPace: Sendable {
  /// The entries that the next batch should have: of all that wrote lately.
  package private(set) var expected = 1
  /// How long the disk takes for a batch, lately.
  private var batchNanoseconds: Int64 = 0
  /// The time limit in eighths of that.
  private var patience: Int64 = least

  private let patienceMax: Int64
  private static let least: Int64 = 1
  /// A slow disk does not make writers wait longer than this.
  private static let nanosecondsMax: Int64 = 2_000_000

  /// - Parameter patienceMax: the longest time limit, in eighths of the disk's time for a batch.
  package init(patienceMax: Int64) { self.patienceMax = patienceMax }

  /// The time limit for gathering.
  package var nanoseconds: Int64 { min(batchNanoseconds / 8 * patience, Self.nanosecondsMax) }

  /// - Parameter count: how many entries the batch has after gathering.
  package mutating func gathered(_ count: Int) {
    // A single writer shows nothing about others.
    guard expected > 1 else { return }
    if count >= expected {
      patience = min(2 * patience, patienceMax)
    } else if 2 * count < expected {
      patience = max(patience / 2, Self.least)
    }
  }

  /// - Parameters:
  ///   - count: the entries of the batch that was made durable.
  ///   - waiting: the entries that have arrived meanwhile.
  ///   - nanoseconds: how long it took.
  package mutating func wrote(_ count: Int, waiting: Int, in nanoseconds: Int64) {
    expected = max(1, count + waiting)
    batchNanoseconds = batchNanoseconds == 0 ? nanoseconds : (3 * batchNanoseconds + nanoseconds) / 4
  }
}
