import Bytes
import Digests
import Telemetry

/// Writes the entries of one chain as lines, and keeps its last hash.
struct AuditLine {
  private let chain: AuditChain
  let writer: UInt64
  private(set) var sequence: UInt64 = 0
  /// The hash of the last line.
  private(set) var hash = AuditChain.origin
  private var date = CachedDate()

  init(_ chain: AuditChain, writer: UInt64) {
    self.chain = chain
    self.writer = writer
  }

  var head: AuditHead { AuditHead(writer: writer, sequence: sequence, hash: hash) }

  /// - Parameters:
  ///   - previous: this chain's last entry; for a new chain, the last one in the file or in the file before it.
  ///   - lostOutcomes: the outcomes of this process that were lost.
  mutating func appendStart(
    _ reason: AuditReason, after previous: AuditHead?, lostOutcomes: Int, at time: Int64, to out: inout [UInt8]
  ) {
    if sequence == 0, let previous { hash = previous.hash }
    let begin = begin(.start, at: time, to: &out)
    out.append(contentsOf: #","reason":"\#(reason.rawValue)","chain":"#.utf8)
    out.append(contentsOf: (chain.isKeyed ? #""hmac-sha256""# : #""sha256""#).utf8)
    out.append(contentsOf: #","previous":"#.utf8)
    if let previous {
      out.append(contentsOf: #"{"writer":"\#(previous.writerText)","seq":\#(previous.sequence),"hash":""#.utf8)
      out.append(contentsOf: "\(previous.hash.hex)\"}".utf8)
    } else {
      out.append(contentsOf: "null".utf8)
    }
    out.append(contentsOf: #","lost_outcomes":\#(lostOutcomes)"#.utf8)
    end(from: begin, &out)
  }

  /// - Parameter members: the entry's members, each preceded by a comma.
  mutating func append(_ kind: AuditEntry.Kind, _ members: Span<UInt8>, at time: Int64, to out: inout [UInt8]) {
    let begin = begin(kind, at: time, to: &out)
    out.append(copying: members)
    end(from: begin, &out)
  }

  private mutating func begin(_ kind: AuditEntry.Kind, at time: Int64, to out: inout [UInt8]) -> Int {
    sequence += 1
    let begin = out.count
    let text = ByteBuffer(capacity: 128)
    text.append(#"{"writer":""#)
    text.append(hex: writer, digits: 16)
    text.append(#"","seq":"#)
    text.append(decimal: Int(clamping: sequence))
    text.append(#","time":""#)
    text.write(atMost: CachedDate.bytesMax) { date.append(time, to: &$0) }
    text.append(text: #"","kind":"\#(kind.rawValue)""#)
    text.move(to: &out)
    return begin
  }

  private mutating func end(from begin: Int, _ out: inout [UInt8]) {
    hash = chain.hash(after: hash, ofOpen: out.span.extracting(begin..<out.count))
    out.append(contentsOf: #","hash":""#.utf8)
    let digits = hash.hexDigits
    out.append(copying: digits.span)
    out.append(contentsOf: "\"}\n".utf8)
  }
}
