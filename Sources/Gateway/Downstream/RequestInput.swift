import Bytes
import HTTP1
import Policies
import Telemetry

/// A downstream connection's input while a request is in flight: the received bytes and the parser of the head.
///
/// The head stays at the front until the exchange ends. Body bytes after it are removed as they are relayed.
final class RequestInput {
  static let bytes = 16 << 10
  static let growthBytes = 32 << 10

  let buffer: ByteBuffer
  private(set) var parser: RequestHeadParser
  /// Kept here, because reading the result from the parser copies the parser.
  private(set) var headIsWhole = false

  init(limits: HeadLimits) {
    buffer = ByteBuffer(capacity: Self.bytes)
    parser = RequestHeadParser(limits: limits)
  }

  /// Prepares it for another connection.
  func reset() { next(buffer.count) }

  /// Whether to keep it for reuse: not if it has grown for a large head.
  var isReusable: Bool { buffer.capacity == Self.bytes }

  func parse() throws(HeadFault) -> Bool {
    headIsWhole = try buffer.withBytes { bytes throws(HeadFault) in try parser.parse(bytes) }
    return headIsWhole
  }

  /// Drops `consumed` bytes, a whole request, and prepares for the next one.
  func next(_ consumed: Int) {
    buffer.remove(0..<consumed)
    parser.reset()
    headIsWhole = false
  }
}

extension HeadLimits {
  init(_ limits: GatewayLimits) {
    self.init(
      requestLineBytesMax: limits.requestLineBytesMax, headerBytesMax: limits.headerBytesMax,
      fieldsMax: limits.headerFieldsMax)
  }
}

extension RequestTexts {
  /// A caller's request id can fill a whole head: the log cuts it at this length.
  static let clientRequestIDBytesMax = 128

  /// The parts of a head that the log shows; of several `X-Request-Id` fields, the first.
  ///
  /// Inlined, it reads the fields in place, which saves copying the whole head: 64 instructions per request.
  @inline(__always)
  init(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) {
    self.init()
    method = head.methodRange
    path = head.path
    if head.has(.requestID), let index = head.fields.indices.first(where: { head.fields[$0].kind == .requestID }) {
      clientRequestID = head.fields[index].value.prefix(Self.clientRequestIDBytesMax)
    }
    if let trace = TraceContext(head, bytes) { traceID = trace.traceID }
  }
}
