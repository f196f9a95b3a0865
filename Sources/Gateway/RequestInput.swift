import Bytes
import HTTP1

/// What a connection holds while a request is in flight: the bytes that came, and the parser that reads them.
///
/// The head stays in front until the exchange ends; body bytes behind it are taken out as they are passed on.
final class RequestInput {
  static let growthBytes = 32 << 10

  let buffer: ByteBuffer
  private(set) var parser: RequestHeadParser
  /// Kept here too: to ask the parser, it is copied.
  private(set) var headIsWhole = false

  init(buffer: ByteBuffer, limits: HeadLimits) {
    self.buffer = buffer
    parser = RequestHeadParser(limits: limits)
  }

  func parse() throws(HeadFault) -> Bool {
    headIsWhole = try buffer.withBytes { bytes throws(HeadFault) in try parser.parse(bytes) }
    return headIsWhole
  }

  /// Drops `consumed` bytes, a whole request, and makes ready for the next one.
  func next(_ consumed: Int) {
    buffer.remove(0..<consumed)
    parser.reset()
    headIsWhole = false
  }
}
