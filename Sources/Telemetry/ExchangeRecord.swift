/// The facts of one exchange when it is over, including rejected and failed ones.
///
/// Plain values and literals only, so creating one does not allocate; not copyable, because a copy would retain and release.
package struct ExchangeRecord: ~Copyable {
  package private(set) var requestID: RequestID
  /// Microseconds since 1970.
  package private(set) var startedAt: Int64
  package var status: Int

  /// The first four bytes of the token's SHA-256, which distinguish the tokens of a client.
  package var tokenDigestPrefix: UInt32?
  /// The first four bytes of the id of a token that the gateway has signed; then there is no digest.
  package var tokenIDPrefix: UInt32?

  /// The introspection provider of the token; nil: the token is the gateway's own, or unknown.
  package var issuer: String?
  /// The code of a local reply; a literal.
  package var code: String?
  /// `not_sent` or `unknown` if the upstream failed; a literal.
  package var outcome: String?
  /// What failed, for the operator only: it may contain addresses and certificate names.
  package var fault: String?
  package var bytesIn = 0
  package var bytesOut = 0
  package var tries = 0
  /// Whether the upstream connection came from the pool; nil if there was none.
  package var pooled: Bool?

  /// Durations in microseconds; nil for a step not reached.
  package var total: Int64 = 0
  package var firstByte: Int64?
  package var connect: Int64?
  package var queue: Int64?

  package init(_ requestID: RequestID, startedAt: Int64, status: Int) {
    self.requestID = requestID
    self.startedAt = startedAt
    self.status = status
  }

  /// Resets the record for another exchange.
  package mutating func begin(_ requestID: RequestID, startedAt: Int64) {
    self.requestID = requestID
    self.startedAt = startedAt
    (status, tokenDigestPrefix, tokenIDPrefix) = (0, nil, nil)
    if code != nil { (code, outcome, fault) = (nil, nil, nil) }
    if fault != nil { fault = nil }
    if issuer != nil { issuer = nil }
    (bytesIn, bytesOut, tries, pooled) = (0, 0, 0, nil)
    (total, firstByte, connect, queue) = (0, nil, nil, nil)
  }

  /// The length of the record's texts.
  @inline(__always)
  var literalBytes: Int {
    // Most exchanges have none of these.
    guard code != nil || outcome != nil || fault != nil || issuer != nil else { return 0 }
    return (issuer?.utf8.count ?? 0) + (code?.utf8.count ?? 0) + (outcome?.utf8.count ?? 0) + (fault?.utf8.count ?? 0)
  }
}

/// The texts of a request in log lines, as ranges of its head; an empty one is left out of the line.
package struct RequestTexts {
  package var method = 0..<0
  package var path = 0..<0
  /// The `X-Request-Id` that was received.
  package var clientRequestID = 0..<0
  /// The 32 digits of the trace id that was received.
  package var traceID = 0..<0

  package init() {}

  package var byteCount: Int { method.count + path.count + clientRequestID.count + traceID.count }
}
