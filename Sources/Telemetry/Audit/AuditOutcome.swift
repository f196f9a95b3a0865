package import Digests

/// What an audit log says of a write when it is over.
package struct AuditOutcome {
  package enum Word: String, Sendable, CaseIterable {
    /// Core answered that it did it.
    case done
    /// Core answered that it did not (4xx).
    case refused
    /// Core has nothing of it.
    case notSent = "not_sent"
    /// Core may have done it: it answered 5xx, or nothing that is whole.
    case unknown
  }

  package let requestIDHigh: UInt64
  package let requestIDLow: UInt64
  package let word: Word
  /// What the client was answered; 0: nothing.
  package let status: Int
  /// The gateway's own, where it answered or cut the answer.
  package let code: String?
  /// Of a body that streamed, as far as it came.
  package let body: AuditedBody?

  package init(
    requestIDHigh: UInt64, requestIDLow: UInt64, word: Word, status: Int, code: String?, body: AuditedBody?
  ) {
    self.requestIDHigh = requestIDHigh
    self.requestIDLow = requestIDLow
    self.word = word
    self.status = status
    self.code = code
    self.body = body
  }

  package func append(to out: inout [UInt8]) {
    appendRequestID(requestIDHigh, requestIDLow, to: &out)
    out.append(contentsOf: #","outcome":"\#(word.rawValue)""#.utf8)
    if status > 0 { out.append(contentsOf: #","status":\#(status)"#.utf8) }
    if let code { out.append(contentsOf: #","code":"\#(code)""#.utf8) }
    body?.append(to: &out)
  }
}

/// A request's body as the log knows it: by its length and its SHA-256, never by its bytes.
package struct AuditedBody: Equatable, Sendable {
  package let byteCount: Int
  package let digest: Digest
  /// Whether all of it came.
  package let isWhole: Bool

  package init(byteCount: Int, digest: Digest, isWhole: Bool) {
    self.byteCount = byteCount
    self.digest = digest
    self.isWhole = isWhole
  }

  func append(to out: inout [UInt8]) {
    out.append(contentsOf: #","body_bytes":\#(byteCount),"body_sha256":"\#(digest.hex)""#.utf8)
    if !isWhole { out.append(contentsOf: #","body_whole":false"#.utf8) }
  }
}
