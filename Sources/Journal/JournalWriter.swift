import Dates
import Digests
import System

/// The segments of the folder, and the one that this process writes to.
///
/// A segment is abandoned after a failed write or fdatasync, because what the disk holds of it is then unknown, and once the
/// header of a new one may be on disk, which says how much of it is durable.
struct JournalWriter: Sendable {
  /// A record to be written, and the body that it refers to.
  struct Pending {
    var entry: JournalEntry
    var body: [UInt8] = []

    /// What it takes on disk.
    var byteCount: Int {
      let names = entry.write.client.utf8.count + entry.write.instance.utf8.count + entry.write.key.utf8.count
      return JournalRecord.fixedBytes + names + entry.fields.count + body.count
    }
  }

  private struct Current {
    var keys: SegmentFile
    var bodies: SegmentFile

    var zeroBytes: Int { keys.zeroBytes + bodies.zeroBytes }

    mutating func removeZeros() {
      keys.removeZeros()
      bodies.removeZeros()
    }
  }

  let folder: SharedFolder
  let clocks: JournalClocks
  let faults: JournalFaults
  private let report: @Sendable (String) -> Void
  let writer: UInt64
  private let epoch: UInt64
  private(set) var ages: JournalAges
  /// In the order in which they were written. The last one is the current one, if there is a current one.
  private(set) var segments: [JournalSegment]
  /// Nil after a segment was abandoned, until there is a new one.
  private var current: Current?
  private var nextNumber: UInt64 = 1
  private var nextID: UInt32
  private var predecessor: SegmentHeader.Predecessor?
  private var out: [UInt8] = []
  private var bodies: [UInt8] = []
  private(set) var synchronizations = 0
  private(set) var failures = 0
  private(set) var lastFault = ""
  private var lastReported = ""

  private static let segmentMicroseconds: Int64 = 3_600_000_000
  /// Offsets of records have 32 bits.
  private static let keyBytesMax = 1 << 30
  private static let bodyBytesMax = 4 << 30
  private static let keptBytesMax = 1 << 20

  /// Creates a segment.
  init(
    folder: SharedFolder, after replay: JournalReplay, clocks: JournalClocks, faults: JournalFaults,
    report: @escaping @Sendable (String) -> Void
  ) throws(Errno) {
    self.folder = folder
    self.clocks = clocks
    self.faults = faults
    self.report = report
    epoch = replay.nextEpoch
    segments = replay.segments
    writer = UInt64.random(in: 1...UInt64.max)
    ages = JournalAges(clocks, earliestOffset: replay.earliestOffset(of: clocks.boot))
    nextID = (replay.segments.map(\.id).max() ?? 0) + 1
    try openSegment()
  }

  var canWrite: Bool { current != nil }
  var diskBytes: Int { segments.reduce(0) { $0 + $1.keyBytes + $1.bodyBytes + $1.zeroBytes } }

  mutating func updateAges() { ages.update(clocks) }

  /// The age of the newest record of a segment; nil if it is not certain yet.
  func age(of segment: JournalSegment) -> Int64? {
    ages.age(of: segment.wallMicroseconds, segment.bootMicroseconds, in: segment.header.boot)
  }

  /// The age of a record; nil if it is not certain yet.
  func age(of record: JournalRecord, in segment: JournalSegment) -> Int64? {
    let wall = segment.wallMicroseconds &- (segment.bootMicroseconds &- record.bootMicroseconds)
    return ages.age(of: wall, record.bootMicroseconds, in: segment.header.boot)
  }

  func isCurrent(_ segment: JournalSegment) -> Bool { canWrite && segment.id == segments.last?.id }

  func segment(_ id: UInt32) -> JournalSegment? { segments.first { $0.id == id } }

  // MARK: The parent's segments

  /// Adds a segment that the parent process has made, before the segments of this process.
  mutating func add(parentSegment header: SegmentHeader, stem: String) {
    let position = segments.firstIndex { $0.header.epoch > header.epoch } ?? segments.count
    segments.insert(
      JournalSegment(
        id: nextID, header: header, stem: stem, keyBytes: SegmentHeader.byteCount, bodyBytes: 0,
        wallMicroseconds: header.wallMicroseconds, bootMicroseconds: header.bootMicroseconds),
      at: position)
    nextID += 1
  }

  /// The parent process has written more to a segment.
  mutating func extend(_ stem: String, keyBytes: Int, bodyBytes: Int, _ batch: BatchHeader?) {
    guard let index = segments.firstIndex(where: { $0.stem == stem }) else { return }
    segments[index].keyBytes = keyBytes
    segments[index].bodyBytes = bodyBytes
    guard let batch else { return }
    segments[index].hasRecords = true
    segments[index].wallMicroseconds = batch.wallMicroseconds
    segments[index].bootMicroseconds = batch.bootMicroseconds
  }

  // MARK: Records

  /// Writes records as one batch and makes them durable, the bodies first. After a fault, the segment is abandoned.
  ///
  /// - Returns: the locations of the records.
  mutating func write(_ batch: [Pending]) throws(Errno) -> [KeyLocation] {
    rotateIfDue()
    guard canWrite, let last = segments.indices.last else { throw .inputOutput }
    bodies.removeAll(keepingCapacity: bodies.capacity <= Self.keptBytesMax)
    out.removeAll(keepingCapacity: out.capacity <= Self.keptBytesMax)
    // Room for the header, whose values are known only after the records.
    out += Self.noHeader
    var locations: [KeyLocation] = []
    locations.reserveCapacity(batch.count)
    let (segment, start) = (segments[last].id, segments[last].keyBytes)
    for pending in batch {
      locations.append(KeyLocation(segment: segment, offset: UInt32(start + out.count)))
      append(pending, bodyOffset: segments[last].bodyBytes + bodies.count)
    }
    let (wall, boot) = (clocks.wallMicroseconds(), clocks.bootMicroseconds())
    let header = BatchHeader(
      out.span.extracting(BatchHeader.byteCount...), offset: start, wallMicroseconds: wall, bootMicroseconds: boot)
    out.replaceSubrange(..<BatchHeader.byteCount, with: header.bytes)
    do throws(Errno) {
      if !bodies.isEmpty { try current?.bodies.write(batch: bodies) }
      try current?.keys.write(batch: out)
    } catch {
      abandon(error)
      throw error
    }
    segments[last].bodyBytes += bodies.count
    segments[last].keyBytes += out.count
    segments[last].zeroBytes = current?.zeroBytes ?? 0
    segments[last].wallMicroseconds = wall
    segments[last].bootMicroseconds = boot
    segments[last].hasRecords = true
    synchronizations += 1
    return locations
  }

  private static let noHeader = [UInt8](repeating: 0, count: BatchHeader.byteCount)

  /// Appends a record to the batch.
  ///
  /// - Parameter bodyOffset: where its body would be in the bodies file.
  @_optimize(speed)
  private mutating func append(_ pending: Pending, bodyOffset: Int) {
    var reference = JournalRecord.BodyReference(byteCount: pending.body.count)
    guard !JournalRecord.BodyReference.isInline(pending.body.span) else {
      reference.offset = JournalRecord.BodyReference.inlineOffset
      return pending.entry.append(reference, pending.body, to: &out)
    }
    reference.offset = bodyOffset
    reference.checksum = CRC32C.checksum(of: pending.body.span)
    bodies += pending.body
    pending.entry.append(reference, [], to: &out)
  }

  // MARK: Segments

  private mutating func rotateIfDue() {
    guard canWrite, let last = segments.last, last.hasRecords else { return }
    let isDue =
      clocks.bootMicroseconds() - last.header.bootMicroseconds >= Self.segmentMicroseconds
      || last.keyBytes >= Self.keyBytesMax || last.bodyBytes >= Self.bodyBytesMax
    if isDue { rotate() }
  }

  /// Continues in a new segment. After a fault, the old one stays in use, unless the new one may be on disk.
  mutating func rotate() {
    guard var old = current, let last = segments.last else { return }
    predecessor = SegmentHeader.Predecessor(number: last.header.number, durableBytes: last.keyBytes)
    do throws(Errno) {
      try openSegment()
      old.removeZeros()
      segments[segments.count - 2].zeroBytes = old.zeroBytes
    } catch {
      failures += 1
      // Offsets would not fit, or the segment would never expire.
      if last.keyBytes >= 2 * Self.keyBytesMax { current = nil }
      guard canWrite else { return reportOnce(error, Self.noSegment) }
      predecessor = nil
      reportOnce(error, "the old segment stays in use")
    }
  }

  /// Nothing more will be written.
  mutating func close() {
    current?.removeZeros()
    current = nil
  }

  private static let noSegment = "writes with a key are rejected with 503 until a new segment can be written"

  /// Tries to start a new segment.
  mutating func recover() {
    guard !canWrite else { return }
    do throws(Errno) {
      try openSegment()
      report("idempotency: keys can be written again in \(folder.path)")
      lastReported = ""
    } catch {
      failures += 1
      reportOnce(error, Self.noSegment)
    }
  }

  private mutating func abandon(_ error: Errno) {
    let (bodyBytes, zeroBytes) = (current?.bodies.byteCount ?? 0, current?.zeroBytes ?? 0)
    current = nil
    failures += 1
    guard let last = segments.indices.last else { return }
    predecessor = SegmentHeader.Predecessor(
      number: segments[last].header.number, durableBytes: segments[last].keyBytes)
    segments[last].bodyBytes = bodyBytes
    segments[last].zeroBytes = zeroBytes
    reportOnce(error, Self.noSegment)
  }

  private mutating func openSegment() throws(Errno) {
    let (wall, boot) = (clocks.wallMicroseconds(), clocks.bootMicroseconds())
    let header = SegmentHeader(
      writer: writer, epoch: epoch, number: nextNumber, boot: clocks.boot, wallMicroseconds: wall,
      bootMicroseconds: boot, predecessor: predecessor)
    var (stem, keys) = try createKeys(at: wall / 1_000_000)
    do throws(Errno) {
      let bodies = try SegmentFile(creating: "\(stem).bodies", in: folder, faults)
      // The header says how much of the old segment is durable. It may stay on disk whatever fails from here on, so the old
      // segment must not be written any more, and the number is used.
      current = nil
      nextNumber += 1
      try keys.write(header: header.bytes)
      try faults.check(.synchronizeFolder, folder.path)
      try folder.synchronize()
      current = Current(keys: keys, bodies: bodies)
    } catch {
      folder.remove("\(stem).keys")
      folder.remove("\(stem).bodies")
      throw error
    }
    segments.append(
      JournalSegment(
        id: nextID, header: header, stem: stem, keyBytes: SegmentHeader.byteCount, bodyBytes: 0,
        wallMicroseconds: wall, bootMicroseconds: boot))
    nextID += 1
    predecessor = nil
  }

  private func createKeys(at seconds: Int64) throws(Errno) -> (stem: String, SegmentFile) {
    let hex = String(writer, radix: 16)
    let suffix = String(repeating: "0", count: 16 - hex.count) + hex
    // A segment of the same second exists after a fault, and after the wall clock was set back.
    for later in 0..<Int64(3_600) {
      let time = CivilTime(secondsSince1970: seconds + later).rfc3339.filter { $0 != "-" && $0 != ":" }
      let stem = "\(time)-\(suffix)"
      do throws(Errno) {
        return (stem, try SegmentFile(creating: "\(stem).keys", in: folder, faults))
      } catch {
        guard error == .fileExists else { throw error }
      }
    }
    throw .fileExists
  }

  /// Forgets the first segment, whose files the caller removes.
  mutating func dropFirst() -> JournalSegment { segments.removeFirst() }

  /// Removes the files of a segment, durably.
  func remove(_ segment: JournalSegment) {
    // The keys first: bodies without keys are not read, and the next process removes them.
    folder.remove(segment.keysName)
    folder.remove(segment.bodiesName)
    do throws(Errno) {
      try folder.synchronize()
    } catch {
      report("idempotency: cannot make the removal of \(segment.stem) durable in \(folder.path): \(error)")
    }
  }

  private mutating func reportOnce(_ error: Errno, _ consequence: String) {
    lastFault = error.description
    guard lastReported != lastFault else { return }
    lastReported = lastFault
    report("idempotency: cannot write to \(folder.path): \(error); \(consequence)")
  }
}
