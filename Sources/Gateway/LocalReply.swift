import Bytes
import HTTP1
import Policies
import Telemetry

/// A response of the gateway's own: a refusal, or a fault.
struct LocalReply: Equatable {
  let code: GatewayCode
  let message: String
  /// The value of WWW-Authenticate.
  var challenge: String?
  /// The value of Allow.
  var allow: String?
  var retryAfterSeconds: Int?
  /// The budget that is used up.
  var rate: RateBudget?
  var outcome: Outcome?
  /// Whether the connection must end behind it.
  var endsConnection: Bool
}

extension LocalReply {
  /// What the code says by itself, where nothing of the request was sent.
  init(_ code: GatewayCode, message: String? = nil) {
    self.init(
      code: code, message: message ?? code.message, retryAfterSeconds: code.retryAfterSeconds,
      outcome: code.retryAfterSeconds == nil ? nil : .notSent, endsConnection: code.endsConnection)
  }

  init(_ rejection: Rejection) {
    self.init(
      code: rejection.code, message: rejection.message, challenge: rejection.challenge, allow: rejection.allow,
      retryAfterSeconds: rejection.retryAfterSeconds, rate: rejection.rateBudget,
      outcome: rejection.saysNotSent ? .notSent : nil, endsConnection: rejection.closesConnection)
  }

  init(_ fault: Fault, outcome: Outcome) {
    self.init(fault.code)
    self.outcome = outcome
  }

  /// Every fault of a head leaves the framing in doubt (RFC 9112 §2.2, §6.3).
  init(_ fault: HeadFault) {
    switch fault {
    case .malformed(let reason):
      self.init(.requestMalformed, message: "The request is malformed: \(reason.text).")
    case .targetTooLong: self.init(GatewayCode.targetTooLong)
    case .headersTooLarge: self.init(GatewayCode.headersTooLarge)
    case .notImplemented: self.init(GatewayCode.notImplemented)
    case .versionUnsupported: self.init(GatewayCode.versionUnsupported)
    case .expectationUnsupported: self.init(GatewayCode.expectationUnsupported)
    }
  }

  /// `limits.connections` is reached.
  static func overloaded(connectionsMax: Int) -> LocalReply {
    LocalReply(.overloaded, message: "Connection limit reached (limits.connections = \(connectionsMax)).")
  }

  /// `limits.connections_per_address` is reached.
  static func addressOverloaded(connectionsMax: Int) -> LocalReply {
    LocalReply(
      .overloaded,
      message: "Connection limit of your address reached (limits.connections_per_address = \(connectionsMax)).")
  }
}

// MARK: Writing

extension LocalReply {
  /// Appends the head up to the request's id.
  func writeHead(to output: ByteBuffer, dateLine: [UInt8], keepsAlive: Bool, version: Version) {
    output.append("HTTP/1.1 ")
    output.append(decimal: code.status)
    output.append(" ")
    output.append(Self.reason(code.status))
    output.append("\r\nContent-Type: application/json\r\n")
    output.append(dateLine)
    if let challenge {
      output.append("WWW-Authenticate: ")
      output.append(text: challenge)
      output.append("\r\n")
    }
    if let allow {
      output.append("Allow: ")
      output.append(text: allow)
      output.append("\r\n")
    }
    if let retryAfterSeconds {
      output.append("Retry-After: ")
      output.append(decimal: retryAfterSeconds)
      output.append("\r\n")
    }
    rate?.write(to: output)
    output.appendConnection(keepsAlive: keepsAlive, version: version)
    output.append("Content-Length: ")
    output.append(decimal: bodyByteCount)
    output.append("\r\n")
  }

  /// Appends the body up to the request's id to `output`, and the rest to `end`, in the error form of Blnk's own, so that
  /// its SDKs understand it.
  func writeBody(to output: ByteBuffer, behindID end: ByteBuffer) {
    output.append(#"{"error":""#)
    output.append(text: message)
    output.append(#"","error_detail":{"code":""#)
    output.append(text: code.text)
    output.append(#"","message":""#)
    output.append(text: message)
    output.append(#""},"request_id":""#)
    if let outcome {
      end.append(#"","outcome":""#)
      end.append(text: outcome.text)
    }
    end.append("\"}")
  }

  private var bodyByteCount: Int {
    let fixed = 10 + 26 + 13 + 17 + 32 + 2
    let outcomeBytes = outcome.map { 13 + $0.text.utf8.count } ?? 0
    return fixed + 2 * message.utf8.count + code.text.utf8.count + outcomeBytes
  }

  /// RFC 9110 §15.
  static func reason(_ status: Int) -> StaticString {
    switch status {
    case 200: "OK"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 408: "Request Timeout"
    case 413: "Content Too Large"
    case 414: "URI Too Long"
    case 417: "Expectation Failed"
    case 429: "Too Many Requests"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 502: "Bad Gateway"
    case 503: "Service Unavailable"
    case 504: "Gateway Timeout"
    case 505: "HTTP Version Not Supported"
    default: "Error"
    }
  }
}

extension ByteWriter {
  @inline(__always)
  mutating func appendRequestIDLine(_ id: RequestID) {
    append("X-Request-Id: ")
    append(id)
    append("\r\n")
  }
}

extension ByteBuffer {
  func appendRequestIDLine(_ id: RequestID) {
    write(atMost: 48) { $0.appendRequestIDLine(id) }
  }

  /// Persistence is the default of HTTP/1.1 only (RFC 9112 §9.3).
  func appendConnection(keepsAlive: Bool, version: Version) {
    switch (keepsAlive, version) {
    case (false, _): append("Connection: close\r\n")
    case (true, .http10): append("Connection: keep-alive\r\n")
    case (true, .http11): break
    }
  }
}
