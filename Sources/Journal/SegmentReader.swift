import System

/// Reads the records of a segment in order, in large parts, and not the bodies that are in their own file.
///
/// A batch is written with one call, over zeros or at the end of the file, and the next one only once it is durable. So if a
/// write fails or the system stops, the last batch may end too early, and each of the disk's sectors that it is in may still
/// have zeros in its place. A whole batch never looks like this: its header says how many zeros are at its end, and no other
/// sector of it has only zeros, because names and fields have none, and no body with a zero is in a record. Anything else was
/// changed after it was written.
struct SegmentReader {
  private let file: InputFile
  private let path: String
  private let byteCount: Int
  /// The size of the file, or the part of it that its writer made durable.
  private let end: Int
  private let isEndDurable: Bool
  private let isGrowing: Bool
  private var part: [UInt8] = []
  /// Where `part` starts in the file.
  private var partStart = 0
  private var offset: Int
  /// The end of the last batch that is whole.
  private(set) var wholeEnd: Int
  private(set) var lastBatch: BatchHeader?
  /// Of the wall clock to CLOCK_BOOTTIME, in all batches.
  private(set) var clockOffsets: ClosedRange<Int64>
  /// Whether the last batch is incomplete.
  private(set) var isCutOff = false

  private static let partBytes = 1 << 20
  private static let sectorBytes = 512

  /// - Parameters:
  ///   - clockOffset: of the segment's header.
  ///   - durableBytes: from the header of the next segment of the same writer; nil if there is none.
  ///   - start: where a batch starts.
  ///   - isGrowing: whether a process is writing to it: a last batch that is not whole is not passed on, and is not damage.
  init(
    _ file: InputFile, path: String, byteCount: Int, clockOffset: Int64, durableBytes: Int?,
    start: Int = SegmentHeader.byteCount, isGrowing: Bool = false
  ) {
    offset = start
    wholeEnd = start
    clockOffsets = clockOffset...clockOffset
    self.file = file
    self.path = path
    self.byteCount = byteCount
    end = durableBytes ?? byteCount
    isEndDurable = durableBytes != nil
    self.isGrowing = isGrowing && durableBytes == nil
  }

  typealias Body = (JournalRecord, Span<UInt8>, _ offset: Int, _ isWhole: Bool) -> Void

  /// Calls `body` with each record, its bytes and its offset, and whether all of its batch is in the file.
  mutating func forEach(_ body: Body) throws(JournalFault) {
    if end > byteCount {
      throw .damaged(path, offset: byteCount, "it ends here, but its writer made \(end) bytes durable")
    }
    while let batch = try nextBatch() {
      guard let recordsEnd = try recordsEnd(of: batch) else { return }
      isCutOff = recordsEnd < batch.end
      note(batch)
      offset += BatchHeader.byteCount
      while offset < recordsEnd {
        guard let record = try intactRecord(at: offset, before: recordsEnd) else {
          throw damage("a record changed while it was read")
        }
        try pass(record, to: body)
        offset += record.count
      }
      if isCutOff { return }
      wholeEnd = offset
    }
  }

  private func pass(_ record: Range<Int>, to body: Body) throws(JournalFault) {
    let bytes = part.span.extracting(record)
    guard let parsed = JournalRecord(bytes) else { throw damage("a record is malformed") }
    body(parsed, bytes, offset, !isCutOff)
  }

  private mutating func note(_ batch: BatchHeader) {
    lastBatch = batch
    let clockOffset = batch.wallMicroseconds &- batch.bootMicroseconds
    clockOffsets = min(clockOffsets.lowerBound, clockOffset)...max(clockOffsets.upperBound, clockOffset)
  }

  // MARK: Batches

  /// The batch that starts here; nil at the end of the file or of its legal part.
  private mutating func nextBatch() throws(JournalFault) -> BatchHeader? {
    guard offset < end else { return nil }
    if let batch = try loadedBatch() { return batch }
    guard !isEndDurable else { throw damage("the header of a batch does not match its checksum") }
    let dataEnd = try endOfData()
    if dataEnd == offset { return nil }
    if isGrowing {
      guard try hasBatch(before: dataEnd) else { return nil }
      // Its writer may have written this one meanwhile, and then that one.
      unload()
      if let batch = try loadedBatch() { return batch }
    } else {
      let headerEnd = offset + BatchHeader.byteCount
      isCutOff = dataEnd < headerEnd
      if !isCutOff { isCutOff = try hasMissingSector(before: headerEnd) }
      if isCutOff, try !hasBatch(before: dataEnd) { return nil }
    }
    throw damage("the header of a batch does not match its checksum")
  }

  private mutating func loadedBatch() throws(JournalFault) -> BatchHeader? {
    guard try load(BatchHeader.byteCount, at: offset) else { return nil }
    let batch = BatchHeader(part.span.extracting((offset - partStart)...))
    return batch?.offset == offset ? batch : nil
  }

  /// Where the intact records of a batch end, before its own end only if it was cut off; nil if it is being written.
  private mutating func recordsEnd(of batch: BatchHeader) throws(JournalFault) -> Int? {
    var intactEnd = try intactEnd(of: batch)
    if intactEnd == batch.end { return intactEnd }
    if isEndDurable, batch.end > end {
      throw damage("a batch ends after byte \(end), up to which the file was durable")
    }
    guard !isEndDurable else { throw damage("a record does not match its checksum", at: intactEnd) }
    let dataEnd = try endOfData()
    if isGrowing {
      if dataEnd <= batch.end { return nil }
      // Its writer has written all of this one meanwhile, and then the next one.
      unload()
      intactEnd = try self.intactEnd(of: batch)
      if intactEnd == batch.end { return intactEnd }
    } else {
      let lastEnd = batch.end - Int(batch.zerosAtEnd)
      if end < batch.end || dataEnd < lastEnd { return intactEnd }
      if dataEnd == lastEnd, try hasMissingSector(before: lastEnd) { return intactEnd }
    }
    throw damage("a record does not match its checksum", at: intactEnd)
  }

  private mutating func intactEnd(of batch: BatchHeader) throws(JournalFault) -> Int {
    var position = batch.offset + BatchHeader.byteCount
    while let record = try intactRecord(at: position, before: min(batch.end, end)) { position += record.count }
    return position
  }

  /// The position of the record in `part`.
  private mutating func intactRecord(at start: Int, before end: Int) throws(JournalFault) -> Range<Int>? {
    guard end - start >= JournalFrame.byteCount, try load(JournalFrame.byteCount, at: start),
      let count = JournalFrame.length(part.span.extracting((start - partStart)...)), count <= end - start,
      try load(count, at: start)
    else { return nil }
    let record = start - partStart..<start - partStart + count
    return JournalFrame.isIntact(part.span.extracting(record)) ? record : nil
  }

  // MARK: The file

  /// Ensures that `part` has `count` bytes from `start` on; false if the file ends before.
  private mutating func load(_ count: Int, at start: Int) throws(JournalFault) -> Bool {
    if start >= partStart, start + count <= partStart + part.count { return true }
    guard start + count <= end else { return false }
    part = []
    part = try read(max(count, min(Self.partBytes, end - start)), at: start)
    partStart = start
    if part.count < count, !isGrowing { throw damage("it ends at byte \(start + part.count), too early") }
    return part.count >= count
  }

  /// Makes the next `load` read the file again.
  private mutating func unload() { part = [] }

  private func read(_ count: Int, at offset: Int) throws(JournalFault) -> [UInt8] {
    do throws(Errno) { return try file.read(count, at: offset) } catch { throw .file(path, error) }
  }

  /// Where the zeros at the end of the file start, but no earlier than here.
  private func endOfData() throws(JournalFault) -> Int {
    var start = end
    while start > offset {
      let from = max(offset, start - Self.partBytes)
      if let last = try read(start - from, at: from).lastIndex(where: { $0 != 0 }) { return from + last + 1 }
      start = from
    }
    return offset
  }

  /// Whether there are only zeros from here to the next sector, or in a sector that starts before `limit`.
  private func hasMissingSector(before limit: Int) throws(JournalFault) -> Bool {
    var start = offset
    while start < limit {
      let next = min(end, (start / Self.sectorBytes + 1) * Self.sectorBytes)
      if try read(next - start, at: start).allSatisfy({ $0 == 0 }) { return true }
      start = next
    }
    return false
  }

  /// Whether a batch starts after this byte and before `limit`.
  private func hasBatch(before limit: Int) throws(JournalFault) -> Bool {
    var start = offset + 1
    while start < limit {
      let bytes = try read(min(Self.partBytes + BatchHeader.byteCount, end - start), at: start)
      for index in 0..<min(bytes.count, Self.partBytes)
      where BatchHeader(bytes.span.extracting(index...))?.offset == start + index { return true }
      start += Self.partBytes
    }
    return false
  }

  private func damage(_ what: String, at position: Int? = nil) -> JournalFault {
    .damaged(path, offset: position ?? offset, what)
  }
}
