import Digests
import System

/// What the journal's thread does in a turn: writes, then reads, then commands of operators, then expiry.
struct JournalWorker: Sendable {
  struct Completion: Sendable {
    let waiter: JournalWork.Waiter
    let result: JournalResult
  }

  let keys: JournalKeys
  var writer: JournalWriter
  let report: @Sendable (String) -> Void
  let ttlMicroseconds: Int64
  /// Segments that are no longer in the table. Reads that were accepted before may still need them, until the next turn.
  var retired: [JournalSegment] = []
  /// What the process that handed over to this one writes; nil if there is none, or it has ended.
  var parent: JournalParent?
  private var lastExpiry: Int64 = 0
  private var lastUnreadableReport: Int64?
  /// Segments whose keys cannot be carried forward, which was reported.
  var blocked: Set<UInt32> = []

  private static let expiryMicroseconds: Int64 = 60_000_000

  init(
    keys: JournalKeys, writer: JournalWriter, parent: JournalParent?, ttlSeconds: Int,
    report: @escaping @Sendable (String) -> Void
  ) {
    self.parent = parent
    self.keys = keys
    self.writer = writer
    self.report = report
    ttlMicroseconds = Int64(ttlSeconds) * 1_000_000
  }

  // MARK: Writes

  /// Makes claims and outcomes durable, and returns their results.
  mutating func commit(_ writes: [JournalWork.Write]) -> [Completion] {
    guard !writes.isEmpty else { return [] }
    let isCurrent = keys.withLock { table in writes.map { table.isCurrent($0) } }
    let (wall, boot) = (writer.clocks.wallMicroseconds(), writer.clocks.bootMicroseconds())
    let batch = zip(writes, isCurrent).compactMap { write, isCurrent in
      isCurrent ? write.pending(wall, boot) : nil
    }
    var locations: [KeyLocation]?
    do throws(Errno) { locations = batch.isEmpty ? [] : try writer.write(batch) } catch {}
    let canWrite = writer.canWrite
    return keys.withLock { [batch, locations] table in
      table.canWrite = canWrite
      var completions: [Completion] = []
      completions.reserveCapacity(writes.count)
      var next = 0
      for (write, isCurrent) in zip(writes, isCurrent) {
        let isDurable = isCurrent && locations != nil
        if isDurable, let locations {
          table.isDurable(write, at: locations[next], byteCount: batch[next].byteCount)
          next += 1
        } else {
          table.failed(write)
        }
        guard let waiter = write.waiter else { continue }
        completions.append(Completion(waiter: waiter, result: isDurable ? .durable : .failed))
      }
      return completions
    }
  }

  // MARK: Reads

  mutating func answer(_ reads: [JournalWork.Read]) -> [Completion] {
    var reader = RecordReader(writer.folder, writer.faults)
    return reads.map { read in Completion(waiter: read.waiter, result: answer(read, &reader)) }
  }

  private mutating func answer(_ read: JournalWork.Read, _ reader: inout RecordReader) -> JournalResult {
    guard let (segment, stored) = record(of: read.write.digest, read.entry, &reader) else { return .unreadable }
    let record = stored.record
    guard record.fingerprint == read.write.fingerprint else { return .reused }
    switch read.entry.state {
    case .unknown:
      return .unknown(
        UnknownWrite(
          requestIDHigh: record.requestIDHigh, requestIDLow: record.requestIDLow,
          wallMicroseconds: record.wallMicroseconds))
    case .notKept:
      return .notKept(
        status: record.status, requestIDHigh: record.requestIDHigh, requestIDLow: record.requestIDLow)
    case .stored:
      guard let body = body(of: stored, in: segment, &reader) else {
        return .notKept(
          status: record.status, requestIDHigh: record.requestIDHigh, requestIDLow: record.requestIDLow)
      }
      var response = StoredResponse(
        status: record.status, fields: stored.fields, body: body, requestIDHigh: record.requestIDHigh,
        requestIDLow: record.requestIDLow)
      response.isReconstructed = record.isReconstructed
      return .stored(response)
    }
  }

  /// The record of a key in the index; nil, and a report, if it cannot be read or is not what the index says.
  mutating func record(
    of digest: Digest?, _ entry: KeyIndex.Entry, _ reader: inout RecordReader
  ) -> (JournalSegment, StoredRecord)? {
    let id = entry.location.segment
    guard let segment = writer.segment(id) ?? retired.first(where: { $0.id == id }) else { return nil }
    let offset = Int(entry.location.offset)
    do throws(Errno) {
      if let stored = try reader.record(of: digest, in: segment, at: offset), stored.record.isOf(entry.state) {
        return (segment, stored)
      }
      reportUnreadable(segment.keysName, "the record at byte \(offset) was changed")
    } catch {
      reportUnreadable(segment.keysName, error.description)
    }
    return nil
  }

  private mutating func body(
    of stored: StoredRecord, in segment: JournalSegment, _ reader: inout RecordReader
  ) -> [UInt8]? {
    do throws(Errno) {
      if let body = try reader.body(of: stored, in: segment) { return body }
      reportUnreadable(
        segment.bodiesName, "the response at byte \(stored.record.body.offset) was changed or is missing")
    } catch {
      reportUnreadable(segment.bodiesName, error.description)
    }
    return nil
  }

  /// At most once a minute.
  private mutating func reportUnreadable(_ name: String, _ reason: String) {
    let now = writer.clocks.bootMicroseconds()
    if let last = lastUnreadableReport, now - last < 60_000_000 { return }
    lastUnreadableReport = now
    report(
      "idempotency: cannot read \(writer.folder.path(of: name)): \(reason); "
        + "its keys stay claimed, and their requests are rejected with 409")
  }

  // MARK: Expiry

  /// Once a minute, by a clock that no one sets.
  mutating func expireIfDue() {
    let now = writer.clocks.bootMicroseconds()
    guard now - lastExpiry >= Self.expiryMicroseconds || lastExpiry == 0 else { return }
    // Two processes use the folder, and neither knows all keys.
    guard parent == nil, !keys.withLock({ $0.isHandedOver }) else { return }
    lastExpiry = now
    expire()
  }

  /// Removes the files of segments that were retired in an earlier turn.
  mutating func removeRetired() {
    for segment in retired { writer.remove(segment) }
    retired = []
  }
}

extension JournalWork.Write {
  var waiter: JournalWork.Waiter? {
    switch self {
    case .claim(_, let waiter): waiter
    case .outcome(_, _, let waiter): waiter
    }
  }

  fileprivate func pending(_ wall: Int64, _ boot: Int64) -> JournalWriter.Pending {
    switch self {
    case .claim(let write, _):
      return JournalWriter.Pending(
        entry: JournalEntry(
          kind: .claim, wallMicroseconds: wall, bootMicroseconds: boot, digest: write.digest, write: write))
    case .outcome(let outcome, let write, _):
      var entry = JournalEntry(
        kind: .released, wallMicroseconds: wall, bootMicroseconds: boot, digest: write.digest, write: write)
      switch outcome {
      case .response(let status, let fields, let body):
        (entry.kind, entry.status, entry.fields) = (.response, status, fields)
        return JournalWriter.Pending(entry: entry, body: body)
      case .responseNotKept(let status): (entry.kind, entry.status) = (.responseNotKept, status)
      case .notSent: break
      }
      return JournalWriter.Pending(entry: entry)
    }
  }
}

extension JournalTable {
  @_optimize(speed)
  fileprivate func isCurrent(_ write: JournalWork.Write) -> Bool {
    switch write {
    case .claim: true
    case .outcome(_, let write, _): place(of: write) != nil
    }
  }

  /// - Parameters:
  ///   - location: of the record.
  ///   - byteCount: what the record and its body take on disk.
  @_optimize(speed)
  fileprivate mutating func isDurable(_ write: JournalWork.Write, at location: KeyLocation, byteCount: Int) {
    switch write {
    case .claim(let write, _): claimIsDurable(write, at: location, byteCount)
    case .outcome(let outcome, let write, _): outcomeIsDurable(outcome, of: write, at: location, byteCount)
    }
  }

  /// The record may not be durable.
  fileprivate mutating func failed(_ write: JournalWork.Write) {
    switch write {
    case .claim(let write, _): claimFailed(write)
    case .outcome(let outcome, let write, _): outcomeFailed(outcome, of: write)
    }
  }
}

extension JournalRecord {
  /// Whether the index can have this state for the record.
  fileprivate func isOf(_ state: KeyIndex.State) -> Bool {
    switch kind {
    case .claim, .carried: state == .unknown
    case .response: state == .stored
    case .responseNotKept: state == .notKept
    case .released, .forgotten, .instanceForgotten: false
    }
  }
}
