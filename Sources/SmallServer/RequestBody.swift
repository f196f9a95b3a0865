import Bytes
import HTTP1

/// The body of a request as it arrives: its bytes without their framing.
struct RequestBody {
  enum Progress {
    case needsMore
    /// The offset behind the message.
    case whole(Int)
    case tooLarge
    case malformed
  }

  private(set) var bytes: [UInt8] = []
  private let framing: BodyFraming
  private var decoder = ChunkedDecoder()
  /// Bytes of the message behind the head that the decoder has read.
  private var decoded = 0
  private let bytesMax: Int

  /// Chunk sizes and extensions count, too: a body of tiny chunks would be six times its size.
  private static let framingBytesMax = 1 << 20

  init(_ framing: BodyFraming, bytesMax: Int) {
    self.framing = framing
    self.bytesMax = bytesMax
  }

  /// Goes on with what has come of a message whose body begins at `start`.
  mutating func read(_ message: ByteBuffer, from start: Int) -> Progress {
    switch framing {
    case .none, .untilClose: return .whole(start)
    case .length(let length):
      guard length <= bytesMax else { return .tooLarge }
      guard message.count >= start + length else { return .needsMore }
      bytes = message.withBytes(from: start) { rest in copy(rest, 0..<length) }
      return .whole(start + length)
    case .chunked: return readChunks(message, from: start)
    }
  }

  private mutating func readChunks(_ message: ByteBuffer, from start: Int) -> Progress {
    message.withBytes(from: start) { rest in
      do throws(ChunkFault) {
        while true {
          switch try decoder.next(rest, &decoded) {
          case .data(let run):
            bytes += copy(rest, run)
            guard bytes.count <= bytesMax else { return .tooLarge }
          case .needsMore: return decoded <= bytesMax + Self.framingBytesMax ? .needsMore : .tooLarge
          case .end(let end): return .whole(start + end)
          }
        }
      } catch {
        return .malformed
      }
    }
  }
}

private func copy(_ bytes: Span<UInt8>, _ range: Range<Int>) -> [UInt8] {
  var copied: [UInt8] = []
  copied.reserveCapacity(range.count)
  for index in range { copied.append(bytes[index]) }
  return copied
}
