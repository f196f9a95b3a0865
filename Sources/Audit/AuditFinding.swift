package import Digests

/// A finding of the audit verifier, with the file and line where it was found.
package struct AuditFinding: Sendable {
  package enum Kind: Equatable, Sendable {
    // Faults of the log.
    case changed(AuditHead)
    case damaged
    case missing(UInt64, from: UInt64, to: UInt64)
    case outOfOrder(UInt64, UInt64, line: Int)
    case repeated(AuditHead)
    case startMissing(AuditHead)
    case truncated(AuditHead, has: UInt64)
    case keyMismatch(AuditHead, Bool)
    case headMissing(Digest)
    // Notes.
    case torn
    case newlineMissing
    case newChain(AuditHead)
    case continues(AuditHead)
    case endMissing(UInt64, UInt64, AuditWriters.State)
    /// The number of a writer's writes without an outcome; the line is that of the first one.
    case outcomeMissing(UInt64, Int, AuditWriters.State)
  }

  package let file: String
  /// Counted from 1.
  package let line: Int
  package internal(set) var kind: Kind
}

extension AuditFinding: CustomStringConvertible {
  package var description: String { "\(file):\(line): \(message)" }

  package var message: String {
    switch kind {
    case .changed(let head): "entry \(name(head)) does not match its hash: it was changed, or this is the wrong key"
    case .damaged: "this line is not an entry, and no start entry follows it: it was changed"
    case .missing(let writer, let first, let last):
      first == last
        ? "entry \(name(writer, first)) is missing before this one"
        : "entries \(name(writer, first)) to \(last) are missing before this one"
    case .outOfOrder(let writer, let sequence, let line):
      "entry \(name(writer, sequence)) belongs before this one but is in line \(line): reordered"
    case .repeated(let head): "entry \(name(head)) is repeated here"
    case .startMissing(let head): "entry \(name(head)) is the first of its writer here: the start entry is missing"
    case .truncated(let head, 0):
      "this start follows entry \(name(head)), but these files have no entry of that writer: truncated"
    case .truncated(let head, let last):
      "this start follows entry \(name(head)), but the last one before it is \(last): "
        + "\(head.sequence - last) \(head.sequence - last == 1 ? "entry is" : "entries are") missing"
    case .keyMismatch(_, true): "the chain uses a key: name its file with --key-file"
    case .keyMismatch(_, false): "the chain uses no key here, so it does not prove who wrote it"
    case .headMissing(let hash):
      "the expected entry \(hash.hex.prefix(16))… is not in these files: the end was cut off, or these are other files"
    case .torn: "incomplete line: its writer ended during the write; the gateway did not act on it"
    case .newlineMissing: "the last line has no newline"
    case .newChain(let head): "writer \(head.writerText) starts a new chain: it found no earlier entry"
    case .continues(let head): "continues from entry \(name(head)), in a file that was not given"
    case .endMissing(let writer, let sequence, .killed):
      "writer \(AuditHead.text(of: writer)) has no end entry: it was killed after its entry \(sequence)"
    case .endMissing(let writer, let sequence, .open), .endMissing(let writer, let sequence, .ended):
      "writer \(AuditHead.text(of: writer)) has no end entry yet: its gateway is running, or was killed after entry \(sequence)"
    case .outcomeMissing(let writer, let count, let state): outcomeMissing(writer, count, state)
    }
  }

  private func outcomeMissing(_ writer: UInt64, _ count: Int, _ state: AuditWriters.State) -> String {
    let writes = "\(count) write\(count == 1 ? "" : "s") of writer \(AuditHead.text(of: writer))"
    let have = count == 1 ? "has" : "have"
    return switch state {
    case .open:
      "\(writes) \(count == 1 ? "has" : "have") no outcome yet: in progress, or the gateway was killed"
    case .killed:
      "\(writes) \(have) no outcome: the gateway was killed before it was on disk; the client may have got a response"
    case .ended:
      "\(writes) \(have) no outcome: the gateway ended without writing it; the client may have got a response"
    }
  }

  private func name(_ head: AuditHead) -> String { "\(head.writerText):\(head.sequence)" }
  private func name(_ writer: UInt64, _ sequence: UInt64) -> String { "\(AuditHead.text(of: writer)):\(sequence)" }
}
