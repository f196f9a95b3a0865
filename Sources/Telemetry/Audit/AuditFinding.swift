package import Digests

/// Something that an audit file shows, with the line where it shows.
package struct AuditFinding: Sendable {
  package enum Kind: Equatable, Sendable {
    // What does not hold.
    case changed(AuditHead)
    case damaged
    case missing(UInt64, from: UInt64, to: UInt64)
    case outOfOrder(UInt64, UInt64, standsAt: Int)
    case repeated(AuditHead)
    case noStart(AuditHead)
    case cut(AuditHead, has: UInt64)
    case otherChain(AuditHead, Bool)
    case headMissing(Digest)
    // What is worth knowing.
    case torn
    case unended
    case beginsAnew(AuditHead)
    case goesOn(AuditHead)
    case open(UInt64, UInt64, AuditWriters.State)
    /// Writes of one writer without an outcome, the first of them in this line.
    case unanswered(UInt64, Int, AuditWriters.State)
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
    case .changed(let head): "entry \(name(head)) is not what its writer wrote: changed, or checked with another key"
    case .damaged: "this line is no entry, and no start follows it: changed"
    case .missing(let writer, let first, let last):
      first == last
        ? "entry \(name(writer, first)) is missing before this one"
        : "entries \(name(writer, first)) to \(last) are missing before this one"
    case .outOfOrder(let writer, let sequence, let line):
      "entry \(name(writer, sequence)) belongs before this one, and stands in line \(line): reordered"
    case .repeated(let head): "entry \(name(head)) stands here once more: repeated"
    case .noStart(let head): "entry \(name(head)) is the first of its writer here: its start is missing"
    case .cut(let head, 0): "this start follows entry \(name(head)), and its writer is not in these files: cut"
    case .cut(let head, let last):
      "this start follows entry \(name(head)), and the last before it is \(last): \(head.sequence - last) cut"
    case .otherChain(_, true): "the chain is under a key: name it with --key-file"
    case .otherChain(_, false): "the chain is under no key here, so it does not prove who wrote it"
    case .headMissing(let hash):
      "the expected entry \(hash.hex.prefix(16))… is not in these files: the end is cut, or they are others"
    case .torn: "a line broke off here when its writer ended; what it said was not acted on"
    case .unended: "the last line has no newline"
    case .beginsAnew(let head): "writer \(head.writerText) begins anew: it found no entry before it"
    case .goesOn(let head): "goes on from entry \(name(head)), in a file that was not given"
    case .open(let writer, let sequence, .killed):
      "writer \(AuditHead.text(of: writer)) has no end: it was killed after its entry \(sequence)"
    case .open(let writer, let sequence, .open), .open(let writer, let sequence, .ended):
      "writer \(AuditHead.text(of: writer)) is still open: it runs, or was killed after its entry \(sequence)"
    case .unanswered(let writer, let count, let state): unanswered(writer, count, state)
    }
  }

  private func unanswered(_ writer: UInt64, _ count: Int, _ state: AuditWriters.State) -> String {
    let writes = "\(count) write\(count == 1 ? "" : "s") of writer \(AuditHead.text(of: writer))"
    return switch state {
    case .open:
      "\(writes) still open: no outcome in these files yet"
    case .killed:
      "\(writes) without outcome: it was not on the disk when the gateway was killed; the client may have been answered"
    case .ended: "\(writes) without outcome: the gateway ended without writing it; the client may have been answered"
    }
  }

  private func name(_ head: AuditHead) -> String { "\(head.writerText):\(head.sequence)" }
  private func name(_ writer: UInt64, _ sequence: UInt64) -> String { "\(AuditHead.text(of: writer)):\(sequence)" }
}
