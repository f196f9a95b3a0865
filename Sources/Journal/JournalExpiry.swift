import Digests
import System

extension JournalWorker {
  private static let carriedMax = 1_000

  /// Retires the segments whose keys are all older than the TTL, the oldest first: a segment with a release must not be
  /// removed before the one with the claim.
  mutating func expire() {
    writer.updateAges()
    if let last = writer.segments.last, writer.isCurrent(last), last.hasRecords, hasExpired(last) { writer.rotate() }
    while let first = writer.segments.first, !writer.isCurrent(first), hasExpired(first) {
      guard carryForward(first), removeKeys(of: first) else { return }
      retired.append(writer.dropFirst())
      keys.withLock { $0.scopes.forgetBytes(in: first.id) }
    }
  }

  private func hasExpired(_ segment: JournalSegment) -> Bool {
    writer.age(of: segment).map { $0 > ttlMicroseconds } ?? false
  }

  // MARK: Unknown keys

  /// Copies the claims without an outcome to the current segment; false if that failed.
  private mutating func carryForward(_ segment: JournalSegment) -> Bool {
    var reader = RecordReader(writer.folder, writer.faults)
    for shard in 0..<KeyIndex.shardCount {
      let entries = keys.withLock { table in table.unknownKeys(inShard: shard, of: segment.id) }
      for start in stride(from: 0, to: entries.count, by: Self.carriedMax) {
        var batch: [Carried] = []
        for entry in entries[start..<min(start + Self.carriedMax, entries.count)] {
          guard let (_, stored) = record(of: nil, entry, &reader) else {
            reportBlocked(segment)
            return false
          }
          batch.append(carried(stored, in: segment, from: entry.location))
        }
        guard carry(batch) else { return false }
      }
    }
    let inFlight = keys.withLock { table in
      table.inFlight.filter { $0.value.location?.segment == segment.id }.map { ($0.key, $0.value) }
    }
    return carry(inFlight.compactMap { digest, key in carried(digest, key) })
  }

  /// A claim to be copied, and where it is now.
  struct Carried: Sendable {
    let entry: JournalEntry
    let from: KeyLocation
  }

  func carried(
    _ stored: StoredRecord, in segment: JournalSegment, from location: KeyLocation
  ) -> Carried {
    let record = stored.record
    let age = writer.age(of: record, in: segment) ?? 0
    return Carried(
      entry: JournalEntry(
        kind: .carried, wallMicroseconds: record.wallMicroseconds, bootMicroseconds: writer.ages.now &- age,
        digest: record.digest, write: stored.write),
      from: location)
  }

  /// A claim in flight; nil if it is not on disk yet.
  func carried(_ digest: Digest, _ key: JournalTable.InFlight) -> Carried? {
    key.location.map { location in
      Carried(
        entry: JournalEntry(
          kind: .carried, wallMicroseconds: key.wallMicroseconds, bootMicroseconds: writer.ages.now, digest: digest,
          write: key.write),
        from: location)
    }
  }

  private mutating func carry(_ batch: [Carried]) -> Bool {
    guard !batch.isEmpty else { return true }
    do throws(Errno) {
      let locations = try writer.write(batch.map { JournalWriter.Pending(entry: $0.entry) })
      keys.withLock { table in
        for (carried, location) in zip(batch, locations) {
          table.relocate(carried.entry.digest, from: carried.from, to: location)
        }
      }
      return true
    } catch {
      return false
    }
  }

  private mutating func reportBlocked(_ segment: JournalSegment) {
    guard blocked.insert(segment.id).inserted else { return }
    report(
      "idempotency: \(writer.folder.path(of: segment.keysName)) stays beyond the TTL: a key in it whose outcome is "
        + "unknown cannot be read")
  }

  // MARK: Removal

  /// Removes the keys with an outcome in the segment; false if other keys refer to it.
  private func removeKeys(of segment: JournalSegment) -> Bool {
    for shard in 0..<KeyIndex.shardCount {
      keys.withLock { table in
        for name in table.settledKeys(inShard: shard, of: segment.id) { table.remove(name) }
      }
    }
    return keys.withLock { table in
      (0..<KeyIndex.shardCount).allSatisfy { table.unknownKeys(inShard: $0, of: segment.id).isEmpty }
        && table.inFlight.allSatisfy { $0.value.location?.segment != segment.id }
    }
  }
}

extension JournalTable {
  fileprivate func unknownKeys(inShard shard: Int, of segment: UInt32) -> [KeyIndex.Entry] {
    guard index.count(.unknown) > 0 else { return [] }
    var entries: [KeyIndex.Entry] = []
    index.forEach(inShard: shard) { _, entry in
      if entry.state == .unknown, entry.location.segment == segment { entries.append(entry) }
    }
    return entries
  }

  fileprivate func settledKeys(inShard shard: Int, of segment: UInt32) -> [KeyIndex.Name] {
    var names: [KeyIndex.Name] = []
    index.forEach(inShard: shard) { name, entry in
      if entry.state != .unknown, entry.location.segment == segment { names.append(name) }
    }
    return names
  }
}
