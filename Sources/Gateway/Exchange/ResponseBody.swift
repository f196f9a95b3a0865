import Bytes
import HTTP1

/// Relays the body of Core's response, with the framing for the downstream HTTP version.
struct ResponseBody {
  /// How the body is framed downstream.
  let framing: BodyFraming
  private var reader: BodyReader

  init(_ framing: BodyFraming, downstream version: Version) {
    self.framing = framing.forwarded(to: version)
    reader = BodyReader(framing)
  }

  var isComplete: Bool { reader.isComplete }

  /// The remaining bytes of a body with a declared length; else nil.
  var remaining: Int? { reader.remaining }

  /// Relays the part of the body in `bytes`, from `offset` on.
  ///
  /// - Returns: the range to send unchanged, after what was appended to `output`.
  mutating func relay(_ bytes: Span<UInt8>, _ offset: inout Int, to output: ByteBuffer) throws(ChunkFault) -> Range<Int>
  {
    if framing.isChunked || reader.readsChunks {
      try reframe(bytes, &offset, to: output)
      return offset..<offset
    }
    return try next(bytes, &offset) ?? offset..<offset
  }

  private mutating func reframe(
    _ bytes: Span<UInt8>, _ offset: inout Int, to output: ByteBuffer
  ) throws(ChunkFault) {
    guard !isComplete else { return }
    let writer = BodyWriter(framing)
    while let run = try next(bytes, &offset) { writer.append(bytes, run, to: output) }
    if isComplete { writer.end(output) }
  }

  /// Handles the end of the upstream connection; true if it completes the body.
  mutating func upstreamClosed(output: ByteBuffer) -> Bool {
    guard !isComplete, reader.inputEnded() else { return false }
    BodyWriter(framing).end(output)
    return true
  }

  @inline(__always)
  private mutating func next(_ bytes: Span<UInt8>, _ offset: inout Int) throws(ChunkFault) -> Range<Int>? {
    do throws(BodyFault) {
      return try reader.next(bytes, &offset)
    } catch {
      switch error {
      case .malformed(let fault): throw fault
      case .tooLarge: preconditionFailure("a response body has no bound")
      }
    }
  }
}
