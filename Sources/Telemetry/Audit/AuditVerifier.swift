package import Digests

/// Follows the chains of audit files, one line after the other, and tells what does not hold.
package struct AuditVerifier {
  private struct Chain {
    var sequence: UInt64
    var hash: Digest
    var hasEnded = false
  }

  package private(set) var findings: [AuditFinding] = []
  /// Findings beyond `findingsMax`, which are counted only.
  package private(set) var furtherFindings = 0
  package private(set) var notes: [AuditFinding] = []
  package private(set) var entries = 0
  /// The last entry of all.
  package private(set) var head: AuditHead?

  private let chain: AuditChain
  private let expected: Digest?
  private var hasExpected = false
  private var chains: [UInt64: Chain] = [:]
  private var file = ""
  private var line = 0
  private var entriesOfFile = 0
  /// A line that is no entry: legal where the next one is a `start`, for a write may break off when a process ends.
  private var damagedLine: Int?
  private var writers = AuditWriters()
  /// Writes whose outcome has not come yet.
  private var unanswered: [AuditRequestID: (writer: UInt64, order: Int, file: String, line: Int)] = [:]

  package static let findingsMax = 100

  /// - Parameter expected: the hash of an entry that has to be there: a head that was kept elsewhere.
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

  /// - Parameter isWhole: whether a newline followed.
  package mutating func read(_ bytes: Span<UInt8>, isWhole: Bool) {
    line += 1
    // A start ends the line before it, which may have been whole by then.
    guard !bytes.isEmpty else { return }
    if let (entry, offset) = Self.gluedEntry(bytes) {
      // Another process wrote behind a line that broke off.
      notes.append(finding(.torn))
      read(entry, bytes.extracting(offset..<bytes.count))
    } else if let entry = AuditEntry(bytes) {
      if !isWhole { notes.append(finding(.unended)) }
      read(entry, bytes)
    } else if isWhole || Self.isMoreThanEntry(bytes) {
      noteDamage()
      damagedLine = line
    } else {
      notes.append(finding(.torn))
    }
  }

  /// All files are read.
  package mutating func end() {
    noteDamage()
    for (writer, chain) in chains.sorted(by: { $0.key < $1.key }) where !chain.hasEnded {
      notes.append(finding(.open(writer, chain.sequence, writers.state(of: writer))))
    }
    noteUnanswered()
    if let expected, !hasExpected { add(finding(.headMissing(expected))) }
  }

  private mutating func noteUnanswered() {
    let byWriter = Dictionary(grouping: unanswered.values, by: \.writer)
    for (writer, writes) in byWriter.sorted(by: { $0.key < $1.key }) {
      guard let first = writes.min(by: { $0.order < $1.order }) else { continue }
      let kind = AuditFinding.Kind.unanswered(writer, writes.count, writers.state(of: writer))
      notes.append(AuditFinding(file: first.file, line: first.line, kind: kind))
    }
  }

  /// What a damaged line was is known only from what follows it.
  private mutating func noteDamage() {
    if let damagedLine { add(AuditFinding(file: file, line: damagedLine, kind: .damaged)) }
    damagedLine = nil
  }

  /// Whether a whole entry stands before the last byte: no line that broke off is longer than it was to be.
  private static func isMoreThanEntry(_ bytes: Span<UInt8>) -> Bool {
    AuditEntry(bytes.extracting(0..<bytes.count - 1)) != nil
  }

  /// A second entry within a line, and where it begins; quotes within texts are escaped, so that none is taken for it.
  private static func gluedEntry(_ bytes: Span<UInt8>) -> (AuditEntry, Int)? {
    let beginning = #"{"writer":""#
    var offset = bytes.count - beginning.utf8.count
    while offset > 0 {
      if bytes[offset] == UInt8(ascii: "{"),
        LineScan.has(beginning, bytes, at: offset..<offset + beginning.utf8.count),
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
      unanswered[request] = entry.kind == .intent ? (entry.writer, entries, file, line) : nil
    }
    if entry.kind == .start, entry.isKeyed != chain.isKeyed { add(finding(.otherChain(entry.head, entry.isKeyed))) }
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
    guard entry.kind == .start else { return add(finding(.noStart(entry.head))) }
    let before = entry.previous?.hash ?? AuditChain.origin
    guard chain.hash(after: before, ofOpen: bytes.extracting(0..<entry.openCount)) == entry.hash else {
      return add(finding(.changed(entry.head)))
    }
    guard let previous = entry.previous else {
      if entries > 1 { notes.append(finding(.beginsAnew(entry.head))) }
      return
    }
    guard let known = chains[previous.writer], previous.writer != entry.writer else {
      if mayGoOnFromElsewhere(entry) { return notes.append(finding(.goesOn(previous))) }
      return add(finding(.cut(previous, has: 0)))
    }
    if known.sequence < previous.sequence {
      add(finding(.cut(previous, has: known.sequence)))
    } else if known.sequence == previous.sequence, known.hash != previous.hash {
      add(finding(.changed(previous)))
    }
  }

  /// Whether the entry before this start may be in a file that was not given: what begins the first file may go on from
  /// anywhere, and each of several gateways that share a log begins anew in each file. A process begins behind the last
  /// entry of its file, so that its start shows whether that was cut.
  private func mayGoOnFromElsewhere(_ start: AuditEntry) -> Bool {
    guard entries == entriesOfFile else { return false }
    return entries == 1 || start.reason == .rotation || start.reason == .recovery
  }

  /// An entry that was missed further up stands here: it is out of order, not missing.
  private mutating func fillGap(_ entry: AuditEntry) -> Bool {
    for index in findings.indices {
      guard case .missing(let writer, let first, let last) = findings[index].kind, writer == entry.writer,
        (first...last).contains(entry.sequence)
      else { continue }
      if first == last { findings[index].kind = .outOfOrder(entry.writer, entry.sequence, standsAt: line) }
      return true
    }
    return false
  }

  private func finding(_ kind: AuditFinding.Kind) -> AuditFinding { AuditFinding(file: file, line: line, kind: kind) }

  private mutating func add(_ finding: AuditFinding) {
    if findings.count < Self.findingsMax { findings.append(finding) } else { furtherFindings += 1 }
  }
}
