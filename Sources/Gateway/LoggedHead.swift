import HTTP1
import Telemetry

extension RequestTexts {
  /// A longer id of a client's is cut off: it may fill a whole head.
  static let clientRequestIDBytesMax = 128

  /// What the log tells of a head; of several `X-Request-Id` the first.
  init(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) {
    self.init()
    method = head.methodRange
    path = head.path
    for index in head.fields.indices {
      guard case .requestID = head.fields[index].kind else { continue }
      clientRequestID = head.fields[index].value.prefix(Self.clientRequestIDBytesMax)
      break
    }
    if let trace = TraceContext(head, bytes) { traceID = trace.traceID }
  }
}
