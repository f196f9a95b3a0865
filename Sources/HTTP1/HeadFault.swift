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
  /// 505: a well-formed version that is neither 1.0 nor 1.1.
  case versionUnsupported
  /// 417: an expectation other than 100-continue (RFC 9110 §10.1.1).
  case expectationUnsupported

  /// What is wrong with a head, of a request or of an answer.
  package enum Reason: Error, Equatable, Sendable, CaseIterable {
    case bareLF, bareCR, controlByte, emptyLines
    case requestLine, methodNoToken, targetByte, targetForm, targetAuthority, version
    case statusLine, status, switchingProtocols
    case obsFold, colonMissing, fieldNameNoToken
    case hostMissing, hostRepeated, hostInvalid, hostNotTarget
    case contentLengthInvalid, contentLengthRepeated
    case transferEncodingInvalid, transferEncodingRepeated, transferEncodingOnHTTP10, transferCodingUnknown, bothLengths
    case connectionInvalid, connectionOptions

    /// For messages and logs; holds nothing of what was sent.
    package var text: StaticString {
      switch self {
      case .bareLF: "line ends with a bare LF"
      case .bareCR: "CR without LF"
      case .controlByte: "control byte"
      case .emptyLines: "too many empty lines before the request line"
      case .requestLine: "request line is not method, target and version with single spaces"
      case .methodNoToken: "method is no token"
      case .targetByte: "byte not allowed in a request target"
      case .targetForm: "request target is neither a path nor an http URL with a path"
      case .targetAuthority: "authority of the request target is invalid"
      case .version: "malformed HTTP version"
      case .statusLine: "malformed status line"
      case .status: "status is not within 100 to 599"
      case .switchingProtocols: "unasked switch of protocols"
      case .obsFold: "obs-fold"
      case .colonMissing: "field line without a colon"
      case .fieldNameNoToken: "field name is no token"
      case .hostMissing: "no Host"
      case .hostRepeated: "more than one Host"
      case .hostInvalid: "invalid Host"
      case .hostNotTarget: "Host is not the authority of the request target"
      case .contentLengthInvalid: "invalid Content-Length"
      case .contentLengthRepeated: "more than one Content-Length"
      case .transferEncodingInvalid: "invalid Transfer-Encoding"
      case .transferEncodingRepeated: "more than one Transfer-Encoding"
      case .transferEncodingOnHTTP10: "Transfer-Encoding on HTTP/1.0"
      case .transferCodingUnknown: "unknown transfer coding"
      case .bothLengths: "both Content-Length and Transfer-Encoding"
      case .connectionInvalid: "invalid Connection"
      case .connectionOptions: "too many Connection options"
      }
    }
  }
}
