/// The deadlines of a loop's registrations: a timing wheel in which postponing is cheap.
///
/// Setting a later deadline only stores a number; the wheel reschedules the entry when the earlier one expires. Keep-alive
/// traffic therefore needs no insertion. Resolution: one tick; a deadline fires at most one tick late.
package struct Deadlines {
  package static let tickMilliseconds: Int64 = 8
  private static let bucketCount = 1024

  private struct Entry {
    var due = Int64.max
    var scheduledTick = Int64.max
  }

  private var entries: [Entry] = []
  private var buckets: [[UInt32]]
  /// One bit per bucket, set if it is not empty.
  private var occupied = [UInt64](repeating: 0, count: bucketCount / 64)
  private var tick: Int64
  private var expiring: [UInt32] = []
  private var expiringIndex = 0

  /// - Parameter now: milliseconds of the monotonic clock.
  package init(now: Int64) {
    tick = now / Self.tickMilliseconds
    buckets = Array(repeating: [], count: Self.bucketCount)
  }

  /// Sets when `id` is due (monotonic milliseconds), replacing its deadline.
  @inline(__always)
  package mutating func set(_ id: UInt32, at due: Int64) {
    let index = Int(id)
    // Almost always the new deadline is later.
    guard index < entries.count, due / Self.tickMilliseconds >= entries[index].scheduledTick else {
      return reschedule(id, at: due)
    }
    entries[index].due = due
  }

  @inline(never)
  private mutating func reschedule(_ id: UInt32, at due: Int64) {
    while entries.count <= Int(id) { entries.append(Entry()) }
    entries[Int(id)].due = due
    guard due != .max else { return }
    // Rounded up without adding to `due`, which may be close to the largest Int64.
    let wanted = max(tick + 1, due / Self.tickMilliseconds + (due % Self.tickMilliseconds > 0 ? 1 : 0))
    // An entry beyond the horizon waits in the last bucket and is rescheduled from there.
    let slot = min(wanted, tick + Int64(Self.bucketCount) - 1)
    if slot < entries[Int(id)].scheduledTick { schedule(id, tick: slot) }
  }

  package mutating func clear(_ id: UInt32) {
    guard Int(id) < entries.count else { return }
    entries[Int(id)].due = .max
  }

  private mutating func schedule(_ id: UInt32, tick slot: Int64) {
    entries[Int(id)].scheduledTick = slot
    let bucket = Int(slot) & (Self.bucketCount - 1)
    buckets[bucket].append(id)
    occupied[bucket >> 6] |= 1 << UInt64(bucket & 63)
  }

  /// Removes and returns the next registration that is due at `now`; nil if there is none.
  package mutating func popDue(now: Int64) -> UInt32? {
    let nowTick = now / Self.tickMilliseconds
    while true {
      while expiringIndex < expiring.count {
        let id = expiring[expiringIndex]
        expiringIndex += 1
        // Scheduled for a later tick: the entry in that tick's bucket counts, not this one.
        guard entries[Int(id)].scheduledTick <= tick else { continue }
        entries[Int(id)].scheduledTick = .max
        let due = entries[Int(id)].due
        if due <= now {
          entries[Int(id)].due = .max
          return id
        }
        if due != .max { reschedule(id, at: due) }
      }
      guard tick < nowTick else { return nil }
      // After a long stall one round over all buckets is enough: it covers every entry.
      tick = max(tick + 1, nowTick - Int64(Self.bucketCount) + 1)
      expire(bucket: Int(tick) & (Self.bucketCount - 1))
    }
  }

  private mutating func expire(bucket: Int) {
    expiring.removeAll(keepingCapacity: true)
    expiringIndex = 0
    swap(&expiring, &buckets[bucket])
    occupied[bucket >> 6] &= ~(1 << UInt64(bucket & 63))
  }

  /// Milliseconds until the next tick with an entry; nil if nothing is scheduled.
  package func untilNext(now: Int64) -> Int64? {
    let first = Int(tick + 1)
    var distance = 0
    while distance < Self.bucketCount {
      let bucket = (first + distance) & (Self.bucketCount - 1)
      let word = occupied[bucket >> 6] >> UInt64(bucket & 63)
      if word != 0 {
        let next = tick + 1 + Int64(distance + word.trailingZeroBitCount)
        return max(0, next * Self.tickMilliseconds - now)
      }
      distance += 64 - (bucket & 63)
    }
    return nil
  }
}
