import Bytes
import System

/// The audit thread's state: the file, the chain, and the outcomes not yet written.
///
/// A file is abandoned after a failed write or fdatasync, because what the disk holds of it is then unknown. A new chain
/// starts in a new file; its start entry names the last entry known to be durable.
struct AuditWriter: Sendable {
  private let path: String
  private let chain: AuditChain
  private let report: @Sendable (String) -> Void
  private var line: AuditLine
  /// Nil after a file was abandoned, until there is a new one.
  private var file: AppendFile?
  private var abandoned: AppendFile.Identity?
  private var lastFault = ""
  /// Outcomes not yet written to any file.
  private var backlog = AuditBatch()
  private(set) var state = AuditState()
  /// Outcomes lost because the backlog was full.
  private(set) var lostOutcomes = 0

  private static let mode: UInt32 = 0o640

  /// Opens the file and starts a chain in it.
  init(path: String, chain: AuditChain, report: @escaping @Sendable (String) -> Void) throws(AuditFault) {
    self.path = path
    self.chain = chain
    self.report = report
    line = AuditLine(chain, writer: UInt64.random(in: 1...UInt64.max))
    do throws(Errno) {
      try open(.process, after: nil)
    } catch {
      throw AuditFault(path: path, error: error)
    }
  }

  var canWrite: Bool { file != nil }

  // MARK: Entries

  /// Writes a batch and makes it durable; false if it may not be durable, and the file is abandoned.
  mutating func write(_ batch: AuditBatch, at time: Int64) -> Bool {
    guard let file else {
      keepOutcomes(of: batch)
      return false
    }
    let out = ByteBuffer(capacity: batch.bytes.count + batch.items.count * AuditLine.ownBytesMax)
    batch.forEach { item, members in line.append(item.kind, members, at: time, to: out) }
    do throws(Errno) {
      try put(out, into: file, entries: batch.items.count)
      state.settledReloads += batch.items.count { $0.kind == .reload }
      return true
    } catch {
      abandon(file, error)
      keepOutcomes(of: batch)
      return false
    }
  }

  /// Writes the only entry of this process, and the end of the chain.
  mutating func writeOnly(_ kind: AuditEntry.Kind, _ members: [UInt8], at time: Int64) throws(Errno) {
    guard let file else { return }
    let out = ByteBuffer(capacity: 1 << 10)
    line.append(kind, members.span, at: time, to: out)
    line.append(.end, Array(#","lost_outcomes":0"#.utf8).span, at: time, to: out)
    try put(out, into: file, entries: 2)
  }

  /// Writes the last entry of the process.
  mutating func end(at time: Int64, lostOutcomes: Int) {
    guard let file else {
      if !backlog.isEmpty { report("audit log: outcomes never written to a file: \(backlog.items.count)") }
      return
    }
    let out = ByteBuffer(capacity: AuditLine.ownBytesMax)
    line.append(.end, Array(#","lost_outcomes":\#(lostOutcomes)"#.utf8).span, at: time, to: out)
    do throws(Errno) { try put(out, into: file, entries: 1) } catch { abandon(file, error) }
  }

  private mutating func put(_ bytes: ByteBuffer, into file: AppendFile, entries: Int) throws(Errno) {
    try bytes.withBytes { bytes throws(Errno) in try file.append(bytes) }
    try file.synchronize()
    state.synchronizations += 1
    state.entries += entries
    state.head = line.head
  }

  private mutating func keepOutcomes(of batch: AuditBatch) {
    batch.forEach { item, members in
      // A failed intent is not tried again: its write was refused.
      guard item.waiter == nil else { return }
      if backlog.hasCapacityForOutcome { return backlog.append(item.kind, members) }
      lostOutcomes += 1
      guard item.kind == .reload else { return }
      state.settledReloads += 1
      report("audit log: too many entries are waiting; that of a reload is lost")
    }
  }

  // MARK: Files

  /// Opens the file at the path, or creates it, and writes a start entry.
  ///
  /// - Parameter previous: the entry to continue from; nil: the last one in the file.
  private mutating func open(_ reason: AuditReason, after previous: AuditHead?) throws(Errno) {
    let file = try AppendFile(path: path, mode: Self.mode)
    let tail = AuditTail(try file.tail(AuditTail.bytesMax))
    if tail.head == nil, file.byteCount > 0 {
      report(
        "audit log: \(path) does not end with an entry; a new chain starts there, which \"audit verify\" reports")
    }
    try begin(reason, after: previous ?? tail.head, in: file, isOpen: tail.isOpen)
    try AppendFile.synchronize(folder: folder)
  }

  private mutating func begin(
    _ reason: AuditReason, after previous: AuditHead?, in file: AppendFile, isOpen: Bool
  ) throws(Errno) {
    let bytes = ByteBuffer(capacity: 2 * AuditLine.ownBytesMax)
    if isOpen { bytes.append("\n") }
    line.appendStart(reason, after: previous, lostOutcomes: lostOutcomes, at: SystemClock.wallMicroseconds, to: bytes)
    try put(bytes, into: file, entries: 1)
    self.file = file
  }

  /// Continues in a new file after a rotation has moved the old one.
  mutating func rotate() {
    guard let file else { return recover() }
    guard AppendFile.identity(of: path) != file.identity else { return }
    let before = line
    do throws(Errno) {
      try open(.rotation, after: line.head)
    } catch {
      // If nothing was written, the chain continues in the old file.
      guard line.sequence != before.sequence else {
        return report("audit log: cannot open \(path): \(error); the old file stays in use")
      }
      abandon(file, error)
      abandoned = AppendFile.identity(of: path)
    }
  }

  private mutating func abandon(_ file: AppendFile, _ error: Errno) {
    abandoned = file.identity
    self.file = nil
    state.failures += 1
    lastFault = ""
    reportOnce(error)
  }

  /// Tries to start a new file and writes the backlog to it.
  mutating func recover() {
    guard file == nil else { return }
    let durable = state.head
    do throws(Errno) {
      try beginNewFile()
    } catch {
      file = nil
      state.head = durable
      state.failures += 1
      return reportOnce(error)
    }
    report("audit log: writing to \(path) works again")
    guard !backlog.isEmpty else { return }
    let kept = backlog
    backlog = AuditBatch()
    _ = write(kept, at: SystemClock.wallMicroseconds)
  }

  /// The new file gets its name only once its start is durable, so that failed attempts leave nothing behind. The old file
  /// is renamed first, unless a rotation has moved it.
  private mutating func beginNewFile() throws(Errno) {
    let last = state.head
    let old = line.writer
    line = AuditLine(chain, writer: UInt64.random(in: 1...UInt64.max))
    let temporary = "\(path).new-\(AuditHead.text(of: old))"
    AppendFile.remove(temporary)
    defer { AppendFile.remove(temporary) }
    let file = try AppendFile(path: temporary, mode: Self.mode, mustCreate: true)
    try begin(.recovery, after: last, in: file, isOpen: false)
    if let abandoned, AppendFile.identity(of: path) == abandoned {
      try AppendFile.rename(path, to: "\(path).failed-\(AuditHead.text(of: old))")
    }
    do throws(Errno) {
      try AppendFile.link(temporary, to: path)
    } catch {
      guard error == .fileExists else { throw error }
      // Another process, or a rotation, has already created a new file.
      line = AuditLine(chain, writer: UInt64.random(in: 1...UInt64.max))
      try open(.recovery, after: last)
    }
    try AppendFile.synchronize(folder: folder)
    abandoned = nil
  }

  /// Reports a fault unless it is the same as the last one.
  private mutating func reportOnce(_ error: Errno) {
    guard lastFault != error.description else { return }
    lastFault = error.description
    report(
      "audit log: cannot write \(path): \(error); writes are rejected with 503 until a new file can be written; reads continue"
    )
  }

  private var folder: String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}

/// Why an audit log cannot be opened or written.
package struct AuditFault: Error, CustomStringConvertible {
  package let path: String
  var action = "open"
  let error: Errno

  /// `cannot open /var/lib/x/audit.log: Permission denied`.
  package var description: String {
    "cannot \(action) \(path): \(error == .notRegularFile ? "it is not a regular file" : error.description)"
  }
}
