import Bytes
import HTTP1

/// The body of Core's response on its way to the client, framed as the client understands it.
struct ResponseBody {
  /// How the client finds the end of the body.
  let framing: BodyFraming
  private var reader: BodyReader

  init(_ framing: BodyFraming, client version: Version) {
    self.framing = framing.forwarded(to: version)
    reader = BodyReader(framing)
  }

  var isComplete: Bool { reader.isComplete }

  /// Bytes still to come of a body whose length is announced.
  var remaining: Int? { reader.remaining }

  /// Takes what `bytes` holds of the body from `offset` on.
  ///
  /// - Returns: the run that is to be sent as it is, behind what was appended to `output`.
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

  /// Core has closed the connection; true where that ends the body.
  mutating func upstreamEnded(output: ByteBuffer) -> Bool {
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
      case .tooLarge: preconditionFailure("a response of Core has no bound")
      }
    }
  }
}
