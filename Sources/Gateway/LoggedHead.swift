import HTTP1
import Telemetry

extension RequestTexts {
  /// A longer id of a client's is cut off: it may fill a whole head.
  static let clientRequestIDBytesMax = 128

  /// What the log tells of a head; of several `X-Request-Id` the first.
  ///
  /// Inlined, it reads what it needs; else the whole head is copied for it: 64 instructions.
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
