/// Why a request head is refused; the framing is in doubt after each of them, so the connection closes.
package enum HeadFault: Error, Equatable, Sendable {
  /// 400.
  case malformed(Reason)
  /// 414: the request line is longer than `HeadLimits.requestLineBytesMax`.
  case targetTooLong
  /// 431: the field section is longer than `HeadLimits.headerBytesMax`, or has more than `HeadLimits.fieldsMax` lines.
  case headersTooLarge
  /// 501: a transfer coding other than chunked (RFC 9112 §6.1).
  case notImplemented
  /// 505: a well-formed version whose major version is not 1.
  case versionUnsupported
  /// 417: an expectation other than 100-continue (RFC 9110 §10.1.1).
  case expectationUnsupported

  /// What is wrong with a head, of a request or of a response.
  package enum Reason: Error, Equatable, Sendable, CaseIterable {
    case bareLF, bareCR, controlByte, emptyLines
    case requestLine, methodNoToken, targetByte, targetForm, targetAuthority, version
    case statusLine, status, switchingProtocols
    case obsFold, colonMissing, fieldNameNoToken
    case hostMissing, hostRepeated, hostInvalid, hostNotTarget
    case contentLengthInvalid, contentLengthRepeated
    case transferEncodingInvalid, transferEncodingRepeated, transferEncodingOnHTTP10, transferCodingUnknown, bothLengths
    case connectionInvalid, connectionOptions, connectionNamesFraming

    /// Completes "The request is malformed: …" and log lines; holds nothing of what was sent.
    package var text: StaticString {
      switch self {
      case .bareLF: "a line ends with LF alone"
      case .bareCR: "a CR without LF"
      case .controlByte: "a control byte"
      case .emptyLines: "too many empty lines before the request line"
      case .requestLine: "the request line is not a method, a target and a version with single spaces between them"
      case .methodNoToken: "the method is not a token"
      case .targetByte: "the request target has a byte that is not allowed there"
      case .targetForm: "the request target is neither a path nor an http URL"
      case .targetAuthority: "the authority in the request target is invalid"
      case .version: "the HTTP version is malformed or not supported"
      case .statusLine: "the status line is malformed"
      case .status: "the status is not within 100 to 599"
      case .switchingProtocols: "a switch of protocols that was not requested"
      case .obsFold: "a field value is folded over several lines (obs-fold)"
      case .colonMissing: "a field line has no colon"
      case .fieldNameNoToken: "a field name is not a token"
      case .hostMissing: "Host is missing"
      case .hostRepeated: "more than one Host"
      case .hostInvalid: "Host is invalid"
      case .hostNotTarget: "Host differs from the authority in the request target"
      case .contentLengthInvalid: "Content-Length is invalid"
      case .contentLengthRepeated: "more than one Content-Length"
      case .transferEncodingInvalid: "Transfer-Encoding is invalid"
      case .transferEncodingRepeated: "more than one Transfer-Encoding"
      case .transferEncodingOnHTTP10: "Transfer-Encoding on HTTP/1.0"
      case .transferCodingUnknown: "the transfer coding is not supported"
      case .bothLengths: "both Content-Length and Transfer-Encoding"
      case .connectionInvalid: "Connection is invalid"
      case .connectionOptions: "Connection has too many options"
      case .connectionNamesFraming: "Connection names Content-Length or Transfer-Encoding"
      }
    }
  }
}
