import Digests
import System

/// Reads single records, and the bodies of responses, of segments.
struct RecordReader {
  let folder: SharedFolder
  let faults: JournalFaults
  /// The file that was read last.
  private var last: (name: String, file: InputFile)?

  /// What most records fit into.
  private static let guessBytes = 1_024

  init(_ folder: SharedFolder, _ faults: JournalFaults) {
    self.folder = folder
    self.faults = faults
  }

  /// Throws if the file cannot be read; nil if its bytes are not the intact record of this key.
  mutating func record(of digest: Digest?, in segment: JournalSegment, at offset: Int) throws(Errno) -> StoredRecord? {
    let file = try open(segment.keysName)
    var bytes = try file.read(Self.guessBytes, at: offset)
    guard bytes.count >= JournalFrame.byteCount, let count = JournalFrame.length(bytes.span) else { return nil }
    if count > bytes.count { bytes = try file.read(count, at: offset) }
    guard let stored = StoredRecord(bytes.span), digest == nil || stored.record.digest == digest,
      stored.record.digest == stored.write.digest
    else { return nil }
    return stored
  }

  /// Throws if the file cannot be read; nil if the bytes are not those that were stored.
  mutating func body(of stored: StoredRecord, in segment: JournalSegment) throws(Errno) -> [UInt8]? {
    let record = stored.record
    guard !record.body.isInline else { return stored.inlineBody }
    // Before memory is allocated for them.
    guard record.body.byteCount <= segment.bodyBytes else { return nil }
    let bytes = try open(segment.bodiesName).read(record.body.byteCount, at: record.body.offset)
    return CRC32C.checksum(of: bytes.span) == record.body.checksum ? bytes : nil
  }

  private mutating func open(_ name: String) throws(Errno) -> InputFile {
    try faults.check(.read, name)
    if let last, last.name == name { return last.file }
    let path = folder.path(of: name)
    // Opening a pipe would block.
    guard try FileStatus(path: path).isRegular else { throw .notRegularFile }
    let file = try InputFile(path: path)
    last = (name, file)
    return file
  }
}
