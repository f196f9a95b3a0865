package import Bytes
package import Digests

/// The audit entry of a write when it is over.
package struct AuditOutcome {
  package enum Kind: String, Sendable, CaseIterable {
    /// Core's response says that it executed the write (2xx).
    case done
    /// Core's response says that it will execute the write later, or has not said that it did (2xx).
    case accepted
    /// Core's response says that it did not (3xx or 4xx).
    case refused
    /// No byte of the write was sent to Core.
    case notSent = "not_sent"
    /// Core may have executed the write: it responded with 5xx, or without a complete response.
    case unknown

    var text: StaticString {
      switch self {
      case .done: "done"
      case .accepted: "accepted"
      case .refused: "refused"
      case .notSent: "not_sent"
      case .unknown: "unknown"
      }
    }
  }

  package let requestIDHigh: UInt64
  package let requestIDLow: UInt64
  package let kind: Kind
  /// The status sent downstream; 0 if none was sent.
  package let status: Int
  /// The gateway's code if it sent a local reply or truncated the response.
  package let code: String?
  /// The received part of a body that was streamed.
  package let body: AuditedBody?
  /// Texts of Core's response, if it says that it executed the write or will.
  package var texts: [UInt8] = []
  /// The ids in `texts`; an empty one is left out.
  package var balanceID = 0..<0
  package var identityID = 0..<0
  package var ledgerID = 0..<0
  package var transactionID = 0..<0

  package init(
    requestIDHigh: UInt64, requestIDLow: UInt64, kind: Kind, status: Int, code: String?, body: AuditedBody?
  ) {
    self.requestIDHigh = requestIDHigh
    self.requestIDLow = requestIDLow
    self.kind = kind
    self.status = status
    self.code = code
    self.body = body
  }

  /// - Parameter members: empty before; its bytes are the members.
  @_optimize(speed)
  package func append(to members: ByteBuffer) {
    members.appendRequestID(requestIDHigh, requestIDLow)
    members.append(#","outcome":""#)
    members.append(kind.text)
    members.append("\"")
    if status > 0 {
      members.append(#","status":"#)
      members.append(decimal: status)
    }
    if let code {
      members.append(#","code":""#)
      members.append(text: code)
      members.append("\"")
    }
    members.append(#","balance_id":""#, masked: texts.span.extracting(balanceID))
    members.append(#","identity_id":""#, masked: texts.span.extracting(identityID))
    members.append(#","ledger_id":""#, masked: texts.span.extracting(ledgerID))
    members.append(#","transaction_id":""#, masked: texts.span.extracting(transactionID))
    body?.write(to: members)
  }
}

/// A request's body in the log: its length and its SHA-256, never its bytes.
package struct AuditedBody: Equatable, Sendable {
  package let byteCount: Int
  package let digest: Digest
  /// Whether the whole body was received.
  package let isWhole: Bool

  package init(byteCount: Int, digest: Digest, isWhole: Bool) {
    self.byteCount = byteCount
    self.digest = digest
    self.isWhole = isWhole
  }

  func write(to out: ByteBuffer) {
    out.append(#","body_bytes":"#)
    out.append(decimal: byteCount)
    out.append(#","body_sha256":""#)
    let digits = digest.hexDigits
    out.append(digits.span)
    out.append("\"")
    if !isWhole { out.append(#","body_whole":false"#) }
  }
}
