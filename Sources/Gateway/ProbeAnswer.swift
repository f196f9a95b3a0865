import Bytes
import HTTP1
import Telemetry

/// What a probe on a client's listener is told while all is well.
enum ProbeAnswer {
  static func write(
    to output: ByteBuffer, id: RequestID, dateLine: [UInt8], keepsAlive: Bool, version: Version, hasBody: Bool
  ) {
    output.append("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n")
    output.append(dateLine)
    output.appendConnection(keepsAlive: keepsAlive, version: version)
    output.append("Content-Length: 3\r\n")
    output.appendRequestIDLine(id)
    output.append("\r\n")
    if hasBody { output.append("ok\n") }
  }
}
