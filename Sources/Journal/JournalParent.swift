import Digests
import System

/// The process that has handed over to this one, and still writes the outcomes of its requests.
struct JournalParent: Sendable {
  let writer: UInt64
  /// The number of its keys in flight at the handover.
  let keyCount: Int
  /// How far its segments were read, by their stems.
  var offsets: [String: Int]
  var hasReportedFault = false
}

/// What a record of the parent says about a key.
struct ParentRecord: Sendable {
  let kind: JournalRecord.Kind
  let digest: Digest
  let requestIDHigh: UInt64
  let requestIDLow: UInt64
  let client: String
  let instance: String
  let location: KeyLocation
}

extension JournalRecord.Kind {
  /// Nil for records that free the key.
  var indexState: KeyIndex.State? {
    switch self {
    case .claim, .carried: .unknown
    case .response: .stored
    case .responseNotKept: .notKept
    case .released, .forgotten, .instanceForgotten: nil
    }
  }
}

extension JournalWorker {
  /// Reads what the parent has written since the last time.
  mutating func followParent(hasEnded: Bool = false) {
    guard let parent else { return }
    do throws(JournalFault) {
      let segments = try parentSegments(parent.writer)
      for (position, (stem, header)) in segments.enumerated() {
        if parent.offsets[stem] == nil {
          writer.add(parentSegment: header, stem: stem)
          self.parent?.offsets[stem] = SegmentHeader.byteCount
        }
        let next = segments.indices.contains(position + 1) ? segments[position + 1].header : nil
        try follow(stem, header, durableBytes: next?.durableBytes(of: header), isGrowing: !hasEnded)
      }
    } catch {
      guard self.parent?.hasReportedFault == false else { return }
      self.parent?.hasReportedFault = true
      report("\(error); the keys that were in flight before the upgrade stay claimed")
    }
  }

  /// The parent has ended: its keys without an outcome are unknown.
  mutating func endParent() {
    guard let keyCount = parent?.keyCount else { return }
    followParent(hasEnded: true)
    parent = nil
    let (unknown, unread) = keys.withLock { table in
      let unknown = table.inherited.keys.count { table.index[table.index.name(of: $0)] != nil }
      // The claims of all were durable at the handover. A missing one could not be read: its key must not be free.
      table.inherited = table.inherited.filter { key, _ in table.index[table.index.name(of: key)] == nil }
      table.hasParent = false
      return (unknown, table.inherited.count)
    }
    report(
      "idempotency: the older process has ended; of its keys in flight at the handover, \(keyCount - unknown - unread) have "
        + "an outcome and \(unknown) are unknown"
        + (unread == 0 ? "" : "; the claims of \(unread) cannot be read, and their keys stay claimed"))
  }

  private func parentSegments(_ parent: UInt64) throws(JournalFault) -> [(stem: String, header: SegmentHeader)] {
    let names: [String]
    do throws(Errno) { names = try writer.folder.entries() } catch { throw .folder(writer.folder.path, error) }
    var found: [(stem: String, header: SegmentHeader)] = []
    for name in names where name.hasSuffix(".keys") {
      // A segment that is being made has no header yet.
      guard let file = try? InputFile.regular(path: writer.folder.path(of: name)),
        let bytes = try? file.read(SegmentHeader.byteCount, at: 0), let header = try? SegmentHeader(bytes.span),
        header.writer == parent
      else { continue }
      found.append((String(name.dropLast(5)), header))
    }
    return found.sorted { $0.header.number < $1.header.number }
  }

  private mutating func follow(
    _ stem: String, _ header: SegmentHeader, durableBytes: Int?, isGrowing: Bool
  ) throws(JournalFault) {
    let path = writer.folder.path(of: "\(stem).keys")
    guard let segment = writer.segments.first(where: { $0.stem == stem }) else { return }
    let opened: InputFile?
    do throws(Errno) { opened = try InputFile.regular(path: path) } catch { throw .file(path, error) }
    guard let file = opened, let byteCount = file.byteCount else { throw .file(path, .notRegularFile) }
    let start = parent?.offsets[stem] ?? SegmentHeader.byteCount
    var reader = SegmentReader(
      file, path: path, byteCount: byteCount, clockOffset: header.clockOffset, durableBytes: durableBytes,
      start: start, isGrowing: isGrowing)
    var records: [ParentRecord] = []
    try reader.forEach { record, bytes, offset, _ in
      records.append(
        ParentRecord(
          kind: record.kind, digest: record.digest, requestIDHigh: record.requestIDHigh,
          requestIDLow: record.requestIDLow, client: bytes.text(record.client), instance: bytes.text(record.instance),
          location: KeyLocation(segment: segment.id, offset: UInt32(clamping: offset))))
    }
    let bodyBytes = (try? FileStatus(path: writer.folder.path(of: "\(stem).bodies")))?.byteCount ?? 0
    writer.extend(stem, keyBytes: byteCount, bodyBytes: bodyBytes, reader.lastBatch)
    parent?.offsets[stem] = reader.wholeEnd
    keys.withLock { [records] table in
      for record in records { table.apply(record) }
    }
  }
}
