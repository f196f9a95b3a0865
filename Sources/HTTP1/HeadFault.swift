/// Why a head is rejected. The framing is then uncertain, so the connection must close.
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

  /// What is wrong with the head of a request or response.
  package enum Reason: Error, Equatable, Sendable, CaseIterable {
    case bareLF, bareCR, controlByte, emptyLines
    case requestLine, methodNotToken, targetByte, targetForm, targetAuthority, version
    case statusLine, status, switchingProtocols
    case obsFold, colonMissing, fieldNameNotToken
    case hostMissing, hostRepeated, hostInvalid, hostMismatch
    case contentLengthInvalid, contentLengthRepeated
    case transferEncodingInvalid, transferEncodingRepeated, transferEncodingOnHTTP10, transferCodingUnknown, bothLengths
    case connectionInvalid, tooManyConnectionOptions, connectionNamesFraming

    /// Completes "The request is malformed: …" and log lines; it contains no received bytes.
    package var text: StaticString {
      switch self {
      case .bareLF: "a line ends with LF instead of CRLF"
      case .bareCR: "a CR is not followed by LF"
      case .controlByte: "the head contains a control byte"
      case .emptyLines: "too many empty lines before the request line"
      case .requestLine: "the request line is not a method, a target and a version separated by single spaces"
      case .methodNotToken: "the method is not a token"
      case .targetByte: "the request target contains a byte that is not allowed"
      case .targetForm: "the request target is neither a path nor an http URL"
      case .targetAuthority: "the authority in the request target is invalid"
      case .version: "the HTTP version is malformed or not supported"
      case .statusLine: "the status line is malformed"
      case .status: "the status is not between 100 and 599"
      case .switchingProtocols: "101 (Switching Protocols) was not requested"
      case .obsFold: "a field value continues on the next line (obs-fold)"
      case .colonMissing: "a field line has no colon"
      case .fieldNameNotToken: "a field name is not a token"
      case .hostMissing: "Host is missing"
      case .hostRepeated: "more than one Host"
      case .hostInvalid: "Host is invalid"
      case .hostMismatch: "Host differs from the authority in the request target"
      case .contentLengthInvalid: "Content-Length is invalid"
      case .contentLengthRepeated: "more than one Content-Length"
      case .transferEncodingInvalid: "Transfer-Encoding is invalid"
      case .transferEncodingRepeated: "more than one Transfer-Encoding"
      case .transferEncodingOnHTTP10: "Transfer-Encoding on HTTP/1.0"
      case .transferCodingUnknown: "the transfer coding is not supported"
      case .bothLengths: "both Content-Length and Transfer-Encoding"
      case .connectionInvalid: "Connection is invalid"
      case .tooManyConnectionOptions: "Connection has too many options"
      case .connectionNamesFraming: "Connection names Content-Length or Transfer-Encoding"
      }
    }
  }
}
