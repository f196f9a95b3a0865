import Bytes
import HTTP1
import Policies

extension RateBudget {
  /// Appends the fields that tell a client of its budget (draft-ietf-httpapi-ratelimit-headers-10).
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
