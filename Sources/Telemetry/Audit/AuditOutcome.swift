import Bytes
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
    let members = ByteBuffer(capacity: 256)
    members.appendRequestID(requestIDHigh, requestIDLow)
    members.append(text: #","outcome":"\#(word.rawValue)""#)
    if status > 0 { members.append(text: #","status":\#(status)"#) }
    if let code { members.append(text: #","code":"\#(code)""#) }
    body?.write(to: members)
    members.move(to: &out)
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

  func write(to out: ByteBuffer) {
    out.append(text: #","body_bytes":\#(byteCount),"body_sha256":"\#(digest.hex)""#)
    if !isWhole { out.append(#","body_whole":false"#) }
  }
}
