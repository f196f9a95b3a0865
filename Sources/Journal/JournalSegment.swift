import System

/// A segment: a file of keys, and a file of the bodies that its records refer to.
struct JournalSegment: Sendable {
  /// Identifies the segment in this process.
  let id: UInt32
  let header: SegmentHeader
  /// The names of both files without their extensions.
  let stem: String
  var keyBytes: Int
  var bodyBytes: Int
  /// Of both files: what the next batches are written over.
  var zeroBytes = 0
  /// When the last batch was written; the wall time is the latest one that is possible.
  var wallMicroseconds: Int64
  var bootMicroseconds: Int64
  var hasRecords = false

  var keysName: String { "\(stem).keys" }
  var bodiesName: String { "\(stem).bodies" }
}

/// What the journal does to its files, so that tests can make any step fail.
struct JournalFaults: Sendable {
  enum Step: Hashable, Sendable {
    case create, append, writeZeros, synchronize, synchronizeFolder, read
  }

  struct Fault: Sendable {
    let error: Errno
    /// Of an append: the bytes that are written before it fails.
    var written = 0
  }

  /// The fault of a step on the file or folder with this name; nil: the step is done.
  var fault: @Sendable (Step, String) -> Fault? = { _, _ in nil }

  func check(_ step: Step, _ name: String) throws(Errno) {
    if let fault = fault(step, name) { throw fault.error }
  }
}

/// A file that this process writes to, one batch after the other, until a write or fdatasync fails.
///
/// Batches are written over zeros, because then the file system has only the bytes themselves to make durable: on ext4, a
/// write of 2,000 bytes and its fdatasync take 41 µs of CPU time and 120 µs in all, and 63 and 190 µs if the file grows.
struct SegmentFile: Sendable {
  let name: String
  /// What was written, without the zeros.
  private(set) var byteCount = 0
  private var zeroEnd = 0
  var zeroBytes: Int { max(0, zeroEnd - byteCount) }
  private let file: PositionedFile
  private let faults: JournalFaults

  private static let zeroBytesMin = 16 << 10
  private static let zeroBytesMax = 256 << 10
  private static let zeros = [UInt8](repeating: 0, count: zeroBytesMin)

  init(creating name: String, in folder: SharedFolder, _ faults: JournalFaults) throws(Errno) {
    try faults.check(.create, name)
    self.name = name
    self.faults = faults
    file = try PositionedFile(creating: folder.path(of: name), mode: 0o600)
  }

  /// Writes the first bytes and makes them durable.
  mutating func write(header bytes: [UInt8]) throws(Errno) {
    try put(bytes)
    try synchronize()
  }

  /// Writes the bytes behind those before, and makes them durable.
  mutating func write(batch bytes: [UInt8]) throws(Errno) {
    try put(bytes)
    if byteCount > zeroEnd { writeZeros() }
    try synchronize()
  }

  /// Removes the zeros, if possible: nothing more will be written.
  mutating func removeZeros() {
    do throws(Errno) { try file.truncate(to: byteCount) } catch { return }
    zeroEnd = byteCount
  }

  private mutating func put(_ bytes: [UInt8]) throws(Errno) {
    let start = byteCount
    byteCount += bytes.count
    if let fault = faults.fault(.append, name) {
      try file.write(bytes.span.extracting(..<min(fault.written, bytes.count)), at: start)
      throw fault.error
    }
    try file.write(bytes.span, at: start)
  }

  private func synchronize() throws(Errno) {
    try faults.check(.synchronize, name)
    try file.synchronize()
  }

  /// As many as there are bytes, but 16 to 256 KiB. Without them, writes only take longer: faults are ignored.
  private mutating func writeZeros() {
    zeroEnd = byteCount
    let end = byteCount + min(max(byteCount, Self.zeroBytesMin), Self.zeroBytesMax)
    while zeroEnd < end {
      let zeros = Self.zeros.span.extracting(..<min(Self.zeros.count, end - zeroEnd))
      do throws(Errno) {
        try faults.check(.writeZeros, name)
        try file.write(zeros, at: zeroEnd)
      } catch {
        return
      }
      zeroEnd += zeros.count
    }
  }
}
