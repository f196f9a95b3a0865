import Bytes
import HTTP1

/// The body of Core's answer on its way to the client.
struct AnswerBody {
  /// How a body passes, from Core's framing and what the client understands.
  private enum Passage {
    case none
    /// The bytes pass as they are.
    case length(remaining: Int)
    case chunks(ChunkedDecoder, areChunksForClient: Bool)
    case untilClose(areChunksForClient: Bool)
  }

  private var passage: Passage
  private(set) var isComplete: Bool
  /// Body bytes so far, framing not counted.
  private(set) var byteCount = 0

  init(_ framing: BodyFraming, client version: Version) {
    let clientKnowsChunks =
      switch version {
      case .http10: false
      case .http11: true
      }
    isComplete = false
    switch framing {
    case .none:
      passage = .none
      isComplete = true
    case .length(let count): passage = .length(remaining: count)
    case .chunked: passage = .chunks(ChunkedDecoder(), areChunksForClient: clientKnowsChunks)
    case .untilClose: passage = .untilClose(areChunksForClient: clientKnowsChunks)
    }
  }

  /// How the client sees where the body ends.
  var framing: BodyFraming {
    switch passage {
    case .none: .none
    case .length(let remaining): .length(remaining)
    case .chunks(_, let areChunksForClient), .untilClose(let areChunksForClient):
      areChunksForClient ? .chunked : .untilClose
    }
  }

  /// How many bytes are still to come, where that is known.
  var remaining: Int? {
    if case .length(let remaining) = passage { return remaining }
    return nil
  }

  /// Takes what `bytes` holds of the body from `offset` on.
  ///
  /// - Returns: the run that is to be sent as it stands, behind what was appended to `output`.
  mutating func relay(_ bytes: Span<UInt8>, _ offset: inout Int, to output: ByteBuffer) throws(ChunkFault) -> Range<Int>
  {
    switch passage {
    case .none: return offset..<offset
    case .length(let remaining):
      let run = offset..<offset + min(remaining, bytes.count - offset)
      passage = .length(remaining: remaining - run.count)
      isComplete = run.count == remaining
      return pass(run, &offset)
    case .untilClose(areChunksForClient: false):
      return pass(offset..<bytes.count, &offset)
    case .untilClose(areChunksForClient: true):
      let run = pass(offset..<bytes.count, &offset)
      if !run.isEmpty { output.append(chunk: run, of: bytes) }
      return offset..<offset
    case .chunks(var decoder, let areChunksForClient):
      try decode(&decoder, areChunksForClient, bytes, &offset, to: output)
      passage = .chunks(decoder, areChunksForClient: areChunksForClient)
      return offset..<offset
    }
  }

  private mutating func pass(_ run: Range<Int>, _ offset: inout Int) -> Range<Int> {
    offset = run.upperBound
    byteCount += run.count
    return run
  }

  private mutating func decode(
    _ decoder: inout ChunkedDecoder, _ areChunksForClient: Bool, _ bytes: Span<UInt8>, _ offset: inout Int,
    to output: ByteBuffer
  ) throws(ChunkFault) {
    while true {
      switch try decoder.next(bytes, &offset) {
      case .data(let run):
        byteCount += run.count
        if areChunksForClient { output.append(chunk: run, of: bytes) } else { output.append(bytes, run) }
      case .needsMore: return
      case .end:
        isComplete = true
        if areChunksForClient { output.append("0\r\n\r\n") }
        return
      }
    }
  }

  /// Core has closed the connection: that is the end of a body without a length, and of no other.
  mutating func upstreamEnded(output: ByteBuffer) -> Bool {
    guard case .untilClose(let areChunksForClient) = passage else { return false }
    if areChunksForClient { output.append("0\r\n\r\n") }
    isComplete = true
    return true
  }
}
