import Bytes
import HTTP1

/// The body of a request on its way: how much has come, and when it is whole.
struct RequestBody {
  private(set) var isComplete = true
  /// Body bytes so far, framing not counted.
  private(set) var byteCount = 0
  /// Above it the body is refused; a declared length was checked before.
  var bytesMax = 0
  private var remaining = 0
  private var decoder: ChunkedDecoder?
  /// Sees what is passed on, where the audit log wants to know of it.
  var hasher: BodyHasher?

  /// Begins anew, with a body that is framed so.
  mutating func begin(_ framing: BodyFraming) {
    byteCount = 0
    bytesMax = .max
    remaining = 0
    if decoder != nil { decoder = nil }
    switch framing {
    case .none, .untilClose: isComplete = true
    case .length(let count):
      isComplete = false
      remaining = count
    case .chunked:
      isComplete = false
      decoder = ChunkedDecoder()
    }
  }

  /// Whether it is held back until it is whole.
  var isWantedWhole: Bool { hasher?.streams == false }

  /// Moves what `bytes` holds of the body from `offset` on into the free room of `output`, framed as it came.
  mutating func relay(_ bytes: Span<UInt8>, _ offset: inout Int, to output: ByteBuffer) throws(Fault) {
    if decoder == nil {
      let run = take(bytes, &offset, atMost: output.freeCapacity)
      output.append(bytes, run)
      hasher?.update(bytes.extracting(run))
      return
    }
    while !isComplete, output.freeCapacity > Self.chunkFramingBytesMax {
      let end = min(bytes.count, offset + output.freeCapacity - Self.chunkFramingBytesMax)
      if let run = try nextRun(bytes.extracting(0..<end), &offset) {
        output.append(chunk: run, of: bytes)
        hasher?.update(bytes.extracting(run))
      } else if end == bytes.count {
        break
      }
    }
    if isComplete { output.append("0\r\n\r\n") }
  }

  /// Reads over what `bytes` holds of the body from `offset` on: for a request that was refused.
  mutating func skip(_ bytes: Span<UInt8>, _ offset: inout Int) throws(Fault) {
    if decoder == nil {
      _ = take(bytes, &offset, atMost: bytes.count)
    } else {
      while !isComplete, try nextRun(bytes, &offset) != nil {}
    }
  }

  private mutating func take(_ bytes: Span<UInt8>, _ offset: inout Int, atMost room: Int) -> Range<Int> {
    let run = offset..<offset + min(remaining, bytes.count - offset, room)
    offset = run.upperBound
    remaining -= run.count
    byteCount += run.count
    isComplete = remaining == 0
    return run
  }

  private mutating func nextRun(_ bytes: Span<UInt8>, _ offset: inout Int) throws(Fault) -> Range<Int>? {
    let step: ChunkedDecoder.Step?
    do throws(ChunkFault) {
      step = try decoder?.next(bytes, &offset)
    } catch {
      throw .bodyMalformed(error)
    }
    if case .data(let run) = step { byteCount += run.count }
    // What a chunk announces counts at once: a size is no promise to wait for.
    guard byteCount + (decoder?.chunkBytesLeft ?? 0) <= bytesMax else { throw .bodyTooLarge }
    switch step {
    case .data(let run): return run
    case .end:
      isComplete = true
      return nil
    case .needsMore, nil: return nil
    }
  }

  /// A chunk's size line and its end, and the last chunk.
  static let chunkFramingBytesMax = 32
}

extension ByteBuffer {
  /// One chunk (RFC 9112 §7.1).
  func append(chunk run: Range<Int>, of bytes: Span<UInt8>) {
    append(hex: UInt64(run.count))
    append("\r\n")
    append(bytes, run)
    append("\r\n")
  }
}
