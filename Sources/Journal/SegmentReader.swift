import System

/// Reads the records of a segment in order, in large parts, and never its bodies.
///
/// A batch is written with one call and is durable only after it. So the file may end within its last batch, or in zeros
/// that the file system added before the system stopped. Anything else was changed after it was written.
struct SegmentReader {
  private let file: InputFile
  private let path: String
  /// The size of the file, or the part of it that its writer made durable.
  private let end: Int
  private let isEndDurable: Bool
  private var part: [UInt8] = []
  /// Where `part` starts in the file.
  private var partStart = 0
  private(set) var offset: Int
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
  init(
    _ file: InputFile, path: String, byteCount: Int, clockOffset: Int64, durableBytes: Int?,
    start: Int = SegmentHeader.byteCount
  ) {
    offset = start
    wholeEnd = start
    clockOffsets = clockOffset...clockOffset
    self.file = file
    self.path = path
    end = durableBytes ?? byteCount
    isEndDurable = durableBytes != nil
  }

  typealias Body = (JournalRecord, Span<UInt8>, _ offset: Int, _ isWhole: Bool) -> Void

  /// Calls `body` with each record, its bytes and its offset, and whether all of its batch is in the file.
  mutating func forEach(_ body: Body) throws(JournalFault) {
    while let batch = try nextBatch() {
      let batchEnd = batch.offset + BatchHeader.byteCount + batch.recordBytes
      isCutOff = batchEnd > end
      if isCutOff, isEndDurable { throw damage("a batch ends after byte \(end), up to which the file was durable") }
      while offset < batchEnd {
        guard try forNextRecord(before: batchEnd, body) else { return }
      }
      wholeEnd = offset
    }
  }

  /// The next batch; nil at the end of the file or of its legal part.
  private mutating func nextBatch() throws(JournalFault) -> BatchHeader? {
    guard offset < end else { return nil }
    guard end - offset >= BatchHeader.byteCount else {
      if isEndDurable { throw damage("a batch is incomplete") }
      isCutOff = true
      return nil
    }
    try load(BatchHeader.byteCount)
    guard let batch = loadedBatch else {
      if try endsInZeros(within: BatchHeader.byteCount) { return nil }
      throw damage("the header of a batch does not match its checksum")
    }
    offset += BatchHeader.byteCount
    lastBatch = batch
    let clockOffset = batch.wallMicroseconds &- batch.bootMicroseconds
    clockOffsets = min(clockOffsets.lowerBound, clockOffset)...max(clockOffsets.upperBound, clockOffset)
    return batch
  }

  private var loadedBatch: BatchHeader? {
    let start = offset - partStart
    let batch = BatchHeader(part.span.extracting(start..<start + BatchHeader.byteCount))
    return batch?.offset == offset ? batch : nil
  }

  /// False at the end of the legal part.
  private mutating func forNextRecord(before batchEnd: Int, _ body: Body) throws(JournalFault) -> Bool {
    guard let record = try intactRecord(before: batchEnd) else {
      if isCutOff { return false }
      if try endsInZeros(within: min(claimedLength, batchEnd - offset)) {
        isCutOff = true
        return false
      }
      throw damage("a record does not match its checksum")
    }
    try pass(record, to: body)
    offset += record.count
    return true
  }

  private func pass(_ record: Range<Int>, to body: Body) throws(JournalFault) {
    let bytes = part.span.extracting(record)
    guard let parsed = JournalRecord(bytes) else { throw damage("a record is malformed") }
    body(parsed, bytes, offset, !isCutOff)
  }

  /// The position of the record in `part`.
  private mutating func intactRecord(before batchEnd: Int) throws(JournalFault) -> Range<Int>? {
    guard min(batchEnd, end) - offset >= JournalFrame.byteCount else { return nil }
    try load(JournalFrame.byteCount)
    guard let count = loadedLength, offset + count <= min(batchEnd, end) else { return nil }
    try load(count)
    let record = offset - partStart..<offset - partStart + count
    return isIntact(record) ? record : nil
  }

  private var loadedLength: Int? { JournalFrame.length(part.span.extracting((offset - partStart)...)) }

  /// That of the record that starts here, as far as it can be read.
  private var claimedLength: Int {
    guard offset + JournalFrame.byteCount <= partStart + part.count else { return JournalFrame.byteCount }
    return loadedLength ?? JournalFrame.byteCount
  }

  private func isIntact(_ record: Range<Int>) -> Bool { JournalFrame.isIntact(part.span.extracting(record)) }

  /// Ensures that `part` has `count` bytes from `offset` on.
  private mutating func load(_ count: Int) throws(JournalFault) {
    guard offset + count > partStart + part.count else { return }
    let loaded = try read(max(count, min(Self.partBytes, end - offset)), at: offset)
    if loaded.count < count { throw damage("it ends at byte \(offset + loaded.count), too early") }
    (part, partStart) = (loaded, offset)
  }

  private func read(_ count: Int, at offset: Int) throws(JournalFault) -> [UInt8] {
    do throws(Errno) { return try file.read(count, at: offset) } catch { throw .file(path, error) }
  }

  /// Whether the file has only zeros from here on, or from a disk sector on that starts within the next `byteCount` bytes:
  /// as after a system that stopped during a write. What was durable before cannot look like this.
  private func endsInZeros(within byteCount: Int) throws(JournalFault) -> Bool {
    guard !isEndDurable else { return false }
    let zeros = try startOfZeros()
    let sector = (max(offset, zeros) + Self.sectorBytes - 1) / Self.sectorBytes * Self.sectorBytes
    return zeros <= offset || sector < offset + byteCount && sector < end
  }

  /// Where the zeros at the end of the file start, but no earlier than here.
  private func startOfZeros() throws(JournalFault) -> Int {
    var start = end
    while start > offset {
      let from = max(offset, start - Self.partBytes)
      let bytes = try read(start - from, at: from)
      // It was shortened meanwhile.
      guard bytes.count == start - from else { return end }
      if let last = bytes.lastIndex(where: { $0 != 0 }) { return from + last + 1 }
      start = from
    }
    return offset
  }

  private func damage(_ what: String) -> JournalFault { .damaged(path, offset: offset, what) }
}
