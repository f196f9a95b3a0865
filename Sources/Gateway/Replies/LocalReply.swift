import Bytes
import HTTP1
import Policies
import Telemetry

/// A reply of the gateway itself: to a rejected request or a refused connection, or after a fault.
struct LocalReply: Equatable {
  let code: GatewayCode
  var message: String
  /// The value of WWW-Authenticate.
  var challenge: String?
  /// The value of Allow.
  var allow: String?
  var retryAfterSeconds: Int?
  /// The rate budget that is used up.
  var rate: RateBudget?
  var outcome: Outcome?
  /// Whether the connection ends after it.
  var endsConnection: Bool
}

extension LocalReply {
  /// Makes the default reply of a code, for a request that was not sent.
  init(_ code: GatewayCode, message: String? = nil) {
    self.init(
      code: code, message: message ?? code.message, retryAfterSeconds: code.retryAfterSeconds,
      outcome: code.saysNotSent ? .notSent : nil, endsConnection: code.endsConnection)
  }

  init(_ rejection: Rejection) { self.init(rejection, .plain) }

  init(_ rejection: Rejection, _ challenges: BearerChallenges) {
    self.init(
      code: rejection.code, message: rejection.message, challenge: rejection.challenge(challenges),
      allow: rejection.allow,
      retryAfterSeconds: rejection.retryAfterSeconds, rate: rejection.rateBudget,
      outcome: rejection.saysNotSent ? .notSent : nil, endsConnection: rejection.closesConnection)
  }

  init(_ fault: Fault, outcome: Outcome) {
    self.init(fault.code)
    self.outcome = outcome
  }

  /// After a malformed head the framing is in doubt, so all of these end the connection (RFC 9112 §2.2, §6.3).
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
  /// Appends the head up to the request id.
  func writeHead(to output: ByteBuffer, dateLine: [UInt8], keepsAlive: Bool, version: Version) {
    output.append(statusLine: code.status)
    output.append(field: "Content-Type", "application/json")
    output.append(dateLine)
    if let challenge { output.append(field: "WWW-Authenticate", text: challenge) }
    if let allow { output.append(field: "Allow", text: allow) }
    if let retryAfterSeconds { output.append(field: "Retry-After", decimal: retryAfterSeconds) }
    rate?.write(to: output)
    output.appendConnection(keepsAlive: keepsAlive, version: version)
    output.append(contentLength: bodyByteCount)
  }

  /// Appends the body up to the request id to `output`, and the rest to `end`. The format is that of Core's errors, so
  /// that Blnk's SDKs understand it.
  func writeBody(to output: ByteBuffer, afterID end: ByteBuffer) {
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
}
