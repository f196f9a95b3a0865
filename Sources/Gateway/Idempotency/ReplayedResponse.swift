import Bytes
import HTTP1
import Journal
import Telemetry

/// A stored response to an earlier request with the same key.
extension StoredResponse {
  /// Writes it, with this request's id and that of the request that Core has executed.
  func write(
    to output: ByteBuffer, id: RequestID, dateLine: [UInt8], keepsAlive: Bool, version: Version, hasBody: Bool
  ) {
    output.append(statusLine: status)
    output.append(fields)
    output.append(field: "Idempotent-Replayed", text: isReconstructed ? "reconstructed" : "true")
    output.append(dateLine)
    output.appendConnection(keepsAlive: keepsAlive, version: version)
    // RFC 9110 §8.6: a 204 must not have one.
    if status != 204 { output.append(contentLength: body.count) }
    output.append("X-Original-Request-Id: ")
    output.append(RequestID(high: requestIDHigh, low: requestIDLow))
    output.append("\r\n")
    output.appendRequestIDLine(id)
    output.appendHeadEnd()
    if hasBody, status != 204, status != 304 { output.append(body) }
  }
}
