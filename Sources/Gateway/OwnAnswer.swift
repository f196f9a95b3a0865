import HTTP1
import Policies
import Reactor
import Telemetry

/// An answer in the gateway's own name: a refusal, or a fault.
struct OwnAnswer: Equatable {
  let status: Int
  let code: String
  let message: String
  /// The value of WWW-Authenticate.
  var challenge: String?
  /// The value of Allow.
  var allow: String?
  var retryAfterSeconds: Int?
  /// The budget that is used up.
  var rate: RateBudget?
  var outcome: Outcome?
  /// Whether the connection must end: where the next request begins is in doubt.
  var closes = false
}

extension OwnAnswer {
  init(_ rejection: Rejection) {
    self.init(
      status: rejection.status, code: rejection.code, message: rejection.message, challenge: rejection.challenge,
      allow: rejection.allow, retryAfterSeconds: rejection.retryAfterSeconds, rate: rejection.rateBudget,
      outcome: rejection.saysNotSent ? .notSent : nil, closes: rejection.closesConnection)
  }

  init(_ fault: Fault, outcome: Outcome) {
    self.init(
      status: fault.status, code: fault.code, message: fault.message, retryAfterSeconds: fault.retryAfterSeconds,
      outcome: outcome, closes: fault.isDownstreams)
  }

  /// Every fault of a head leaves the framing in doubt (RFC 9112 §2.2, §6.3).
  init(_ fault: HeadFault) {
    switch fault {
    case .malformed(let reason):
      self.init(
        status: 400, code: "GATEWAY_REQUEST_MALFORMED", message: "The request is malformed: \(reason.text).",
        closes: true)
    case .targetTooLong:
      self.init(status: 414, code: "GATEWAY_TARGET_TOO_LONG", message: "The request line is too long.", closes: true)
    case .headersTooLarge:
      self.init(
        status: 431, code: "GATEWAY_HEADERS_TOO_LARGE", message: "The header fields are too large or too many.",
        closes: true)
    case .notImplemented:
      self.init(
        status: 501, code: "GATEWAY_NOT_IMPLEMENTED", message: "The transfer coding is not known here.", closes: true)
    case .versionUnsupported:
      self.init(
        status: 505, code: "GATEWAY_VERSION_UNSUPPORTED", message: "Only HTTP/1.1 and HTTP/1.0 are spoken here.",
        closes: true)
    case .expectationUnsupported:
      self.init(
        status: 417, code: "GATEWAY_EXPECTATION_UNSUPPORTED", message: "Only Expect: 100-continue is known here.",
        closes: true)
    }
  }

  /// The head of a request did not come within its time.
  static let headTimedOut = OwnAnswer(
    status: 408, code: "GATEWAY_REQUEST_TIMEOUT", message: "The request did not arrive in time.", closes: true)

  static let draining = OwnAnswer(Rejection.draining)

  /// `limits.connections` is reached.
  static let overloaded = OwnAnswer(
    status: 503, code: "GATEWAY_OVERLOADED",
    message: "The gateway has all the connections that it takes. No request was sent.",
    retryAfterSeconds: 1, outcome: .notSent, closes: true)

  /// `limits.connections_per_address` is reached.
  static let addressOverloaded = OwnAnswer(
    status: 503, code: "GATEWAY_OVERLOADED",
    message: "Your address has all the connections that one may have. No request was sent.",
    retryAfterSeconds: 1, outcome: .notSent, closes: true)
}

// MARK: Writing

extension OwnAnswer {
  /// Appends the head up to the request's id.
  func writeHead(to output: ByteBuffer, dateLine: [UInt8], keepsAlive: Bool, version: Version) {
    output.append("HTTP/1.1 ")
    output.append(decimal: status)
    output.append(" ")
    output.append(Self.reason(status))
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
    output.append(text: code)
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
    return fixed + 2 * message.utf8.count + code.utf8.count + outcomeBytes
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
