import Bytes
import HTTP1
import Telemetry

/// `X-Request-Id`, which every response and every request to Core bears.
extension ByteWriter {
  static var requestIDLineBytesMax: Int { 48 }

  @inline(__always)
  mutating func appendRequestIDLine(_ id: RequestID) { append(field: "X-Request-Id") { $0.append(id) } }
}

extension ByteBuffer {
  func appendRequestIDLine(_ id: RequestID) {
    write(atMost: ByteWriter.requestIDLineBytesMax) { $0.appendRequestIDLine(id) }
  }
}
