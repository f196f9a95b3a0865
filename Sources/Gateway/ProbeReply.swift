import Bytes
import HTTP1
import Telemetry

/// The local reply to a probe on a client's listener while all is well.
enum ProbeReply {
  private static let body: StaticString = "ok\n"

  static func write(
    to output: ByteBuffer, id: RequestID, dateLine: [UInt8], keepsAlive: Bool, version: Version, hasBody: Bool
  ) {
    output.append(statusLine: 200)
    output.append(field: "Content-Type", "text/plain; charset=utf-8")
    output.append(field: "Cache-Control", "no-store")
    output.append(dateLine)
    output.appendConnection(keepsAlive: keepsAlive, version: version)
    output.append(contentLength: body.utf8CodeUnitCount)
    output.appendRequestIDLine(id)
    output.appendHeadEnd()
    if hasBody { output.append(body) }
  }
}
