import Bytes
import HTTP1
import Policies
import Telemetry

/// The local replies that report no failure: to a health probe on a proxy listener, and to `OPTIONS *`.
enum FixedReply {
  private static let healthyBody: StaticString = "ok\n"

  /// Writes the 200 that answers a probe while the gateway is healthy.
  static func writeHealthy(
    to output: ByteBuffer, id: RequestID, dateLine: [UInt8], keepsAlive: Bool, version: Version, hasBody: Bool
  ) {
    output.append(statusLine: 200)
    output.append(field: "Content-Type", "text/plain; charset=utf-8")
    output.append(field: "Cache-Control", "no-store")
    output.append(dateLine)
    output.appendConnection(keepsAlive: keepsAlive, version: version)
    output.append(contentLength: healthyBody.utf8CodeUnitCount)
    output.appendRequestIDLine(id)
    output.appendHeadEnd()
    if hasBody { output.append(healthyBody) }
  }

  /// Writes the 204 that answers `OPTIONS *` with the methods that the gateway serves (RFC 9110 §9.3.7).
  static func writeOptions(
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
