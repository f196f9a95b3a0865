import Bytes
import Dates
import HTTP1
import Reactor

/// Puts an answer on the wire as Go's server does for Core.
struct AnswerWriter {
  let method: HTTP1.Method
  let version: Version
  let keepsAlive: Bool
  let peer: SocketAddress?
  /// What Core's rate limiter shows of the caller.
  let forwardedFor: String?
  /// Since 1970.
  let seconds: Int64

  /// A longer body does not fit the buffer in which Go's server waits for an answer's length.
  private static let lengthKnownMax = 2048

  func write(_ answer: SandboxResponse, to output: ByteBuffer) {
    let isChunked = answer.body.count > Self.lengthKnownMax && version == .http11
    output.append(text: "HTTP/1.1 \(answer.status) \(Self.reason(answer.status))\r\n")
    for field in answer.fields + rateLimitFields(answer) where field.name != "Connection" {
      output.append(text: "\(field.name): \(field.value)\r\n")
    }
    output.append(text: "Date: \(CivilTime(secondsSince1970: seconds).httpDate)\r\n")
    output.append(text: isChunked ? "" : "Content-Length: \(answer.body.count)\r\n")
    switch (keepsAlive, version) {
    case (false, _): output.append("Connection: close\r\n")
    case (true, .http10): output.append("Connection: keep-alive\r\n")
    case (true, .http11): break
    }
    output.append(isChunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n")
    guard method != .head else { return }
    if isChunked { output.append(text: "\(String(answer.body.count, radix: 16))\r\n") }
    output.append(answer.body)
    if isChunked { output.append("\r\n0\r\n\r\n") }
  }

  /// Core's limiter tells who called; answers that come before it, such as redirects, lack its fields.
  private func rateLimitFields(_ answer: SandboxResponse) -> [SandboxField] {
    guard answer.fields.contains(where: { $0.name == "X-Rate-Limit-Limit" }) else { return [] }
    var fields: [SandboxField] = []
    if let forwardedFor { fields.append(SandboxField("X-Rate-Limit-Request-Forwarded-For", forwardedFor)) }
    fields.append(SandboxField("X-Rate-Limit-Request-Remote-Addr", peer?.goText ?? ""))
    return fields
  }

  private static func reason(_ status: Int) -> String {
    switch status {
    case 200: "OK"
    case 201: "Created"
    case 301: "Moved Permanently"
    case 307: "Temporary Redirect"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 404: "Not Found"
    case 409: "Conflict"
    case 417: "Expectation Failed"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 503: "Service Unavailable"
    case 505: "HTTP Version Not Supported"
    default: "Status"
    }
  }
}

extension SocketAddress {
  /// `127.0.0.1:5001`, `[::1]:5001` with all groups written, or `@`, as Go shows a nameless Unix socket.
  fileprivate var goText: String {
    switch self {
    case .ipv4(let address, let port):
      [24, 16, 8, 0].map { String(address >> $0 & 0xff) }.joined(separator: ".") + ":\(port)"
    case .ipv6(let high, let low, let port):
      "["
        + [high, low].flatMap { half in [48, 32, 16, 0].map { String(half >> $0 & 0xffff, radix: 16) } }
        .joined(separator: ":") + "]:\(port)"
    case .unix: "@"
    }
  }
}
