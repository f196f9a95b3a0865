import Bytes
import Policies

extension RateBudget {
  /// Appends the fields that tell a client of its budget (draft-ietf-httpapi-ratelimit-headers-10).
  func write(to output: ByteBuffer) {
    output.append("RateLimit-Policy: \"")
    output.append(text: name.rawValue)
    output.append("\";q=")
    output.append(decimal: quota)
    output.append(";w=")
    output.append(decimal: windowSeconds)
    output.append("\r\nRateLimit: \"")
    output.append(text: name.rawValue)
    output.append("\";r=0;t=")
    output.append(decimal: resetSeconds)
    output.append("\r\n")
  }
}
