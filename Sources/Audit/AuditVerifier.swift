package import Digests

/// Verifies the chains of audit files line by line and collects its findings.
package struct AuditVerifier {
  private struct Chain {
    var sequence: UInt64
    var hash: Digest
    var hasEnded = false
  }

  package private(set) var findings: [AuditFinding] = []
  /// The number of findings beyond `findingsMax`.
  package private(set) var furtherFindings = 0
  package private(set) var notes: [AuditFinding] = []
  package private(set) var entries = 0
  /// The last entry read.
  package private(set) var head: AuditHead?

  private let chain: AuditChain
  private let expected: Digest?
  private var hasExpected = false
  private var chains: [UInt64: Chain] = [:]
  private var file = ""
  private var line = 0
  private var entriesOfFile = 0
  /// The last line, if it is not an entry. It is valid if a `start` follows: a write may be interrupted when a process
  /// ends.
  private var damagedLine: Int?
  private var writers = AuditWriters()
  /// Writes without an outcome so far.
  private var withoutOutcome: [AuditRequestID: (writer: UInt64, order: Int, file: String, line: Int)] = [:]

  package static let findingsMax = 100

  /// - Parameter expected: the hash of an entry that must be present: a head kept elsewhere.
  package init(_ chain: AuditChain, expecting expected: Digest? = nil) {
    self.chain = chain
    self.expected = expected
  }

  package mutating func begin(file: String) {
    noteDamage()
    self.file = file
    line = 0
    entriesOfFile = 0
  }

  /// Reads the next line.
  ///
  /// - Parameter isWhole: whether a newline followed it.
  package mutating func read(_ bytes: Span<UInt8>, isWhole: Bool) {
    line += 1
    // A start writes a newline before itself if the file does not end with one, which may leave an empty line.
    guard !bytes.isEmpty else { return }
    if let (entry, offset) = Self.entryAfterTornLine(bytes) {
      // Another process appended to an incomplete line.
      notes.append(finding(.torn))
      read(entry, bytes.extracting(offset..<bytes.count))
    } else if let entry = AuditEntry(bytes) {
      if !isWhole { notes.append(finding(.newlineMissing)) }
      read(entry, bytes)
    } else if isWhole || Self.extendsEntry(bytes) {
      noteDamage()
      damagedLine = line
    } else {
      notes.append(finding(.torn))
    }
  }

  /// Finishes after the last file.
  package mutating func end() {
    noteDamage()
    for (writer, chain) in chains.sorted(by: { $0.key < $1.key }) where !chain.hasEnded {
      notes.append(finding(.endMissing(writer, chain.sequence, writers.state(of: writer))))
    }
    noteWithoutOutcome()
    if let expected, !hasExpected { add(finding(.headMissing(expected))) }
  }

  private mutating func noteWithoutOutcome() {
    let byWriter = Dictionary(grouping: withoutOutcome.values, by: \.writer)
    for (writer, writes) in byWriter.sorted(by: { $0.key < $1.key }) {
      guard let first = writes.min(by: { $0.order < $1.order }) else { continue }
      let kind = AuditFinding.Kind.outcomeMissing(writer, writes.count, writers.state(of: writer))
      notes.append(AuditFinding(file: first.file, line: first.line, kind: kind))
    }
  }

  /// Reports the last line as damaged, now that the next one shows that it was not just incomplete.
  private mutating func noteDamage() {
    if let damagedLine { add(AuditFinding(file: file, line: damagedLine, kind: .damaged)) }
    damagedLine = nil
  }

  /// Whether the line is an entry with one more byte: an interrupted write does not lengthen a line.
  private static func extendsEntry(_ bytes: Span<UInt8>) -> Bool {
    AuditEntry(bytes.extracting(0..<bytes.count - 1)) != nil
  }

  /// An entry within a line, after other bytes, and its offset. Quotes within texts are escaped, so no text is taken for one.
  private static func entryAfterTornLine(_ bytes: Span<UInt8>) -> (AuditEntry, Int)? {
    let prefix = #"{"writer":""#
    var offset = bytes.count - prefix.utf8.count
    while offset > 0 {
      if bytes[offset] == UInt8(ascii: "{"),
        LineScan.has(prefix, bytes, at: offset..<offset + prefix.utf8.count),
        let entry = AuditEntry(bytes.extracting(offset..<bytes.count))
      {
        return (entry, offset)
      }
      offset -= 1
    }
    return nil
  }

  // MARK: Entries

  private mutating func read(_ entry: AuditEntry, _ bytes: Span<UInt8>) {
    if damagedLine != nil, entry.kind == .start {
      notes.append(AuditFinding(file: file, line: line - 1, kind: .torn))
      damagedLine = nil
    }
    noteDamage()
    entries += 1
    entriesOfFile += 1
    writers.read(entry)
    if let request = entry.request {
      withoutOutcome[request] = entry.kind == .intent ? (entry.writer, entries, file, line) : nil
    }
    if entry.kind == .start, entry.isKeyed != chain.isKeyed { add(finding(.keyMismatch(entry.head, entry.isKeyed))) }
    if entry.hash == expected { hasExpected = true }
    if let known = chains[entry.writer] {
      follow(entry, known, bytes)
    } else {
      begin(entry, bytes)
    }
    head = entry.head
  }

  private mutating func follow(_ entry: AuditEntry, _ known: Chain, _ bytes: Span<UInt8>) {
    guard entry.sequence > known.sequence else {
      if !fillGap(entry) { add(finding(.repeated(entry.head))) }
      return
    }
    if entry.sequence > known.sequence + 1 {
      add(finding(.missing(entry.writer, from: known.sequence + 1, to: entry.sequence - 1)))
    } else if chain.hash(after: known.hash, ofOpen: bytes.extracting(0..<entry.openCount)) != entry.hash {
      add(finding(.changed(entry.head)))
    }
    chains[entry.writer] = Chain(sequence: entry.sequence, hash: entry.hash, hasEnded: entry.kind == .end)
  }

  private mutating func begin(_ entry: AuditEntry, _ bytes: Span<UInt8>) {
    chains[entry.writer] = Chain(sequence: entry.sequence, hash: entry.hash)
    guard entry.kind == .start else { return add(finding(.startMissing(entry.head))) }
    let before = entry.previous?.hash ?? AuditChain.origin
    guard chain.hash(after: before, ofOpen: bytes.extracting(0..<entry.openCount)) == entry.hash else {
      return add(finding(.changed(entry.head)))
    }
    guard let previous = entry.previous else {
      if entries > 1 { notes.append(finding(.newChain(entry.head))) }
      return
    }
    guard let known = chains[previous.writer], previous.writer != entry.writer else {
      if mayContinueAbsentFile(entry) { return notes.append(finding(.continues(previous))) }
      return add(finding(.truncated(previous, has: 0)))
    }
    if known.sequence < previous.sequence {
      add(finding(.truncated(previous, has: known.sequence)))
    } else if known.sequence == previous.sequence, known.hash != previous.hash {
      add(finding(.changed(previous)))
    }
  }

  /// Whether the entry before this start may be in a file that was not given. The first start of the first file may follow
  /// any entry, and each gateway that shares a log writes a start in each new file. A new process follows the last entry of
  /// the same file, so its start shows whether that file was truncated.
  private func mayContinueAbsentFile(_ start: AuditEntry) -> Bool {
    guard entries == entriesOfFile else { return false }
    return entries == 1 || start.reason == .rotation || start.reason == .recovery
  }

  /// Whether this entry was reported missing before: it is out of order, not missing.
  private mutating func fillGap(_ entry: AuditEntry) -> Bool {
    for index in findings.indices {
      guard case .missing(let writer, let first, let last) = findings[index].kind, writer == entry.writer,
        (first...last).contains(entry.sequence)
      else { continue }
      if first == last { findings[index].kind = .outOfOrder(entry.writer, entry.sequence, line: line) }
      return true
    }
    return false
  }

  private func finding(_ kind: AuditFinding.Kind) -> AuditFinding { AuditFinding(file: file, line: line, kind: kind) }

  private mutating func add(_ finding: AuditFinding) {
    if findings.count < Self.findingsMax { findings.append(finding) } else { furtherFindings += 1 }
  }
}
