import Bytes
import HTTP1

/// What a connection holds while a request is in flight: the bytes that came, and the parser that reads them.
///
/// The head stays in front until the exchange ends; body bytes behind it are taken out as they are passed on.
final class RequestInput {
  static let bytes = 16 << 10
  static let growthBytes = 32 << 10

  let buffer: ByteBuffer
  private(set) var parser: RequestHeadParser
  /// Kept here too: to ask the parser, it is copied.
  private(set) var headIsWhole = false

  init(limits: HeadLimits) {
    buffer = ByteBuffer(capacity: Self.bytes)
    parser = RequestHeadParser(limits: limits)
  }

  /// Makes ready for another connection.
  func reset() { next(buffer.count) }

  /// One that has grown for a large head is not kept.
  var isWorthKeeping: Bool { buffer.capacity == Self.bytes }

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
