import Bytes
import Digests
import Telemetry

/// Writes the entries of one chain as lines, and keeps its last hash.
struct AuditLine {
  private let chain: AuditChain
  let writer: UInt64
  private(set) var sequence: UInt64 = 0
  /// The hash of the last line.
  private(set) var hash = AuditChain.origin {
    didSet { hashDigits = hash.hexDigits }
  }
  private var hashDigits = AuditChain.origin.hexDigits
  /// The begin of each line.
  private let opening: [UInt8]
  private var date = CachedDate()

  init(_ chain: AuditChain, writer: UInt64) {
    self.chain = chain
    self.writer = writer
    opening = Array(#"{"writer":"\#(AuditHead.text(of: writer))","seq":"#.utf8)
  }

  var head: AuditHead { AuditHead(writer: writer, sequence: sequence, hash: hash) }

  /// - Parameters:
  ///   - previous: this chain's last entry; for a new chain, the last one in the file or in the file before it.
  ///   - lostOutcomes: the outcomes of this process that were lost.
  mutating func appendStart(
    _ reason: AuditReason, after previous: AuditHead?, lostOutcomes: Int, at time: Int64, to out: ByteBuffer
  ) {
    if sequence == 0, let previous { hash = previous.hash }
    let begin = begin(.start, at: time, to: out)
    out.append(text: #","reason":"\#(reason.rawValue)","chain":"#)
    out.append(chain.isKeyed ? #""hmac-sha256""# : #""sha256""#)
    out.append(#","previous":"#)
    if let previous {
      out.append(text: #"{"writer":"\#(previous.writerText)","seq":\#(previous.sequence),"hash":""#)
      out.append(text: "\(previous.hash.hex)\"}")
    } else {
      out.append("null")
    }
    out.append(text: #","lost_outcomes":\#(lostOutcomes)"#)
    end(from: begin, out)
  }

  /// - Parameter members: the entry's members, each preceded by a comma.
  @_optimize(speed)
  mutating func append(_ kind: AuditEntry.Kind, _ members: Span<UInt8>, at time: Int64, to out: ByteBuffer) {
    let begin = begin(kind, at: time, to: out)
    out.append(members)
    end(from: begin, out)
  }

  /// The bytes of a line besides its members, at most.
  static let ownBytesMax = 256

  @_optimize(speed)
  private mutating func begin(_ kind: AuditEntry.Kind, at time: Int64, to out: ByteBuffer) -> Int {
    sequence += 1
    let begin = out.count
    out.write(atMost: Self.ownBytesMax) {
      $0.append(opening)
      $0.append(decimal: Int(clamping: sequence))
      $0.append(#","time":""#)
      date.append(time, to: &$0)
      $0.append(#"","kind":""#)
      $0.append(kind.text)
      $0.append("\"")
    }
    return begin
  }

  @_optimize(speed)
  private mutating func end(from begin: Int, _ out: ByteBuffer) {
    hash = out.withBytes(from: begin) { chain.hash(after: hashDigits, ofOpen: $0) }
    out.write(atMost: Self.ownBytesMax) {
      $0.append(#","hash":""#)
      $0.append(hashDigits.span)
      $0.append("\"}\n")
    }
  }
}
