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
    case create, append, synchronize, synchronizeFolder, read
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

/// A file that this process appends to, until a write or fdatasync fails.
struct SegmentFile: Sendable {
  let name: String
  private let file: AppendFile
  private let faults: JournalFaults

  init(creating name: String, in folder: SharedFolder, _ faults: JournalFaults) throws(Errno) {
    try faults.check(.create, name)
    self.name = name
    self.faults = faults
    file = try AppendFile(path: folder.path(of: name), mode: 0o600, mustCreate: true)
  }

  var byteCount: Int { file.byteCount }

  /// Appends the bytes and makes them durable.
  func write(_ bytes: [UInt8]) throws(Errno) {
    if let fault = faults.fault(.append, name) {
      try file.append(bytes.span.extracting(..<min(fault.written, bytes.count)))
      throw fault.error
    }
    try file.append(bytes.span)
    try faults.check(.synchronize, name)
    try file.synchronize()
  }
}
