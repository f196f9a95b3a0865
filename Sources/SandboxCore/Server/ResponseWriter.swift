import Bytes
import Dates
import HTTP1
import Reactor

/// Encodes a response as Go's HTTP server does for Core.
struct ResponseWriter {
  let method: HTTP1.Method
  let version: Version
  let keepsAlive: Bool
  let peer: SocketAddress?
  /// The caller's `X-Forwarded-For`, which Core's rate limiter echoes.
  let forwardedFor: String?
  /// Seconds since 1970, for `Date`.
  let seconds: Int64

  /// The buffer size of Go's server (bytes): it sends longer bodies chunked.
  private static let lengthKnownMax = 2048

  func write(_ answer: SandboxResponse, to output: ByteBuffer) {
    let isChunked = answer.body.count > Self.lengthKnownMax && version == .http11
    output.append(statusLine: answer.status)
    for field in answer.fields + rateLimitFields(answer) where field.name != "Connection" {
      output.append(field: field.name, text: field.value)
    }
    output.append(field: "Date", text: CivilTime(secondsSince1970: seconds).httpDate)
    if !isChunked { output.append(contentLength: answer.body.count) }
    output.appendConnection(keepsAlive: keepsAlive, version: version)
    if isChunked { output.append(framing: .chunked) }
    output.appendHeadEnd()
    guard method != .head else { return }
    let body = BodyWriter(isChunked ? .chunked : .length(answer.body.count))
    body.append(answer.body, to: output)
    body.end(output)
  }

  /// Core's rate limiter echoes the caller's address. Responses sent before it runs, such as redirects, lack its fields.
  private func rateLimitFields(_ answer: SandboxResponse) -> [SandboxField] {
    guard answer.fields.contains(where: { $0.name == "X-Rate-Limit-Limit" }) else { return [] }
    var fields: [SandboxField] = []
    if let forwardedFor { fields.append(SandboxField("X-Rate-Limit-Request-Forwarded-For", forwardedFor)) }
    fields.append(SandboxField("X-Rate-Limit-Request-Remote-Addr", peer?.goText ?? ""))
    return fields
  }
}

extension SocketAddress {
  /// `127.0.0.1:5001`, `[0:0:0:0:0:0:0:1]:5001`, or `@` for an unnamed Unix socket, as in Go.
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
