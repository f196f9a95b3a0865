import Bytes
import HTTP1
import Policies
import Telemetry

/// The local reply to `OPTIONS *`: the methods that the gateway serves (RFC 9110 §9.3.7).
enum OptionsReply {
  static func write(
    _ methods: MethodSet, to output: ByteBuffer, id: RequestID, dateLine: [UInt8], keepsAlive: Bool, version: Version
  ) {
    output.append(statusLine: 204)
    output.append(field: "Allow", text: methods.union(MethodSet(.options)).allow)
    output.append(dateLine)
    output.appendConnection(keepsAlive: keepsAlive, version: version)
    output.appendRequestIDLine(id)
    output.appendHeadEnd()
  }
}
