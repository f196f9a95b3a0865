import Bytes
import Dates
import HTTP1
import Policies
import Telemetry

// The header fields that the gateway itself adds to messages.

/// The `Date` line of a response, formatted at most once a second.
struct DateLine {
  private var second: Int64 = .min
  private var bytes: [UInt8] = []

  mutating func line(at unixSecond: Int64) -> [UInt8] {
    if second != unixSecond {
      second = unixSecond
      bytes = [UInt8](fields: ["Date": Array(CivilTime(secondsSince1970: unixSecond).httpDate.utf8)])
    }
    return bytes
  }
}

/// `X-Request-Id`, which every response and every request to Core carries.
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

extension RateBudget {
  /// Appends `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10).
  func write(to output: ByteBuffer) {
    output.append(field: "RateLimit-Policy") { output in
      output.append("\"")
      output.append(text: name.rawValue)
      output.append("\";q=")
      output.append(decimal: quota)
      output.append(";w=")
      output.append(decimal: windowSeconds)
    }
    output.append(field: "RateLimit") { output in
      output.append("\"")
      output.append(text: name.rawValue)
      output.append("\";r=0;t=")
      output.append(decimal: resetSeconds)
    }
  }
}
